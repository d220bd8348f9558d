// Shows beside every SQL cell how it stands, and runs what is out of date.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { redoIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import * as settings from '../settings';
import { describe, mark } from '../status/marks';
import { type ISqlNotebook, ISqlNotebooks } from '../tokens';

export const RUN_STALE = 'pgcellar:run-stale';
const SHOW_STATUS = 'pgcellar:show-status';
/** The class of a page where outputs that are out of date are not dimmed. */
const UNDIMMED = 'pgc-mod-undimmed';

function show(notebook: ISqlNotebook, trans: TranslationBundle): void {
  for (const cell of notebook.panel.content.widgets) {
    mark(cell, notebook.stateOf(cell.model.id), trans);
  }
}

/** Say of the active cell what its mark has as a tooltip, to who has no mouse. */
async function say(notebook: ISqlNotebook, trans: TranslationBundle): Promise<void> {
  const cell = notebook.panel.content.activeCell;
  if (!cell) {
    return;
  }
  const body = new Widget();
  body.addClass('pgc-CellStatus');
  const state = notebook.stateOf(cell.model.id);
  body.node.textContent =
    state.status === 'none'
      ? trans.__('It shows nothing that could be out of date.')
      : describe(state, trans);
  await showDialog({
    title: trans.__('Cell Status'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
  notebook.panel.activate();
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:status',
  description: 'Shows how SQL cells stand, and runs what is out of date.',
  autoStart: true,
  requires: [ISqlNotebooks, INotebookTracker],
  optional: [ITranslator, ICommandPalette, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    if (registry) {
      void settings.follow(registry, ({ dimStale }) => {
        document.body.classList.toggle(UNDIMMED, !dimStale);
      });
    }
    const followed = new WeakSet<ISqlNotebook>();
    const follow = (panel: NotebookPanel | null): void => {
      const notebook = notebooks.of(panel);
      if (notebook && !followed.has(notebook)) {
        followed.add(notebook);
        notebook.changed.connect(() => show(notebook, trans));
        show(notebook, trans);
      }
    };
    notebooks.currentChanged.connect((_, notebook) => follow(notebook?.panel ?? null));
    follow(tracker.currentWidget);
    app.commands.addCommand(RUN_STALE, {
      label: trans.__('Run Stale Cells'),
      caption: trans.__('Run the cells whose outputs are out of date, in order'),
      icon: redoIcon,
      isEnabled: () => notebooks.current !== null,
      isVisible: () => notebooks.current !== null,
      execute: async () => notebooks.current?.runStale()
    });
    app.commands.addCommand(SHOW_STATUS, {
      label: trans.__('Show Cell Status'),
      caption: trans.__('Say how the active cell stands, why, and what its state is'),
      isEnabled: () => notebooks.current !== null,
      isVisible: () => notebooks.current !== null,
      execute: async () => notebooks.current && say(notebooks.current, trans)
    });
    for (const command of [RUN_STALE, SHOW_STATUS]) {
      notebooks.currentChanged.connect(() => app.commands.notifyCommandChanged(command));
      palette?.addItem({ command, category: trans.__('SQL Notebook') });
    }
  }
};

export default plugin;
