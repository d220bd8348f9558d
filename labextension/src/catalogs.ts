// The wire records of states: that they are kept, what they hold, and what two of them differ in;
// see service/pgcellar/api/catalogs.py.

export type Change = 'added' | 'removed' | 'changed';

/** A state that is kept. */
export interface StateInfo {
  readonly state: string;
  readonly parent: string | null;
  readonly status: string;
  readonly bytes: number;
  readonly cost_ms: number;
  readonly hits: number;
  readonly created: string;
  readonly last_used: string;
  readonly cell: string;
  readonly pinned: boolean;
  readonly tags: readonly string[];
}

/** A sandbox. */
export interface EnvironmentInfo {
  readonly id: string;
  readonly status: 'starting' | 'running' | 'stopped';
  /** The id of the state that is empty, of a sandbox that runs. */
  readonly base: string | null;
}

export interface ColumnInfo {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly default: string | null;
  readonly identity: string | null;
  readonly generated: string | null;
  readonly comment: string | null;
}

/** A constraint, index, trigger, policy or rule. */
export interface PartInfo {
  readonly name: string;
  readonly kind: string;
  readonly definition: string;
  readonly columns: readonly string[];
}

export interface RelationInfo {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'partitioned table' | 'view' | 'materialized view' | 'foreign table';
  readonly owner: string;
  readonly columns: readonly ColumnInfo[];
  readonly key: readonly string[];
  readonly parts: readonly PartInfo[];
  readonly definition: string | null;
  readonly rows: number | null;
  readonly bytes: number;
  readonly options: Readonly<Record<string, string>>;
  readonly comment: string | null;
}

export interface FunctionInfo {
  readonly schema: string;
  readonly name: string;
  readonly arguments: string;
  readonly kind: 'function' | 'procedure' | 'aggregate' | 'window function';
  readonly owner: string;
  readonly returns: string | null;
  readonly language: string;
  readonly definition: string | null;
  readonly comment: string | null;
}

/** Anything else: a schema, type, sequence, extension … */
export interface ObjectInfo {
  readonly kind: string;
  readonly schema: string | null;
  readonly name: string;
  readonly owner: string | null;
  readonly definition: string | null;
  readonly comment: string | null;
}

/** The schema of a state. */
export interface StateDetail {
  readonly state: string;
  readonly relations: readonly RelationInfo[];
  readonly functions: readonly FunctionInfo[];
  readonly objects: readonly ObjectInfo[];
  readonly bytes: number;
  readonly complete: boolean;
}

export interface MemberChange {
  readonly member: string;
  readonly before: string | null;
  readonly after: string | null;
}

export interface ObjectChange {
  readonly kind: string;
  readonly schema: string | null;
  readonly name: string;
  readonly change: Change;
  readonly members: readonly MemberChange[];
}

type Values = readonly (string | null)[];

export interface RowChange {
  readonly change: Change;
  readonly before: Values | null;
  readonly after: Values | null;
}

/** What the rows of a table differ in. */
export interface TableDiff {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
  readonly before: number | null;
  readonly after: number | null;
  readonly added: number | null;
  readonly removed: number | null;
  readonly changed: number | null;
  readonly complete: boolean;
  readonly reason: string | null;
  readonly sample: readonly RowChange[];
}

/** What differs between two states. */
export interface StateDiff {
  readonly before: string;
  readonly after: string;
  readonly objects: readonly ObjectChange[];
  readonly tables: readonly TableDiff[];
  readonly equal: number;
  readonly complete: boolean;
}
