// How the cells of a notebook stand: from their last runs, the plan and what the kernel tells.

import type { ICellModel } from '@jupyterlab/cells';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { CellState, Status } from '../tokens';
import type { CellReport, Plan, PlanStep } from '../wire';
import { isShowing } from './outline';

/** Where a cell's last run is kept, so that a notebook opened again says what is out of date. */
const KEY = 'pgcellar';

/** What is kept of a cell's last run with the notebook. */
interface Kept {
  /** What it ran on; empty where it was sent, and it is not known here that it came to its end. */
  readonly input: string;
  readonly state: string | null;
  readonly ms: number;
  readonly failed: boolean;
  /** Whether it showed anything; not known before it has ended. */
  readonly shows?: boolean;
}

interface Passing {
  readonly status: Status;
  readonly reason: string;
}

/** Nothing is said of a cell. */
export const NONE: CellState = { status: 'none', reason: '', report: null, step: null };

/** How the cells stand, by their ids. */
export class CellStates {
  constructor(private readonly _trans: TranslationBundle) {}

  /** The last plan, if there is one. */
  get plan(): Plan | null {
    return this._plan;
  }

  set plan(plan: Plan | null) {
    this._plan = plan;
    this._steps = new Map(plan?.steps.map(step => [step.id, step]));
    this._checking.clear();
  }

  /** Until the next plan it is not known whether these cells' outputs are up to date. */
  doubt(cells: Iterable<string>): void {
    for (const cell of cells) {
      this._checking.add(cell);
    }
  }

  /** A cell was sent, runs, or waits for its tail; null: not any more. */
  pass(cell: string, passing: Passing | null): void {
    if (passing) {
      this._passing.set(cell, passing);
    } else {
      this._passing.delete(cell);
    }
  }

  /** Nothing runs any more. */
  settle(): void {
    this._passing.clear();
  }

  /** A cell is sent: what was kept of its last run does not hold for what it will show. */
  sent(model: ICellModel): void {
    const kept: Kept = { input: '', state: null, ms: 0, failed: false };
    model.setMetadata(KEY, { ...kept });
    this.pass(model.id, { status: 'scheduled', reason: '' });
  }

  /** A cell that was sent came to its end, or was given up. */
  finish(model: ICellModel): void {
    this.pass(model.id, null);
    const kept = keptOf(model);
    if (kept?.input) {
      model.setMetadata(KEY, { ...kept, shows: isShowing(model) });
    }
  }

  /**
   * The run of a cell that was sent has ended. If it did not come to the cell, since one above failed
   * or it was interrupted before, the cell stands as when it was sent.
   */
  ran(model: ICellModel, report: CellReport): void {
    this._reports.set(model.id, report);
    this._passing.delete(model.id);
    if (report.input) {
      const kept: Kept = {
        input: report.input,
        state: report.state,
        ms: report.ms,
        failed: report.error !== null
      };
      model.setMetadata(KEY, { ...kept });
    } else if (report.source !== 'skipped') {
      model.deleteMetadata(KEY);
    }
  }

  /** How a cell stands. */
  of(model: ICellModel): CellState {
    const report = this._reports.get(model.id) ?? null;
    const step = this._steps.get(model.id) ?? null;
    const passing = this._passing.get(model.id);
    if (passing) {
      return { ...passing, report, step };
    }
    if (model.type !== 'code' || !model.sharedModel.getSource().trim()) {
      return NONE;
    }
    return { ...this._judge(model, step), report, step };
  }

  private _judge(model: ICellModel, step: PlanStep | null): Passing {
    const kept = keptOf(model);
    const shows = isShowing(model);
    if (!kept) {
      return { status: shows ? 'unknown' : 'none', reason: '' };
    }
    if (kept.shows && !shows) {
      // Its output was cleared, or went to another cell.
      return { status: 'none', reason: '' };
    }
    if (this._checking.has(model.id) || !this._plan) {
      return { status: 'checking', reason: '' };
    }
    if (!step && !shows) {
      // It takes no part.
      return { status: 'none', reason: '' };
    }
    if (!step || step.input !== kept.input) {
      return { status: 'stale', reason: this._why(kept, step) };
    }
    return { status: kept.failed ? 'failed' : 'current', reason: '' };
  }

  private _why(kept: Kept, step: PlanStep | null): string {
    if (step && !step.input) {
      return this._trans.__('A cell above has to run first.');
    }
    return kept.input ? '' : this._trans.__('It was sent, but did not run to its end here.');
  }

  private _plan: Plan | null = null;
  private _steps = new Map<string, PlanStep>();
  private readonly _reports = new Map<string, CellReport>();
  private readonly _passing = new Map<string, Passing>();
  private readonly _checking = new Set<string>();
}

/** A kernel that is not ours runs a cell: nothing is known of what it will show. */
export function forget(model: ICellModel): void {
  if (model.getMetadata(KEY) !== undefined) {
    model.deleteMetadata(KEY);
  }
}

/** Somebody else's notebook could claim anything of its outputs: it is not trusted before it ran. */
function keptOf(model: ICellModel): Kept | null {
  if (!model.trusted) {
    return null;
  }
  const kept = model.getMetadata(KEY) as Kept | undefined;
  return kept && typeof kept.input === 'string' ? kept : null;
}
