// The schema browser: what the state at the selected cell holds, as a tree.

import type { TranslationBundle } from '@jupyterlab/translation';
import {
  caretDownIcon,
  caretRightIcon,
  type LabIcon,
  refreshIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import type { RelationInfo } from '../catalogs';
import { visible } from '../grid/text';
import { count } from '../states/format';
import {
  columnIcon,
  diagramIcon,
  folderIcon,
  functionIcon,
  keyIcon,
  linkIcon,
  objectIcon,
  schemaIcon,
  tableIcon,
  viewIcon
} from '../states/icons';
import { IconButton, Unstarted, Words } from '../states/parts';
import { SidePanel } from '../states/sidepanel';
import { bytes } from '../units';
import type { Actions } from './actions';
import type { SchemaModel } from './model';
import type { Line, Thing } from './tree';

/** See the module. */
export class SchemaPanel extends SidePanel<SchemaModel> {
  constructor(
    model: SchemaModel,
    private readonly _actions: Actions,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('pgc-Schema');
  }

  protected override render(): React.JSX.Element {
    return <Schema model={this.model} actions={this._actions} trans={this._trans} />;
  }
}

interface Props {
  readonly model: SchemaModel;
  readonly actions: Actions;
  readonly trans: TranslationBundle;
}

function Schema({ model, actions, trans }: Props): React.JSX.Element {
  const fault = model.kept.fault ?? model.fault;
  return (
    <>
      <div className="pgc-Panel-head">
        <h2>{trans.__('Schema')}</h2>
        <span>
          <IconButton
            icon={diagramIcon}
            label={trans.__('Draw the tables and their foreign keys')}
            disabled={model.detail === null}
            onClick={() => actions.draw()}
          />
          <IconButton
            icon={refreshIcon}
            label={trans.__('Look again which states are kept')}
            onClick={() => void model.kept.refresh()}
          />
        </span>
      </div>
      {fault !== null && <Words error>{fault}</Words>}
      <Body model={model} actions={actions} trans={trans} />
    </>
  );
}

function Body({ model, actions, trans }: Props): React.JSX.Element | null {
  const { kept, detail, place } = model;
  if (!model.notebook) {
    return (
      <Words>
        {trans.__(
          'Open a notebook with the kernel “SQL (PostgreSQL)”: what its database holds at the selected cell is shown here.'
        )}
      </Words>
    );
  }
  if (!kept.known || !kept.started) {
    return <Unstarted kept={kept} trans={trans} />;
  }
  if (!place) {
    return <Words>{trans.__('No state of this notebook is kept. Run a cell that writes.')}</Words>;
  }
  return (
    <>
      <Which model={model} trans={trans} />
      {detail === null ? (
        model.fault === null && <Words busy>{trans.__('Reading the catalog …')}</Words>
      ) : (
        <>
          <input
            type="search"
            className="jp-mod-styled pgc-Search"
            placeholder={trans.__('Search names')}
            aria-label={trans.__('Search names of tables, columns, functions …')}
            value={model.text}
            onChange={event => (model.text = event.target.value)}
          />
          <Tree model={model} actions={actions} trans={trans} />
          <About model={model} actions={actions} trans={trans} />
        </>
      )}
    </>
  );
}

/** Which state it is. */
function Which({ model, trans }: Omit<Props, 'actions'>): React.JSX.Element | null {
  const { wanted, place } = model;
  if (!place || !wanted) {
    return null;
  }
  const where =
    place.cell === null
      ? trans.__('Before the first cell')
      : trans.__('After cell %1', place.number);
  const same = place.state !== null && place.state === wanted.state;
  const exact = place === wanted || same;
  return (
    <p className="pgc-Which" title={place.state ?? undefined}>
      <strong>
        {same && wanted.cell !== null ? trans.__('After cell %1', wanted.number) : where}
      </strong>
      {!exact && (
        <span>
          {' '}
          {trans.__(
            'The state after cell %1 is not kept, so this is the nearest one above. Run the cell to see it.',
            wanted.number
          )}
        </span>
      )}
    </p>
  );
}

function iconOf(thing: Thing): LabIcon {
  switch (thing.type) {
    case 'schema':
      return schemaIcon;
    case 'group':
      return folderIcon;
    case 'relation':
      return thing.relation.kind.includes('view') ? viewIcon : tableIcon;
    case 'column': {
      const name = thing.relation.columns[thing.index]?.name ?? '';
      return thing.relation.key.includes(name) ? keyIcon : columnIcon;
    }
    case 'part':
      return thing.relation.parts[thing.index]?.kind === 'foreign key' ? linkIcon : keyIcon;
    case 'function':
      return functionIcon;
    default:
      return objectIcon;
  }
}

function Tree({ model, actions, trans }: Props): React.JSX.Element {
  const { lines, line: chosen } = model;
  const tree = React.useRef<HTMLDivElement>(null);
  const go = (line: Line | undefined): void => {
    if (line) {
      model.choose(line.node);
      const index = lines.indexOf(line);
      tree.current?.querySelectorAll<HTMLElement>('[role=treeitem]')[index]?.focus();
    }
  };
  const onKey = (event: React.KeyboardEvent): void => {
    if (!chosen) {
      return;
    }
    const at = lines.indexOf(chosen);
    const { node, open, parent } = chosen;
    switch (event.key) {
      case 'ArrowDown':
        go(lines[at + 1]);
        break;
      case 'ArrowUp':
        go(lines[at - 1]);
        break;
      case 'Home':
        go(lines[0]);
        break;
      case 'End':
        go(lines.at(-1));
        break;
      case 'ArrowRight':
        if (open) {
          go(lines[at + 1]);
        } else {
          model.toggle(node, true);
        }
        break;
      case 'ArrowLeft':
        if (open) {
          model.toggle(node, false);
        } else {
          go(lines.find(line => line.node.key === parent));
        }
        break;
      case 'Enter':
        actions.insertName();
        break;
      case ' ':
        model.toggle(node);
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={tree}
      className="pgc-Tree"
      role="tree"
      aria-label={trans.__('What the state holds')}
      onKeyDown={onKey}
    >
      {lines.map(line => (
        <TreeLine
          key={line.node.key}
          line={line}
          chosen={line === chosen}
          model={model}
          actions={actions}
        />
      ))}
      {lines.length === 0 && (
        <Words>
          {model.text.trim()
            ? trans.__('No name has “%1” in it.', model.text.trim())
            : trans.__('Nothing: the state is empty.')}
        </Words>
      )}
    </div>
  );
}

function TreeLine({
  line,
  chosen,
  model,
  actions
}: Omit<Props, 'trans'> & { line: Line; chosen: boolean }): React.JSX.Element {
  const { node, level, open } = line;
  const icon = iconOf(node.thing);
  // A name may hold marks that reorder what stands beside it.
  const name = visible(node.label);
  const more = node.children.length > 0;
  const caret = open ? caretDownIcon : caretRightIcon;
  return (
    <div
      role="treeitem"
      aria-level={level}
      aria-expanded={more ? open : undefined}
      aria-selected={chosen}
      tabIndex={chosen ? 0 : -1}
      className="pgc-Tree-line"
      data-pgcellar-kind={node.thing.type}
      style={{ paddingLeft: `${4 + (level - 1) * 12}px` }}
      title={node.note ? `${name} · ${visible(node.note)}` : name}
      onClick={() => model.choose(node)}
      onContextMenu={() => model.choose(node)}
      onDoubleClick={() => actions.insertName()}
    >
      <span
        className="pgc-Tree-caret"
        onClick={event => {
          event.stopPropagation();
          model.choose(node);
          model.toggle(node);
        }}
        onDoubleClick={event => event.stopPropagation()}
      >
        {more && <caret.react tag="span" width="14px" height="14px" />}
      </span>
      <icon.react tag="span" className="pgc-Tree-icon" width="14px" height="14px" />
      <span className="pgc-Tree-label">{name}</span>
      <span className="pgc-Tree-note">{visible(node.note)}</span>
    </div>
  );
}

/** What is known of the selected line, and what can be done with it. */
function About({ model, actions, trans }: Props): React.JSX.Element | null {
  const { line, relation } = model;
  if (!line) {
    return null;
  }
  const facts = factsOf(line.node.thing, trans);
  const { thing } = line.node;
  const leaf = thing.type !== 'schema' && thing.type !== 'group';
  const button = (label: string, title: string, act: () => void): React.JSX.Element => (
    <button type="button" className="jp-mod-styled" title={title} onClick={act}>
      {label}
    </button>
  );
  return (
    <div className="pgc-About" role="group" aria-label={trans.__('The selected name')}>
      <h3 title={visible(line.node.label)}>{visible(line.node.label)}</h3>
      {facts.length > 0 && (
        <dl>
          {facts.map(([what, text]) => (
            <React.Fragment key={what}>
              <dt>{what}</dt>
              <dd>{visible(text, true)}</dd>
            </React.Fragment>
          ))}
        </dl>
      )}
      <div className="pgc-About-actions">
        {thing.type !== 'group' &&
          button(trans.__('Insert name'), trans.__('Insert the name at the cursor'), () =>
            actions.insertName()
          )}
        {relation &&
          button(
            trans.__('Top rows'),
            trans.__('Insert a SELECT of the first rows as a new cell'),
            () => actions.selectBelow()
          )}
        {relation &&
          button(
            trans.__('Top rows here'),
            trans.__('Insert a SELECT of the first rows at the cursor'),
            () => actions.selectHere()
          )}
        {leaf &&
          button(
            trans.__('DDL'),
            trans.__('Show the commands that make it'),
            () => void actions.showDefinition()
          )}
      </div>
    </div>
  );
}

function factsOf(thing: Thing, trans: TranslationBundle): [string, string][] {
  const facts: [string, string | null | undefined][] = [];
  switch (thing.type) {
    case 'relation': {
      const { relation } = thing;
      facts.push([trans.__('Kind'), relation.kind]);
      facts.push([trans.__('Key'), relation.key.join(', ')]);
      facts.push([trans.__('Rows'), rowsOf(relation, trans)]);
      facts.push([trans.__('Size'), relation.bytes > 0 ? bytes(relation.bytes) : null]);
      facts.push([trans.__('Owner'), relation.owner]);
      facts.push(...Object.entries(relation.options));
      facts.push([trans.__('Comment'), relation.comment]);
      break;
    }
    case 'column': {
      const column = thing.relation.columns[thing.index];
      facts.push([trans.__('Type'), column?.type]);
      facts.push([
        trans.__('NULL'),
        column?.nullable ? trans.__('allowed') : trans.__('not allowed')
      ]);
      facts.push([trans.__('Default'), column?.default]);
      facts.push([trans.__('Identity'), column?.identity]);
      facts.push([trans.__('Generated'), column?.generated]);
      facts.push([trans.__('Comment'), column?.comment]);
      break;
    }
    case 'part':
      facts.push([trans.__('Is'), thing.relation.parts[thing.index]?.definition]);
      break;
    case 'function':
      facts.push([trans.__('Kind'), thing.info.kind]);
      facts.push([trans.__('Returns'), thing.info.returns]);
      facts.push([trans.__('Language'), thing.info.language]);
      facts.push([trans.__('Comment'), thing.info.comment]);
      break;
    case 'object':
      facts.push([trans.__('Kind'), thing.info.kind]);
      facts.push([trans.__('Is'), thing.info.definition]);
      facts.push([trans.__('Comment'), thing.info.comment]);
      break;
    default:
      break;
  }
  return facts.filter((fact): fact is [string, string] => Boolean(fact[1]));
}

/** PostgreSQL's estimate; views have no rows of their own. */
function rowsOf({ kind, rows }: RelationInfo, trans: TranslationBundle): string | null {
  if (rows !== null) {
    return trans.__('about %1', count(rows));
  }
  return kind === 'view' ? null : trans.__('not estimated');
}
