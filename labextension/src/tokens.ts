// What the plugins of this extension share.

import type { NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { CellReport, Plan, PlanStep, Problem, SqlError } from './wire';

/** The name of the kernel. */
export const KERNEL = 'pgcellar';

/** How a cell stands; see `docs/users.md`. */
export type Status =
  | 'none'
  | 'checking'
  | 'current'
  | 'stale'
  | 'unknown'
  | 'scheduled'
  | 'running'
  | 'replaying'
  | 'failed';

/** What a person is told of a cell. */
export interface CellState {
  readonly status: Status;
  /** Why it is so, in a sentence; empty where the status says it all. */
  readonly reason: string;
  /** The report of its last run, if one is known. */
  readonly report: CellReport | null;
  /** What a run of it would do now, if it is known. */
  readonly step: PlanStep | null;
}

/** A question to the kernel failed. */
export class AskError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.hint ? `${problem.detail} ${problem.hint}` : problem.detail);
  }
}

/** A notebook whose kernel is ours. */
export interface ISqlNotebook extends IDisposable {
  readonly panel: NotebookPanel;
  /** How a cell stands. */
  stateOf(cell: string): CellState;
  /** The last plan of the whole notebook, if there is one. */
  readonly plan: Plan | null;
  /** The errors of cells that failed in the last runs they took part in. */
  readonly errors: ReadonlyMap<string, SqlError>;
  /** Emits when the states of cells may have changed. */
  readonly changed: ISignal<ISqlNotebook, void>;
  /** Emits the id of a cell that has run. */
  readonly ran: ISignal<ISqlNotebook, string>;
  /** Ask the kernel something; rejects with an `AskError`. */
  ask<T>(question: string, about?: Record<string, unknown>): Promise<T>;
  /** Run the cells whose outputs are out of date, in order; whether all went well. */
  runStale(): Promise<boolean>;
}

/** The notebooks whose kernel is ours. */
export interface ISqlNotebooks {
  /** The notebook of a panel, if its kernel is ours. */
  of(panel: NotebookPanel | null): ISqlNotebook | null;
  /** The one in front, if its kernel is ours. */
  readonly current: ISqlNotebook | null;
  /** Emits when another notebook, or none, is in front, or its kernel has changed. */
  readonly currentChanged: ISignal<ISqlNotebooks, ISqlNotebook | null>;
}

export const ISqlNotebooks = new Token<ISqlNotebooks>(
  'pgcellar-labextension:ISqlNotebooks',
  'The notebooks whose kernel is “SQL (PostgreSQL)”.'
);
