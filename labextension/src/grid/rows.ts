// The rows of a result: those that came with it, and pages of the others as they are looked at.

import type { TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Page, Row } from '../wire';
import type { Result } from './result';
import { isPlain, PLAIN, type View } from './view';

/** Rows that are fetched at a time. */
export const BLOCK = 500;
/** Blocks that are kept; the one looked at longest ago goes first. */
const MAX_BLOCKS = 80;

/** The cell gives another result by now: the rest of this one comes back by running it again. */
export class OutdatedError extends Error {}

/** Gives pages of the result; rejects with what a person can be told. */
export interface Source {
  page(view: View, offset: number, limit: number): Promise<Page>;
}

export class Rows {
  /** Without a source there are the rows that came with the result, and no others. */
  constructor(
    private readonly _result: Result,
    private readonly _source: Source | null,
    private readonly _trans: TranslationBundle
  ) {
    this._saved = _result.rows;
    this._count = _source ? this._all : _result.rows.length;
  }

  /** Emits when rows came, or how many there are has changed, or the message. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** How many rows can be looked at. */
  get count(): number {
    return this._count;
  }

  /** How many there are; more than can be looked at where not all of them are kept. */
  get total(): number {
    return this._total ?? this._all;
  }

  get view(): View {
    return this._view;
  }

  /** As it will be seen once the server has answered. */
  get wanted(): View {
    return this._wanted;
  }

  /** Why there is less than one might expect; empty if there is not. */
  get message(): string {
    return this._message;
  }

  /** Whether running the cell again would bring what is not here. */
  get isOutdated(): boolean {
    return this._outdated;
  }

  /** Whether another view of the result is being made. */
  get isChanging(): boolean {
    return this._changing > 0;
  }

  /** A row, if it is here. */
  row(index: number): Row | undefined {
    if (this._saved && index < this._saved.length) {
      return this._saved[index];
    }
    return this._blocks.get(Math.floor(index / BLOCK))?.[index % BLOCK];
  }

  /** These rows are looked at now; others that were asked for before are not worth fetching. */
  look(first: number, last: number): void {
    this._first = Math.max(0, first);
    this._last = Math.min(last, this._count - 1);
    for (let block = Math.floor(this._first / BLOCK); block * BLOCK <= this._last; block++) {
      this._touch(block);
    }
    void this._fetch();
  }

  /** Rows from one to another, fetched where they are not here. */
  async range(first: number, last: number): Promise<Row[]> {
    const out: Row[] = [];
    while (first + out.length <= last) {
      const index = first + out.length;
      const row = this.row(index);
      if (row) {
        out.push(row);
        continue;
      }
      if (!this._source || this._failed) {
        throw this._absent();
      }
      const view = this._view;
      const execution = this._execution;
      const page = await this._source.page(view, index, Math.min(last - index + 1, 10_000));
      if (page.rows.length === 0) {
        break;
      }
      if (view !== this._view || (execution !== null && execution !== page.execution)) {
        return this.range(first, last);
      }
      out.push(...page.rows);
    }
    return out;
  }

  /** All rows as they are sorted and filtered, page by page, of one execution. */
  async *all(): AsyncGenerator<readonly Row[]> {
    if (this._saved && this._saved.length >= this.total) {
      yield this._saved;
      return;
    }
    if (!this._source || this._failed) {
      throw this._absent();
    }
    const view = this._view;
    let execution: number | null = null;
    for (let offset = 0; ;) {
      const page = await this._source.page(view, offset, 10_000);
      if (execution !== null && page.execution !== execution) {
        throw new Error(this._trans.__('The result was given anew meanwhile; try it again.'));
      }
      execution = page.execution;
      if (page.rows.length > 0) {
        yield page.rows;
      }
      offset += page.rows.length;
      if (offset >= page.kept || page.rows.length === 0) {
        return;
      }
    }
  }

  /** See the result otherwise; rejects, and stays as it is, if that can't be. */
  async show(view: View): Promise<void> {
    if (!this._source) {
      throw this._absent();
    }
    const number = ++this._views;
    this._wanted = view;
    this._changing++;
    this._changed.emit();
    try {
      if (isPlain(view) && this._whole) {
        this._reset(view);
        return;
      }
      const page = await this._source.page(view, 0, BLOCK);
      if (number === this._views) {
        this._reset(view);
        this._take(page);
      }
    } finally {
      if (number === this._views) {
        this._wanted = this._view;
      }
      this._changing--;
      this._changed.emit();
    }
  }

  dispose(): void {
    this._disposed = true;
    this._blocks.clear();
    Signal.clearData(this);
  }

  private _absent(): Error {
    return new Error(this._message || this._trans.__('The other rows are not here; run the cell.'));
  }

  private get _all(): number {
    return Math.max(this._result.row_count ?? 0, this._result.rows.length);
  }

  /** Whether the rows that came with the result are all there are. */
  private get _whole(): boolean {
    return !this._result.truncated && this._result.rows.length >= this._all;
  }

  private _reset(view: View): void {
    this._view = view;
    this._blocks.clear();
    this._execution = null;
    this._failed = false;
    this._outdated = false;
    this._message = '';
    this._total = null;
    this._saved = isPlain(view) && this._whole ? this._result.rows : null;
    this._count = this._all;
  }

  private _touch(block: number): void {
    const rows = this._blocks.get(block);
    if (rows) {
      this._blocks.delete(block);
      this._blocks.set(block, rows);
    }
  }

  /** The first row that is looked at and not here; null if there is none. */
  private _missing(): number | null {
    for (let index = this._first; index <= this._last; index++) {
      if (!this.row(index)) {
        return index;
      }
    }
    return null;
  }

  private async _fetch(): Promise<void> {
    if (this._fetching || !this._source) {
      return;
    }
    this._fetching = true;
    try {
      for (let index = this._missing(); index !== null; index = this._missing()) {
        if (this._failed || this._disposed) {
          return;
        }
        const number = this._views;
        const begin = Math.floor(index / BLOCK) * BLOCK;
        const offset = begin + (this._blocks.get(begin / BLOCK)?.length ?? 0);
        const page = await this._source.page(this._view, offset, begin + BLOCK - offset);
        if (number === this._views) {
          this._take(page);
          this._changed.emit();
        }
      }
    } catch (reason) {
      this._fail(reason);
    } finally {
      this._fetching = false;
    }
  }

  private _take(page: Page): void {
    if (this._execution !== page.execution) {
      // Rows of two executions don't fit together; those that came with the result are of another.
      this._execution = page.execution;
      this._blocks.clear();
      if (!this._whole) {
        this._saved = null;
      }
      if (page.offset % BLOCK !== 0) {
        return;
      }
    }
    this._total = page.row_count;
    this._count = page.kept;
    this._last = Math.min(this._last, this._count - 1);
    const block = Math.floor(page.offset / BLOCK);
    this._blocks.set(block, [...(this._blocks.get(block) ?? []), ...page.rows]);
    while (this._blocks.size > MAX_BLOCKS) {
      const [oldest] = this._blocks.keys();
      this._blocks.delete(oldest ?? 0);
    }
  }

  /** There are no pages: what came with the result is all there is to see. */
  private _fail(reason: unknown): void {
    this._failed = true;
    this._outdated = reason instanceof OutdatedError;
    this._message = reason instanceof Error ? reason.message : String(reason);
    if (isPlain(this._view)) {
      this._saved = this._result.rows;
      this._count = this._saved.length;
    }
    this._changed.emit();
  }

  private _saved: readonly Row[] | null;
  private readonly _blocks = new Map<number, Row[]>();
  private readonly _changed = new Signal<this, void>(this);
  private _count: number;
  private _total: number | null = null;
  private _view: View = PLAIN;
  private _wanted: View = PLAIN;
  private _views = 0;
  private _changing = 0;
  private _execution: number | null = null;
  private _message = '';
  private _failed = false;
  private _outdated = false;
  private _fetching = false;
  private _disposed = false;
  private _first = 0;
  private _last = -1;
}
