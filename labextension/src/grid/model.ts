// A result as lumino's grid reads it.

import { DataModel } from '@lumino/datagrid';

import type { Column } from '../wire';
import type { Rows } from './rows';

/** `missed`: a row that is not here is being painted. */
export class ResultModel extends DataModel {
  constructor(
    readonly columns: readonly Column[],
    private readonly _rows: Rows,
    private readonly _missed: () => void
  ) {
    super();
    this._count = _rows.count;
  }

  rowCount(region: DataModel.RowRegion): number {
    return region === 'body' ? this._count : 1;
  }

  columnCount(region: DataModel.ColumnRegion): number {
    return region === 'body' ? this.columns.length : 1;
  }

  /** A value, null, or undefined where it is not here yet. */
  data(region: DataModel.CellRegion, row: number, column: number): string | null | undefined {
    switch (region) {
      case 'body': {
        const found = this._rows.row(row);
        if (!found) {
          this._missed();
        }
        return found?.[column];
      }
      case 'column-header':
        return this.columns[column]?.name;
      case 'row-header':
        return String(row + 1);
      default:
        return '';
    }
  }

  /** The rows have changed: have them painted. */
  refresh(): void {
    const before = this._count;
    const now = this._rows.count;
    this._count = now;
    if (now > before) {
      this.emitChanged({
        type: 'rows-inserted',
        region: 'body',
        index: before,
        span: now - before
      });
    } else if (now < before) {
      this.emitChanged({ type: 'rows-removed', region: 'body', index: now, span: before - now });
    }
    if (now > 0) {
      this.emitChanged({
        type: 'cells-changed',
        region: 'body',
        row: 0,
        column: 0,
        rowSpan: now,
        columnSpan: this.columns.length
      });
    }
  }

  /** The view has changed: have the headers painted. */
  refreshHeaders(): void {
    this.emitChanged({
      type: 'cells-changed',
      region: 'column-header',
      row: 0,
      column: 0,
      rowSpan: 1,
      columnSpan: this.columns.length
    });
  }

  private _count: number;
}
