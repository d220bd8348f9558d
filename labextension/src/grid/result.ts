// A result as it stands in an output: `application/vnd.pgcellar.result+json`.

import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';

import type { Column, Row } from '../wire';

export const MIME = 'application/vnd.pgcellar.result+json';

/** See service/pgcellar/api/rendering.py. */
export interface Result {
  readonly command: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** All rows; null where nobody counts them. */
  readonly row_count: number | null;
  readonly truncated: boolean;
  readonly ms: number;
  /** Its number in its cell, which notebooks of before don't say. */
  readonly statement?: number;
}

/** The result in an output, if it is one that has columns; a notebook file may hold anything. */
export function resultOf(data: ReadonlyPartialJSONValue | undefined): Result | null {
  const found = data as Partial<Result> | null | undefined;
  if (!found || !Array.isArray(found.columns) || !Array.isArray(found.rows)) {
    return null;
  }
  const columns = found.columns as unknown[];
  const rows = found.rows as unknown[];
  if (columns.length === 0 || !columns.every(isColumn)) {
    return null;
  }
  if (!rows.every(row => Array.isArray(row) && row.length === columns.length && isRow(row))) {
    return null;
  }
  return {
    command: typeof found.command === 'string' ? found.command : '',
    columns,
    rows: found.rows,
    row_count: isCount(found.row_count) ? found.row_count : null,
    truncated: found.truncated === true,
    ms: typeof found.ms === 'number' && found.ms >= 0 ? found.ms : 0,
    statement: isCount(found.statement) ? found.statement : 0
  };
}

/** As many as a grid can show: beyond, its pixels are no whole numbers any more. */
const MOST_ROWS = 1e12;

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_ROWS;
}

function isColumn(column: unknown): column is Column {
  const { name, type } = (column ?? {}) as Partial<Column>;
  return typeof name === 'string' && typeof type === 'string';
}

function isRow(row: unknown[]): row is (string | null)[] {
  return row.every(value => value === null || typeof value === 'string');
}

const NUMERIC = new Set([
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
  'money',
  'oid',
  'xid',
  'cid',
  'xid8'
]);

/** The type without what is in brackets. */
export function baseType(type: string): string {
  return type.replace(/ ?\([^()]*\)/, '');
}

/** Whether values are aligned to the right, as psql does. */
export function isNumeric(column: Column): boolean {
  return NUMERIC.has(baseType(column.type));
}
