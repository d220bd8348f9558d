// Two states and what they differ in; one that is not kept can be brought back by its cell.

import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';

import type { StateDiff } from '../catalogs';
import { request } from '../request';
import { sentence } from '../sentence';
import { AskError, type ISqlNotebook } from '../tokens';
import type { KeptStates } from './kept';

/** One of two states that are compared. */
export interface End {
  /** Tells it from others: its cell, or its state. */
  readonly key: string;
  readonly label: string;
  readonly state: string | null;
  /** The cell that leads to it, which the notebook has; null for others. */
  readonly cell: string | null;
}

/** The answer of the kernel to `keep`. */
interface Reached {
  readonly state: string | null;
  readonly pinned: string | null;
}

/** Have the state after a cell kept, replaying what it takes; the state. Rejects with an `AskError`. */
export async function bringBack(
  cell: string,
  notebook: ISqlNotebook,
  kept: KeptStates,
  trans: TranslationBundle
): Promise<string> {
  const { state, pinned } = await notebook.ask<Reached>('keep', { cell });
  if (state && (kept.all.has(state) || (!pinned && (await kept.wait(state))))) {
    return state;
  }
  const detail = pinned
    ? trans.__('The state can’t be kept: it is tied to the live connection (%1).', pinned)
    : trans.__('The state was reached, but is not kept.');
  const hint = pinned
    ? trans.__('End what ties it, or compare with a state above.')
    : trans.__('Wait until nothing else runs in the sandbox, and try it again.');
  const title = detail;
  throw new AskError({
    type: 'urn:pgcellar:PC000',
    title,
    status: 409,
    code: 'PC000',
    detail,
    hint
  });
}

/** How far a comparison is. */
export type Progress =
  | { readonly step: 'comparing' | 'replaying' }
  | { readonly step: 'missing'; readonly which: readonly End[] }
  | { readonly step: 'failed'; readonly why: string }
  | { readonly step: 'done'; readonly diff: StateDiff };

/** See the module. */
export class Comparison extends VDomModel {
  constructor(
    private _before: End,
    private _after: End,
    private readonly _notebook: ISqlNotebook | null,
    private readonly _kept: KeptStates,
    private readonly _trans: TranslationBundle
  ) {
    super();
    void this.compare();
  }

  get before(): End {
    return this._before;
  }

  get after(): End {
    return this._after;
  }

  get progress(): Progress {
    return this._progress;
  }

  /** Whether those that are missing can be brought back. */
  get recoverable(): boolean {
    const { progress } = this;
    return (
      progress.step === 'missing' &&
      this._notebook?.isDisposed === false &&
      progress.which.every(end => end.cell !== null)
    );
  }

  /** Ask for the difference. */
  async compare(): Promise<void> {
    this._go({ step: 'comparing' });
    await this._kept.refresh();
    const which = [this._before, this._after].filter(
      end => end.state === null || !this._kept.all.has(end.state)
    );
    if (this._kept.fault !== null) {
      this._go({ step: 'failed', why: this._kept.fault });
      return;
    }
    if (which.length > 0) {
      this._go({ step: 'missing', which });
      return;
    }
    try {
      const path = `states/${this._before.state ?? ''}/diff/${this._after.state ?? ''}`;
      this._go({
        step: 'done',
        diff: await request<StateDiff>(path, this._trans, { signal: this._left.signal })
      });
    } catch (reason) {
      this._go({ step: 'failed', why: sentence(reason) });
    }
  }

  /** Have the states that are missing kept, and compare them. */
  async recover(): Promise<void> {
    if (this._progress.step !== 'missing' || !this._notebook) {
      return;
    }
    const missing = this._progress.which;
    this._go({ step: 'replaying' });
    try {
      if (missing.includes(this._before)) {
        this._before = await this._bring(this._before, this._notebook);
      }
      if (missing.includes(this._after)) {
        this._after = await this._bring(this._after, this._notebook);
      }
    } catch (reason) {
      this._go({ step: 'failed', why: sentence(reason) });
      return;
    }
    await this.compare();
  }

  private async _bring(end: End, notebook: ISqlNotebook): Promise<End> {
    if (end.cell === null) {
      return end;
    }
    return { ...end, state: await bringBack(end.cell, notebook, this._kept, this._trans) };
  }

  override dispose(): void {
    // Nobody waits for it any more.
    this._left.abort();
    super.dispose();
  }

  private _go(progress: Progress): void {
    this._progress = progress;
    this.stateChanged.emit();
  }

  private readonly _left = new AbortController();
  private _progress: Progress = { step: 'comparing' };
}
