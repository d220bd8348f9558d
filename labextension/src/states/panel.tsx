// The state panel: the chain of states of the notebook in front.

import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, HTMLSelect, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { StateInfo } from '../catalogs';
import { bytes, duration } from '../units';
import type { Link } from './chain';
import type { End } from './comparing';
import { count, short } from './format';
import { deltaIcon, keepIcon, labelIcon, pinIcon } from './icons';
import type { StatesModel } from './model';
import { IconButton, Unstarted, Words } from './parts';
import { SidePanel } from './sidepanel';

/** What the gateway takes as a tag. */
const TAG = '^[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}$';

/** See the module. */
export class StatesPanel extends SidePanel<StatesModel> {
  constructor(
    model: StatesModel,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('pgc-States');
  }

  protected override render(): React.JSX.Element {
    return <States model={this.model} trans={this._trans} />;
  }
}

interface Props {
  readonly model: StatesModel;
  readonly trans: TranslationBundle;
}

function States({ model, trans }: Props): React.JSX.Element {
  const { kept } = model;
  return (
    <>
      <div className="pgc-Panel-head">
        <h2>{trans.__('States')}</h2>
        <IconButton
          icon={refreshIcon}
          label={trans.__('Look again which states are kept')}
          onClick={() => void kept.refresh()}
        />
      </div>
      {(kept.fault ?? model.fault) && <Words error>{kept.fault ?? model.fault}</Words>}
      {model.busy && <Words busy>{model.busy}</Words>}
      <Body model={model} trans={trans} />
    </>
  );
}

function Body({ model, trans }: Props): React.JSX.Element | null {
  const { kept, chain, others } = model;
  if (!model.notebook) {
    return (
      <Words>
        {trans.__(
          'Open a notebook with the kernel “SQL (PostgreSQL)”: its states are shown here, cell by cell.'
        )}
      </Words>
    );
  }
  if (!kept.known || !kept.started) {
    return <Unstarted kept={kept} trans={trans} />;
  }
  return (
    <div className="pgc-Panel-body">
      <ol className="pgc-Chain" aria-label={trans.__('The notebook’s states')}>
        {chain.map(link => (
          <Place
            key={link.cell ?? 'base'}
            link={link}
            selected={link.cell !== null && link.cell === model.selected}
            model={model}
            trans={trans}
          />
        ))}
      </ol>
      {chain.length === 1 && (
        <Words>{trans.__('The notebook has no SQL yet. Every cell leads to a state.')}</Words>
      )}
      <Compare model={model} trans={trans} />
      {others.length > 0 && (
        <details className="pgc-Others">
          <summary>
            {trans._n('%1 other kept state', '%1 other kept states', others.length)}
          </summary>
          <ul>
            {others.map(info => (
              <Other key={info.state} info={info} model={model} trans={trans} />
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function Place({
  link,
  selected,
  model,
  trans
}: Props & { link: Link; selected: boolean }): React.JSX.Element {
  const { cell } = link;
  const classes = ['pgc-Link'];
  classes.push(link.moves ? 'pgc-mod-moves' : 'pgc-mod-same');
  if (link.kept) {
    classes.push('pgc-mod-kept');
  }
  return (
    <li
      className={classes.join(' ')}
      data-pgcellar-cell={cell ?? 'base'}
      aria-current={selected || undefined}
    >
      {cell === null ? (
        <span className="pgc-Link-title">{trans.__('Base: before the first cell')}</span>
      ) : (
        <button
          type="button"
          className="pgc-Link-title"
          title={trans.__('Go to cell %1', link.number)}
          onClick={() => void model.show(cell)}
        >
          <span className="pgc-Link-number">[{link.number}]</span> <code>{link.title}</code>
        </button>
      )}
      <div className="pgc-Link-facts">{factsOf(link, trans).join(' · ')}</div>
      <div className="pgc-Link-facts" title={captionOf(link, trans)}>
        {standing(link, trans)}
      </div>
      {link.moves && <Marks info={link.kept} model={model} trans={trans} />}
      {link.moves && cell !== null && (
        <div className="pgc-Link-actions">
          <IconButton
            icon={deltaIcon}
            label={trans.__('What did cell %1 change?', link.number)}
            onClick={() => model.whatChanged(cell)}
          />
          {link.kept ? (
            <Actions info={link.kept} model={model} trans={trans} />
          ) : (
            link.tied === null && (
              <IconButton
                icon={keepIcon}
                label={trans.__('Keep the state after cell %1: replay what it takes', link.number)}
                onClick={() => void model.keep(cell)}
              />
            )
          )}
        </div>
      )}
    </li>
  );
}

function factsOf(link: Link, trans: TranslationBundle): string[] {
  const facts: string[] = [];
  if (link.cell === null) {
    facts.push(trans.__('empty'));
  } else if (link.moves) {
    facts.push(effectOf(link, trans));
  } else {
    facts.push(trans.__('changes nothing'));
  }
  if (link.rows !== null && link.moves) {
    facts.push(trans._n('%2 row', '%2 rows', link.rows, count(link.rows)));
  }
  if (link.ms !== null) {
    facts.push(duration(link.ms, trans));
  }
  if (link.frozen) {
    facts.push(trans.__('frozen clock or chance'));
  }
  return facts;
}

function effectOf({ effect }: Link, trans: TranslationBundle): string {
  switch (effect) {
    case 'session':
      return trans.__('changes the session');
    case 'pinning':
      return trans.__('ties the session');
    case 'global':
      return trans.__('reaches beyond the database');
    case 'write':
      return trans.__('writes');
    default:
      return trans.__('runs before it is known');
  }
}

function standing(link: Link, trans: TranslationBundle): string {
  if (!link.moves) {
    return '';
  }
  if (link.kept) {
    const { bytes: taken, cost_ms, hits } = link.kept;
    const facts = [trans.__('kept'), bytes(taken)];
    if (link.cell !== null) {
      facts.push(trans.__('replay %1', duration(cost_ms, trans)));
    }
    facts.push(trans._n('%1 hit', '%1 hits', hits));
    return facts.join(' · ');
  }
  if (link.tied !== null) {
    return trans.__('tied to the live connection: %1', link.tied);
  }
  return link.state === null
    ? trans.__('not known: the cells above have to run first')
    : trans.__('not kept');
}

function captionOf(link: Link, trans: TranslationBundle): string {
  const lines: string[] = [];
  if (link.moves && !link.kept && link.tied === null) {
    lines.push(trans.__('The state is no snapshot now: its cell is replayed where it is needed.'));
  }
  if (link.state !== null) {
    lines.push(trans.__('State %1', short(link.state)));
  }
  return lines.join('\n');
}

/** The pin and the tags of a state. */
function Marks({
  info,
  model,
  trans
}: Props & { info: StateInfo | null }): React.JSX.Element | null {
  if (!info || (!info.pinned && info.tags.length === 0)) {
    return null;
  }
  return (
    <div className="pgc-Marks">
      {info.pinned && <span className="pgc-Mark">{trans.__('pinned')}</span>}
      {info.tags.map(tag => (
        <span key={tag} className="pgc-Mark pgc-mod-tag">
          <span>{tag}</span>
          <IconButton
            icon={closeIcon}
            label={trans.__('Remove the tag %1', tag)}
            onClick={() => void model.tag(info.state, tag, false)}
          />
        </span>
      ))}
    </div>
  );
}

function Actions({ info, model, trans }: Props & { info: StateInfo }): React.JSX.Element {
  return (
    <>
      <IconButton
        icon={pinIcon}
        pressed={info.pinned}
        label={
          info.pinned
            ? trans.__('Unpin: it may be evicted')
            : trans.__('Pin: keep it from being evicted')
        }
        onClick={() => void model.pin(info.state, !info.pinned)}
      />
      <IconButton
        icon={labelIcon}
        label={trans.__('Tag: give it a name, under which it stays')}
        onClick={() => void askTag(info, model, trans)}
      />
    </>
  );
}

async function askTag(
  info: StateInfo,
  model: StatesModel,
  trans: TranslationBundle
): Promise<void> {
  const { button, value } = await InputDialog.getText({
    title: trans.__('Tag a state'),
    label: trans.__('Its name: letters, digits, “.”, “_” and “-”'),
    pattern: TAG,
    required: true,
    okLabel: trans.__('Tag')
  });
  if (!button.accept || !value) {
    return;
  }
  if (!new RegExp(TAG).test(value)) {
    await showDialog({
      title: trans.__('This can’t be a tag'),
      body: trans.__(
        'A tag has up to 64 letters, digits, “.”, “_” and “-”, and begins with a letter or a digit.'
      ),
      buttons: [Dialog.okButton()]
    });
    return;
  }
  await model.tag(info.state, value, true);
}

function Other({ info, model, trans }: Props & { info: StateInfo }): React.JSX.Element {
  return (
    <li className="pgc-Link pgc-mod-other" title={info.state}>
      <code className="pgc-Link-title">{info.cell || short(info.state)}</code>
      <div className="pgc-Link-facts">
        {[bytes(info.bytes), trans._n('%1 hit', '%1 hits', info.hits)].join(' · ')}
      </div>
      <Marks info={info} model={model} trans={trans} />
      <div className="pgc-Link-actions">
        <Actions info={info} model={model} trans={trans} />
      </div>
    </li>
  );
}

/** The choice of two states, and what they differ in. */
function Compare({ model, trans }: Props): React.JSX.Element | null {
  const ends = model.ends;
  const [chosen, choose] = React.useState<readonly [string, string]>(['', '']);
  const find = (key: string, otherwise: End | undefined): End | undefined =>
    ends.find(end => end.key === key) ?? otherwise;
  const before = find(chosen[0], ends[0]);
  const after = find(chosen[1], ends.filter(end => end.cell !== null).at(-1));
  if (!before || !after || ends.length < 2) {
    return null;
  }
  const select = (label: string, end: End, put: (key: string) => void): React.JSX.Element => (
    <label>
      <span>{label}</span>
      <HTMLSelect
        aria-label={label}
        value={end.key}
        onChange={event => put(event.target.value)}
        options={ends.map(({ key, label: text }) => ({ value: key, label: text }))}
      />
    </label>
  );
  return (
    <div className="pgc-Compare" role="group" aria-label={trans.__('Compare two states')}>
      <h3>{trans.__('Compare two states')}</h3>
      {select(trans.__('From'), before, key => choose([key, after.key]))}
      {select(trans.__('To'), after, key => choose([before.key, key]))}
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept pgc-Compare-go"
        disabled={before.key === after.key}
        onClick={() => model.compare(before, after)}
      >
        {trans.__('Compare')}
      </button>
    </div>
  );
}
