// What the kernel is told of a notebook: its code cells in order, and what has changed since.

import type { CellList } from '@jupyterlab/notebook';
import type { ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import type { JSONObject } from '@lumino/coreutils';
import { type ISignal, Signal } from '@lumino/signaling';

/** Follows the cells of a notebook, and tells what has changed since it was last asked. */
export class Outline {
  constructor(private readonly _cells: CellList) {
    _cells.changed.connect(this._onList, this);
    this._follow();
  }

  /** Emits the ids of cells whose text or place has changed. */
  get changed(): ISignal<this, readonly string[]> {
    return this._changed;
  }

  /** Emits when a cell shows something, or nothing any more. */
  get shown(): ISignal<this, void> {
    return this._shown;
  }

  /** The ids of the code cells, in order. */
  get order(): readonly string[] {
    return this._order;
  }

  /** Another one after every change. */
  get version(): number {
    return this._version;
  }

  /** The code cell of an id, if there is one. */
  cell(id: string): ICellModel | null {
    return this._byId.get(id) ?? null;
  }

  /** All there is to tell. */
  whole(): JSONObject {
    this._dirty = new Set(this._order);
    this._moved = true;
    return this.news() ?? { order: [], cells: {} };
  }

  /** What has changed since it was told, or null. */
  news(): JSONObject | null {
    if (!this._moved && this._dirty.size === 0) {
      return null;
    }
    const cells: JSONObject = {};
    for (const model of this._cells) {
      if (this._dirty.has(model.id) && model.type === 'code') {
        cells[model.id] = { source: model.sharedModel.getSource(), tags: tagsOf(model) };
      }
    }
    const news: JSONObject = this._moved ? { order: [...this._order], cells } : { cells };
    this._dirty.clear();
    this._moved = false;
    return news;
  }

  dispose(): void {
    this._cells.changed.disconnect(this._onList, this);
    for (const model of this._followed) {
      this._leave(model);
    }
    Signal.clearData(this);
  }

  private _onList(): void {
    const before = this._order;
    this._follow();
    this._version++;
    this._changed.emit(this._order.filter((id, index) => before[index] !== id));
  }

  private _follow(): void {
    const now = new Set<ICellModel>();
    const order: string[] = [];
    for (const model of this._cells) {
      if (model.type === 'code') {
        now.add(model);
        order.push(model.id);
        if (!this._followed.has(model)) {
          model.contentChanged.connect(this._onContent, this);
          model.metadataChanged.connect(this._onContent, this);
          this._texts.set(model, textOf(model));
          this._showing.set(model, isShowing(model));
          this._dirty.add(model.id);
        }
      }
    }
    for (const model of this._followed) {
      if (!now.has(model)) {
        this._leave(model);
      }
    }
    this._followed = now;
    this._byId = new Map([...now].map(model => [model.id, model]));
    this._order = order;
    this._moved = true;
  }

  private _leave(model: ICellModel): void {
    model.contentChanged.disconnect(this._onContent, this);
    model.metadataChanged.disconnect(this._onContent, this);
  }

  private _onContent(model: ICellModel): void {
    // Outputs are content, too.
    const text = textOf(model);
    if (this._texts.get(model) !== text) {
      this._texts.set(model, text);
      this._dirty.add(model.id);
      this._version++;
      this._changed.emit([model.id]);
    }
    const shows = isShowing(model);
    if (this._showing.get(model) !== shows) {
      this._showing.set(model, shows);
      this._shown.emit();
    }
  }

  private readonly _changed = new Signal<this, readonly string[]>(this);
  private readonly _shown = new Signal<this, void>(this);
  private readonly _showing = new WeakMap<ICellModel, boolean>();
  private readonly _texts = new WeakMap<ICellModel, string>();
  private _followed = new Set<ICellModel>();
  private _byId = new Map<string, ICellModel>();
  private _dirty = new Set<string>();
  private _order: string[] = [];
  private _moved = true;
  private _version = 0;
}

function textOf(model: ICellModel): string {
  return [...tagsOf(model), model.sharedModel.getSource()].join('\n');
}

/** Whether a cell has output. */
export function isShowing(model: ICellModel): boolean {
  return ((model as Partial<ICodeCellModel>).outputs?.length ?? 0) > 0;
}

/** The tags of a cell. */
export function tagsOf(model: ICellModel): string[] {
  const tags: unknown = model.getMetadata('tags');
  return Array.isArray(tags) ? tags.filter(tag => typeof tag === 'string') : [];
}
