// The wire records of the service that the front end reads; see service/pgcellar/api/records.py.

export type Source = 'head' | 'hit' | 'replayed' | 'skipped';
export type Effect = 'none' | 'read' | 'write' | 'session' | 'pinning' | 'global';

/** A problem document (RFC 9457). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly hint: string | null;
}

export interface SqlError {
  readonly sqlstate: string;
  readonly message: string;
  readonly severity: string;
  readonly position: number | null;
  readonly cell: string | null;
  readonly detail: string | null;
  readonly hint: string | null;
}

/** How one cell of a run went. */
export interface CellReport {
  readonly id: string;
  readonly state: string | null;
  readonly effect: Effect;
  readonly source: Source;
  readonly ms: number;
  readonly rows: number | null;
  readonly error: SqlError | null;
  readonly pinned: string | null;
  readonly volatile: boolean;
  readonly input: string | null;
}

/** What a run would do with one cell, and why. */
export interface PlanStep {
  readonly id: string;
  readonly state: string | null;
  readonly effect: Effect;
  readonly source: Source;
  readonly reason: string;
  readonly volatile: boolean;
  readonly input: string | null;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  readonly first_miss: string | null;
  readonly planning_ms: number;
}

/** A result column. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

export type Row = readonly (string | null)[];

/** Some rows of a result. */
export interface Page {
  readonly state: string;
  readonly execution: number;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  readonly offset: number;
  readonly row_count: number;
  readonly kept: number;
  readonly complete: boolean;
}

/** What the kernel tells of its own accord. */
export type KernelEvent =
  | { readonly event: 'hello'; readonly version: number }
  /** A message to the kernel did not come: it does not know the notebook as it stands. */
  | { readonly event: 'lost' }
  | { readonly event: 'running'; readonly cell: string }
  /** A run that was told of is over, and there is no report of it. */
  | { readonly event: 'ended'; readonly cell: string }
  | {
      readonly event: 'progress';
      readonly cell: string;
      readonly message: string;
      readonly at: string | null;
      readonly left: number;
      /** The command that a long statement is, or `replay`; `done` of `total` where it is known. */
      readonly what: string | null;
      readonly done: number | null;
      readonly total: number | null;
    }
  | {
      readonly event: 'edit';
      readonly cell: string;
      /** Pieces of the cell's text to be replaced: as they are, and as they become. */
      readonly edits: readonly (readonly [string, string])[];
    }
  | {
      readonly event: 'ran';
      readonly cell: string;
      readonly cells: readonly CellReport[];
      readonly error: SqlError | null;
    };
