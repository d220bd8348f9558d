// What the state panel shows and does.

import type { TranslationBundle } from '@jupyterlab/translation';

import type { StateInfo } from '../catalogs';
import { sentence } from '../sentence';
import type { ISqlNotebooks } from '../tokens';
import { above, type Link } from './chain';
import { bringBack, type End } from './comparing';
import { Following } from './following';
import { short } from './format';
import type { KeptStates } from './kept';

/** Shows what two states differ in. */
export type ShowDifference = (before: End, after: End) => void;

const LABEL = 60;

/** See the module. */
export class StatesModel extends Following {
  constructor(
    notebooks: ISqlNotebooks,
    kept: KeptStates,
    private readonly _showDifference: ShowDifference,
    private readonly _trans: TranslationBundle
  ) {
    super(notebooks, kept);
  }

  /** What is being done that takes a while, in words. */
  get busy(): string | null {
    return this._busy;
  }

  /** What went wrong last, in a sentence. */
  get fault(): string | null {
    return this._fault;
  }

  /** The states that are kept and not this notebook's: those with a name first. */
  get others(): readonly StateInfo[] {
    const own = new Set(this.chain.map(link => link.state));
    const others = [...this.kept.all.values()].filter(info => !own.has(info.state));
    const named = (info: StateInfo): number => (info.pinned || info.tags.length > 0 ? 0 : 1);
    return others.sort((a, b) => named(a) - named(b) || b.last_used.localeCompare(a.last_used));
  }

  /** The states that can be compared: the notebook's in order, then others. */
  get ends(): readonly End[] {
    const own = this.chain.filter(link => link.moves).map(link => this._end(link));
    const others = this.others.map(info => ({
      key: info.state,
      label: cut([...info.tags, info.cell || short(info.state)].join(' · ')),
      state: info.state,
      cell: null
    }));
    return [...own, ...others];
  }

  /** Show what two states differ in. */
  compare(before: End, after: End): void {
    this._showDifference(before, after);
  }

  /** Show what a cell changed. */
  whatChanged(cell: string): void {
    const link = this.chain.find(each => each.cell === cell);
    const before = above(this.chain, cell);
    if (link && before) {
      this.compare(this._end(before), this._end(link));
    }
  }

  async pin(state: string, pinned: boolean): Promise<void> {
    await this._do(null, () => this.kept.pin(state, pinned));
  }

  async tag(state: string, tag: string, tagged: boolean): Promise<void> {
    await this._do(null, () => this.kept.tag(state, tag, tagged));
  }

  /** Have the state after a cell kept. */
  async keep(cell: string): Promise<void> {
    const notebook = this.notebook;
    if (notebook) {
      await this._do(this._trans.__('Replaying what it takes …'), async () => {
        await bringBack(cell, notebook, this.kept, this._trans);
      });
    }
  }

  private async _do(busy: string | null, what: () => Promise<void>): Promise<void> {
    this._busy = busy;
    this._fault = null;
    this.update();
    try {
      await what();
    } catch (reason) {
      this._fault = sentence(reason);
    } finally {
      this._busy = null;
      this.update();
    }
  }

  private _end({ cell, number, title, state }: Link): End {
    return cell === null
      ? { key: 'base', label: this._trans.__('Base'), state, cell }
      : { key: cell, label: cut(`[${number}] ${title}`), state, cell };
  }

  private _busy: string | null = null;
  private _fault: string | null = null;
}

function cut(label: string): string {
  return label.length > LABEL ? `${label.slice(0, LABEL)}…` : label;
}
