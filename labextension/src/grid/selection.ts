// What is selected in a grid, as rows and columns.

import type { SelectionModel } from '@lumino/datagrid';

/** A rectangle of cells, ends included. */
export interface Part {
  readonly firstRow: number;
  readonly lastRow: number;
  readonly firstColumn: number;
  readonly lastColumn: number;
}

/** The parts that are selected, within the result, from the top. */
export function parts(model: SelectionModel | null, rows: number, columns: number): Part[] {
  const found = [...(model?.selections() ?? [])].map(({ r1, r2, c1, c2 }) => ({
    firstRow: Math.max(0, Math.min(r1, r2)),
    lastRow: Math.min(rows - 1, Math.max(r1, r2)),
    firstColumn: Math.max(0, Math.min(c1, c2)),
    lastColumn: Math.min(columns - 1, Math.max(c1, c2))
  }));
  return found
    .filter(part => part.firstRow <= part.lastRow && part.firstColumn <= part.lastColumn)
    .sort((one, other) => one.firstRow - other.firstRow || one.firstColumn - other.firstColumn);
}
