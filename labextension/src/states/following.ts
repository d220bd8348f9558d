// A model that follows the notebook in front, and what is kept of its states, while it is shown.

import type { Cell, ICodeCellModel } from '@jupyterlab/cells';
import { VDomModel } from '@jupyterlab/ui-components';

import type { ISqlNotebook, ISqlNotebooks } from '../tokens';
import { type ChainCell, chainOf, type Link } from './chain';
import type { KeptStates } from './kept';

/** How often it is looked again whether the last state is kept by now. */
const TRIES = 4;

/** See the module. */
export class Following extends VDomModel {
  constructor(
    private readonly _notebooks: ISqlNotebooks,
    readonly kept: KeptStates
  ) {
    super();
    _notebooks.currentChanged.connect(this._onCurrent, this);
    kept.changed.connect(this._onKept, this);
    this._onCurrent();
  }

  /** The notebook that is followed, if one is there. */
  get notebook(): ISqlNotebook | null {
    return this._notebook;
  }

  /** The id of the active cell, or of the last code cell above it. */
  get selected(): string | null {
    const content = this._notebook?.panel.content;
    const cells = content?.widgets.slice(0, content.activeCellIndex + 1) ?? [];
    return cells.reverse().find(isSql)?.model.id ?? null;
  }

  /** The chain of states of the notebook. */
  get chain(): readonly Link[] {
    this._chain ??= this._makeChain();
    return this._chain;
  }

  /** Whether somebody sees it: else nothing is asked. */
  get shown(): boolean {
    return this._shown;
  }

  set shown(shown: boolean) {
    if (shown === this._shown) {
      return;
    }
    this._shown = shown;
    if (shown) {
      this._tries = TRIES;
      void this.kept.refresh();
    }
  }

  /** Make a cell the active one, and show it. */
  async show(cell: string): Promise<void> {
    const content = this._notebook?.panel.content;
    const index = content?.widgets.findIndex(widget => widget.model.id === cell) ?? -1;
    const found = content?.widgets[index];
    if (content && found) {
      content.activeCellIndex = index;
      content.deselectAll();
      await content.scrollToCell(found);
      content.activate();
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._notebooks.currentChanged.disconnect(this._onCurrent, this);
      this.kept.changed.disconnect(this._onKept, this);
      this._leave();
      super.dispose();
    }
  }

  /** Something of the notebook or of what is kept has changed. */
  protected update(): void {
    this._chain = null;
    if (this._shown) {
      this.stateChanged.emit();
    }
  }

  private _makeChain(): Link[] {
    const notebook = this._notebook;
    const cells: ChainCell[] = [];
    for (const { model } of notebook?.panel.content.widgets ?? []) {
      if (notebook && model.type === 'code') {
        cells.push({
          id: model.id,
          number: cells.length + 1,
          source: model.sharedModel.getSource(),
          state: notebook.stateOf(model.id)
        });
      }
    }
    return chainOf(cells, this.kept.base, this.kept.all);
  }

  private _onCurrent(): void {
    const notebook = this._notebooks.current;
    // A panel beside the notebook in front, or a difference, is no reason to forget it.
    if (notebook === this._notebook && !notebook?.isDisposed) {
      return;
    }
    this._leave();
    this._notebook = notebook;
    if (notebook) {
      notebook.changed.connect(this._onChanged, this);
      notebook.ran.connect(this._onRan, this);
      notebook.panel.content.activeCellChanged.connect(this._onActive, this);
      if (this._shown) {
        void this.kept.refresh();
      }
    }
    this.update();
  }

  private _leave(): void {
    const notebook = this._notebook;
    if (notebook) {
      notebook.changed.disconnect(this._onChanged, this);
      notebook.ran.disconnect(this._onRan, this);
      if (!notebook.panel.isDisposed) {
        notebook.panel.content.activeCellChanged.disconnect(this._onActive, this);
      }
    }
    this._notebook = null;
  }

  private _onChanged(notebook: ISqlNotebook): void {
    if (notebook.plan !== this._plan) {
      this._plan = notebook.plan;
      this._look();
    }
    this.update();
  }

  private _onRan(): void {
    this._tries = TRIES;
    this._look();
    this.update();
  }

  private _onActive(): void {
    this.update();
  }

  private _onKept(): void {
    this.update();
    // A large state takes its time; it is the last that is kept.
    const last = this.chain.filter(link => link.moves && link.ms !== null).at(-1);
    if (this._tries > 0 && last && !last.kept && last.tied === null) {
      this._tries -= 1;
      this._look();
    }
  }

  private _look(): void {
    if (this._shown) {
      this.kept.soon();
    }
  }

  private _notebook: ISqlNotebook | null = null;
  private _plan: unknown = null;
  private _chain: Link[] | null = null;
  private _shown = false;
  private _tries = 0;
}

function isSql(cell: Cell): boolean {
  const model = cell.model as ICodeCellModel;
  return cell.model.type === 'code' && model.sharedModel.getSource().trim() !== '';
}
