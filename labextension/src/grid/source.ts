// Where pages of a result come from: the cell that it stands in, if its kernel is ours.

import { CodeCell } from '@jupyterlab/cells';
import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import { AskError, type ISqlNotebook, type ISqlNotebooks, type Status } from '../tokens';
import type { Column, Page } from '../wire';
import { charted } from './charting';
import { MIME, type Result, resultOf } from './result';
import { OutdatedError, type Source } from './rows';
import { isPlain, type View } from './view';

const BUSY: readonly Status[] = ['scheduled', 'running', 'replaying'];
/** The code of what can’t be as things stand; see docs/users.md. */
const CONFLICT = 'PC016';
/** Where `CellStates` keeps with the notebook what its last run was. */
const KEY = 'pgcellar';

export class CellSource implements Source {
  constructor(
    private readonly _widget: Widget,
    private readonly _result: Result,
    private readonly _notebooks: ISqlNotebooks,
    private readonly _trans: TranslationBundle
  ) {}

  async page(view: View, offset: number, limit: number): Promise<Page> {
    const page = await this.ask<Page>('page', view, { offset, limit });
    if (
      !sameColumns(page.columns, this._result.columns) ||
      (isPlain(view) &&
        this._result.row_count !== null &&
        this._result.row_count !== page.row_count)
    ) {
      throw this._other();
    }
    return page;
  }

  /** Ask the kernel something about the result, in the state that it was made in. */
  async ask<T extends { state: string }>(
    question: string,
    view: View,
    about: Record<string, unknown>
  ): Promise<T> {
    const { notebook, cell } = this._find();
    const { model } = cell;
    await settled(notebook, model.id);
    const { status, report } = notebook.stateOf(model.id);
    const asked = {
      ...about,
      cell: model.id,
      statement: this._result.statement ?? 0,
      view,
      current: status === 'current'
    };
    const answer = await notebook.ask<T>(question, asked).catch(orOutdated);
    const kept = model.getMetadata(KEY) as { state?: unknown } | undefined;
    const state = report?.state ?? kept?.state;
    if (typeof state === 'string' && state !== answer.state) {
      throw this._other();
    }
    return answer;
  }

  /** Have the cell draw its last query's rows; it says so in its text, and runs. */
  async draw(chart: string): Promise<void> {
    const { cell } = this._find();
    const { outputs, sharedModel } = cell.model;
    for (let index = 0; index < outputs.length; index++) {
      const other = resultOf(outputs.get(index).data[MIME]);
      if ((other?.statement ?? 0) > (this._result.statement ?? 0)) {
        throw new Error(
          this._trans.__(
            'Only the last query of a cell can be drawn: put this one in a cell of its own.'
          )
        );
      }
    }
    sharedModel.setSource(charted(sharedModel.getSource(), chart));
    await this.run();
  }

  /** Run the cell. */
  async run(): Promise<void> {
    const { notebook, cell } = this._find();
    const { content, sessionContext } = notebook.panel;
    await NotebookActions.runCells(content, [cell], sessionContext);
  }

  private _find(): { notebook: ISqlNotebook; cell: CodeCell } {
    let cell: CodeCell | null = null;
    for (let widget = this._widget.parent; widget; widget = widget.parent) {
      if (widget instanceof CodeCell) {
        cell = widget;
      }
      if (widget instanceof NotebookPanel) {
        const notebook = this._notebooks.of(widget);
        if (cell && notebook) {
          return { notebook, cell };
        }
      }
    }
    throw new Error(this._trans.__('The other rows come from the kernel, and there is none here.'));
  }

  private _other(): Error {
    return new OutdatedError(
      this._trans.__(
        'The cell gives another result now, so there are no more rows of this one. Run it again.'
      )
    );
  }
}

/** Where the kernel knows nothing of the cell's run, a run is what helps. */
function orOutdated(reason: unknown): never {
  if (reason instanceof AskError && reason.problem.code === CONFLICT) {
    throw new OutdatedError(reason.message);
  }
  throw reason;
}

function sameColumns(one: readonly Column[], other: readonly Column[]): boolean {
  return (
    one.length === other.length &&
    one.every((column, index) => {
      const { name, type } = other[index] ?? { name: '', type: '' };
      return column.name === name && column.type === type;
    })
  );
}

/** Waits until a cell does not run, and it is known how one that did not run here stands. */
function settled(notebook: ISqlNotebook, cell: string): Promise<void> {
  const isSettled = (): boolean => {
    const { status, report } = notebook.stateOf(cell);
    return notebook.isDisposed || (!BUSY.includes(status) && (status !== 'checking' || !!report));
  };
  return new Promise(resolve => {
    const look = (): void => {
      if (isSettled()) {
        notebook.changed.disconnect(look);
        resolve();
      }
    };
    notebook.changed.connect(look);
    look();
  });
}
