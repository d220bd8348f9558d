// What two states differ in, as a page: the schema's changes, then the rows', counts first.

import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Change, ObjectChange, RowChange, StateDiff, TableDiff } from '../catalogs';
import type { Comparison } from './comparing';
import { count } from './format';
import { Words } from './parts';

/** See the module. */
export class DifferenceView extends VDomRenderer<Comparison> {
  constructor(
    model: Comparison,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('pgc-Difference');
    this.node.tabIndex = 0;
  }

  protected override render(): React.JSX.Element {
    const { model, _trans: trans } = this;
    return (
      <>
        <h1>{trans.__('What differs between two states')}</h1>
        <dl className="pgc-Difference-ends">
          <dt>{trans.__('From')}</dt>
          <dd>
            <code>{model.before.label}</code>
          </dd>
          <dt>{trans.__('To')}</dt>
          <dd>
            <code>{model.after.label}</code>
          </dd>
        </dl>
        <Progress model={model} trans={trans} />
      </>
    );
  }
}

interface Props {
  readonly trans: TranslationBundle;
}

function Progress({ model, trans }: Props & { model: Comparison }): React.JSX.Element {
  const { progress } = model;
  switch (progress.step) {
    case 'comparing':
      return <Words busy>{trans.__('Comparing; at most 45 seconds …')}</Words>;
    case 'replaying':
      return <Words busy>{trans.__('Replaying the cells that lead to them …')}</Words>;
    case 'failed':
      return (
        <>
          <Words error>{progress.why}</Words>
          <Again label={trans.__('Try again')} act={() => void model.compare()} />
        </>
      );
    case 'missing':
      return (
        <>
          {progress.which.map(end => (
            <Words key={end.key}>
              {trans.__('The state “%1” is not kept, so it can’t be looked at.', end.label)}
            </Words>
          ))}
          {model.recoverable ? (
            <>
              <Words>
                {trans.__(
                  'The cells that lead there can be replayed, as a run further down would. Pin a state in the state panel and it stays.'
                )}
              </Words>
              <Again
                label={trans.__('Replay the cells and compare')}
                act={() => void model.recover()}
              />
            </>
          ) : (
            <>
              <Words>
                {trans.__(
                  'Run the cell that leads to it again, and pin the state if it is to stay.'
                )}
              </Words>
              <Again label={trans.__('Try again')} act={() => void model.compare()} />
            </>
          )}
        </>
      );
    default:
      return <Difference diff={progress.diff} trans={trans} />;
  }
}

function Again({ label, act }: { label: string; act: () => void }): React.JSX.Element {
  return (
    <button type="button" className="jp-mod-styled jp-mod-accept" onClick={act}>
      {label}
    </button>
  );
}

function Difference({ diff, trans }: Props & { diff: StateDiff }): React.JSX.Element {
  const none = diff.objects.length === 0 && diff.tables.length === 0;
  return (
    <>
      {none && <Words>{trans.__('Nothing: they hold the same.')}</Words>}
      {!diff.complete && (
        <Words error>{trans.__('Not everything could be compared; the tables say why.')}</Words>
      )}
      {diff.objects.length > 0 && (
        <section>
          <h2>{trans.__('Schema')}</h2>
          <ul className="pgc-Changes">
            {diff.objects.map(change => (
              <Schema key={keyOf(change)} change={change} trans={trans} />
            ))}
          </ul>
        </section>
      )}
      {diff.tables.length > 0 && (
        <section>
          <h2>{trans.__('Rows')}</h2>
          {diff.tables.map(table => (
            <Rows key={JSON.stringify([table.schema, table.name])} table={table} trans={trans} />
          ))}
        </section>
      )}
      <p className="pgc-Words">
        {trans._n('%1 other table has equal rows.', '%1 other tables have equal rows.', diff.equal)}
      </p>
    </>
  );
}

function keyOf({ kind, schema, name, change }: ObjectChange): string {
  return JSON.stringify([kind, schema, name, change]);
}

function wordOf(change: Change, trans: TranslationBundle): string {
  switch (change) {
    case 'added':
      return trans.__('added');
    case 'removed':
      return trans.__('removed');
    default:
      return trans.__('changed');
  }
}

function Badge({ change, text }: { change: Change; text: string }): React.JSX.Element {
  return <span className={`pgc-Badge pgc-mod-${change}`}>{text}</span>;
}

function Schema({ change, trans }: Props & { change: ObjectChange }): React.JSX.Element {
  const name = change.schema ? `${change.schema}.${change.name}` : change.name;
  const head = (
    <>
      <Badge change={change.change} text={wordOf(change.change, trans)} /> {change.kind}{' '}
      <code>{name}</code>
    </>
  );
  if (change.members.length === 0) {
    return <li>{head}</li>;
  }
  return (
    <li>
      <details open={change.change === 'changed'}>
        <summary>{head}</summary>
        <div className="pgc-Scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">{trans.__('What')}</th>
                {change.change !== 'added' && <th scope="col">{trans.__('Before')}</th>}
                {change.change !== 'removed' && <th scope="col">{trans.__('After')}</th>}
              </tr>
            </thead>
            <tbody>
              {change.members.map(({ member, before, after }) => (
                <tr key={member}>
                  <th scope="row">{member}</th>
                  {change.change !== 'added' && (
                    <Value value={before} changed="removed" missing="–" />
                  )}
                  {change.change !== 'removed' && (
                    <Value value={after} changed="added" missing="–" />
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </li>
  );
}

function Value({
  value,
  changed = null,
  missing = 'NULL'
}: {
  value: string | null | undefined;
  changed?: Change | null;
  missing?: string;
}): React.JSX.Element {
  const kind = changed && value != null ? `pgc-mod-${changed}` : undefined;
  return (
    <td className={kind}>{value == null ? <span className="pgc-Null">{missing}</span> : value}</td>
  );
}

function Rows({ table, trans }: Props & { table: TableDiff }): React.JSX.Element {
  const { added, removed, changed } = table;
  const counts: [Change, number | null, string][] = [
    ['added', added, trans.__('%1 inserted', count(added ?? 0))],
    ['changed', changed, trans.__('%1 updated', count(changed ?? 0))],
    ['removed', removed, trans.__('%1 deleted', count(removed ?? 0))]
  ];
  return (
    <div className="pgc-Rows" data-pgcellar-table={table.name}>
      <h3>
        <code>{`${table.schema}.${table.name}`}</code>
        {counts.map(([change, number, text]) =>
          number ? <Badge key={change} change={change} text={text} /> : null
        )}
      </h3>
      <p className="pgc-Words">{aboutRows(table, trans)}</p>
      {table.reason !== null && <Words error>{table.reason}</Words>}
      {table.sample.length > 0 && (
        <details>
          <summary>
            {trans._n('Show %1 of these rows', 'Show %1 of these rows', table.sample.length)}
          </summary>
          <Sample table={table} trans={trans} />
        </details>
      )}
    </div>
  );
}

function aboutRows({ before, after, key }: TableDiff, trans: TranslationBundle): string {
  const words: string[] = [];
  if (before !== null && after !== null) {
    words.push(trans.__('%1 rows before, %2 after.', count(before), count(after)));
  } else if (after !== null) {
    words.push(trans._n('%1 row; the table is new.', '%1 rows; the table is new.', after));
  } else if (before !== null) {
    words.push(trans._n('%1 row; the table is gone.', '%1 rows; the table is gone.', before));
  }
  words.push(
    key.length > 0
      ? trans.__('Rows are told apart by the primary key (%1).', key.join(', '))
      : trans.__('Without a primary key that both have, an update shows as deleted and inserted.')
  );
  return words.join(' ');
}

function Sample({ table, trans }: Props & { table: TableDiff }): React.JSX.Element {
  return (
    <div className="pgc-Scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">{trans.__('Row')}</th>
            {table.columns.map(column => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.sample.map((row, index) => (
            <SampleRow key={index} row={row} trans={trans} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SampleRow({ row, trans }: Props & { row: RowChange }): React.JSX.Element {
  const { change, before, after } = row;
  const differs = (index: number): boolean =>
    before !== null && after !== null && before[index] !== after[index];
  const line = (values: RowChange['before'], marked: Change, word: string): React.JSX.Element => (
    <tr>
      <th scope="row">
        <Badge change={marked} text={word} />
      </th>
      {values?.map((value, index) => (
        <Value key={index} value={value} changed={differs(index) ? marked : null} />
      ))}
    </tr>
  );
  if (change !== 'changed') {
    const word = change === 'added' ? trans.__('inserted') : trans.__('deleted');
    return line(change === 'added' ? after : before, change, word);
  }
  return (
    <>
      {line(before, 'removed', trans.__('before'))}
      {line(after, 'added', trans.__('after'))}
    </>
  );
}
