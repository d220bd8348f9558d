// The schema browser.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { Actions } from '../schema/actions';
import { Details } from '../schema/details';
import { SchemaModel } from '../schema/model';
import { SchemaPanel } from '../schema/panel';
import { count } from '../states/format';
import { diagramIcon, schemaIcon } from '../states/icons';
import { IKeptStates, type KeptStates } from '../states/kept';
import { ISqlNotebooks } from '../tokens';

const SHOW = 'pgcellar:show-schema';
const PANEL = 'pgcellar-schema';
/** After the file browser, the running kernels and the table of contents. */
const RANK = 500;

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:schema',
  description: 'Shows the schema of the state at the selected cell.',
  autoStart: true,
  requires: [ISqlNotebooks, IKeptStates],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    kept: KeptStates,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const { commands, contextMenu, shell } = app;
    const model = new SchemaModel(notebooks, kept, new Details(trans), {
      functions: trans.__('Functions'),
      other: trans.__('Other'),
      parts: trans.__('Keys, indexes, triggers'),
      note: ({ kind, rows }) =>
        rows === null ? (kind === 'table' ? '' : kind) : trans.__('~%1 rows', count(rows))
    });
    const actions = new Actions(model, shell, trans);
    const panel = new SchemaPanel(model, actions, trans);
    panel.id = PANEL;
    panel.title.icon = schemaIcon;
    panel.title.caption = trans.__('Schema at the selected SQL cell');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', panel.title.caption);
    shell.add(panel, 'left', { rank: RANK });
    restorer?.add(panel, PANEL);

    commands.addCommand(SHOW, {
      label: trans.__('Show Schema'),
      caption: trans.__('Show what the database holds at the selected SQL cell'),
      icon: schemaIcon,
      execute: () => shell.activateById(PANEL)
    });
    commands.addCommand('pgcellar:insert-name', {
      label: trans.__('Insert Name'),
      execute: () => actions.insertName()
    });
    commands.addCommand('pgcellar:select-below', {
      label: trans.__('Select Top Rows in New Cell'),
      execute: () => actions.selectBelow()
    });
    commands.addCommand('pgcellar:select-here', {
      label: trans.__('Select Top Rows at Cursor'),
      execute: () => actions.selectHere()
    });
    commands.addCommand('pgcellar:show-definition', {
      label: trans.__('Show DDL'),
      execute: () => actions.showDefinition()
    });
    commands.addCommand('pgcellar:draw-tables', {
      label: trans.__('Draw Tables and Foreign Keys'),
      icon: diagramIcon,
      isEnabled: () => model.detail !== null,
      execute: () => actions.draw()
    });
    const relation = '.pgc-Tree [data-pgcellar-kind=relation]';
    [
      'pgcellar:insert-name',
      'pgcellar:select-below',
      'pgcellar:select-here',
      'pgcellar:show-definition',
      'pgcellar:draw-tables'
    ].forEach((command, rank) => contextMenu.addItem({ command, rank, selector: relation }));
    for (const command of [SHOW, 'pgcellar:draw-tables']) {
      palette?.addItem({ command, category: trans.__('SQL Notebook') });
    }
  }
};

export default plugin;
