// Keeps the kernels of SQL notebooks told of the notebooks' order.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  INotebookTracker,
  NotebookActions,
  type Notebook,
  type NotebookPanel
} from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';

import { forget } from '../notebook/cellstates';
import { SqlNotebook } from '../notebook/sqlnotebook';
import * as settings from '../settings';
import { ISqlNotebooks, type ISqlNotebook, KERNEL } from '../tokens';

class SqlNotebooks implements ISqlNotebooks {
  constructor(
    private readonly _tracker: INotebookTracker,
    private readonly _trans: TranslationBundle
  ) {
    _tracker.widgetAdded.connect((_, panel) => this._watch(panel));
    _tracker.forEach(panel => this._watch(panel));
    _tracker.currentChanged.connect(() => {
      this._currentChanged.emit(this.current);
      this._look();
    });
    window.addEventListener('focus', () => this._look());
    // Fires in the turn in which the execute request leaves, whoever executes cells.
    NotebookActions.executionScheduled.connect((_, { notebook, cell }) => {
      const ours = this._ofContent(notebook);
      if (ours) {
        ours.send(cell.model);
      } else {
        forget(cell.model);
      }
    });
    NotebookActions.executed.connect((_, { notebook, cell }) => {
      this._ofContent(notebook)?.finish(cell.model);
    });
  }

  /** Whether what a cell will run in is prepared when somebody begins to edit it. */
  anticipate = settings.DEFAULTS.anticipate;

  of(panel: NotebookPanel | null): ISqlNotebook | null {
    return (panel && this._notebooks.get(panel)) ?? null;
  }

  get current(): ISqlNotebook | null {
    return this.of(this._tracker.currentWidget);
  }

  get currentChanged(): ISignal<this, ISqlNotebook | null> {
    return this._currentChanged;
  }

  private _look(): void {
    const panel = this._tracker.currentWidget;
    if (panel) {
      this._notebooks.get(panel)?.look();
    }
  }

  private _ofContent(notebook: Notebook): SqlNotebook | null {
    for (const [panel, found] of this._notebooks) {
      if (panel.content === notebook) {
        return found;
      }
    }
    return null;
  }

  private _watch(panel: NotebookPanel): void {
    const { sessionContext } = panel;
    sessionContext.kernelChanged.connect(() => this._follow(panel));
    panel.disposed.connect(() => this._leave(panel));
    // Before its connection to the kernel goes, which is to be told.
    sessionContext.disposed.connect(() => this._leave(panel));
    void panel.context.ready.then(() => this._follow(panel));
  }

  private _follow(panel: NotebookPanel): void {
    this._leave(panel);
    const kernel = panel.sessionContext.session?.kernel;
    if (!panel.isDisposed && panel.content.model && kernel?.name === KERNEL) {
      const made = new SqlNotebook(panel, kernel, () => this.anticipate, this._trans);
      this._notebooks.set(panel, made);
    }
    if (panel === this._tracker.currentWidget) {
      this._currentChanged.emit(this.current);
    }
  }

  private _leave(panel: NotebookPanel): void {
    this._notebooks.get(panel)?.dispose();
    this._notebooks.delete(panel);
  }

  private readonly _notebooks = new Map<NotebookPanel, SqlNotebook>();
  private readonly _currentChanged = new Signal<this, ISqlNotebook | null>(this);
}

const plugin: JupyterFrontEndPlugin<ISqlNotebooks> = {
  id: 'pgcellar-labextension:plugin',
  description: 'Keeps the kernels of SQL notebooks told of the notebooks’ order.',
  autoStart: true,
  provides: ISqlNotebooks,
  requires: [INotebookTracker],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const notebooks = new SqlNotebooks(tracker, trans);
    if (registry) {
      void settings.follow(registry, ({ anticipate }) => {
        notebooks.anticipate = anticipate;
      });
    }
    return notebooks;
  }
};

export default plugin;
