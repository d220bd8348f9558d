// What a screen reader is told of a grid, which is drawn on a canvas.

import type { DataGrid } from '@lumino/datagrid';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';

import type { Rows } from './rows';
import { visible } from './text';
import type { Column } from '../wire';

/** Characters of a value that are read out. */
const SPOKEN = 1000;

/** Cells of the grid that can't be seen: the headers, and the cell that the cursor is on. */
export class Speaking {
  constructor(
    private readonly _grid: DataGrid,
    columns: readonly Column[],
    private readonly _rows: Rows,
    private readonly _trans: TranslationBundle
  ) {
    const { node } = _grid.viewport;
    node.tabIndex = 0;
    node.setAttribute('role', 'grid');
    node.setAttribute('aria-label', _trans.__('Result'));
    node.setAttribute('aria-readonly', 'true');
    node.setAttribute('aria-multiselectable', 'true');
    node.setAttribute('aria-colcount', String(columns.length));
    this._headers = columns.map((column, index) => {
      const header = cell('columnheader', index);
      header.textContent = `${visible(column.name)} (${visible(column.type)})`;
      return header;
    });
    this._cell = cell('gridcell', 0);
    this._cell.id = UUID.uuid4();
    this._row = row(1, [this._cell]);
    const hidden = document.createElement('div');
    hidden.className = 'pgc-Unseen';
    hidden.append(row(0, this._headers), this._row);
    node.append(hidden);
    this.update();
  }

  /** The cursor moved, rows came, or the view changed. */
  update(): void {
    const { node } = this._grid.viewport;
    node.setAttribute('aria-rowcount', String(this._rows.count + 1));
    this._headers.forEach((header, index) => {
      const term = this._rows.view.order.find(found => found.column === index);
      const sort = term ? (term.descending ? 'descending' : 'ascending') : 'none';
      header.setAttribute('aria-sort', sort);
    });
    const model = this._grid.selectionModel;
    if (!model || model.cursorRow < 0 || model.cursorColumn < 0) {
      node.removeAttribute('aria-activedescendant');
      return;
    }
    const value = this._rows.row(model.cursorRow)?.[model.cursorColumn];
    this._row.setAttribute('aria-rowindex', String(model.cursorRow + 2));
    this._cell.setAttribute('aria-colindex', String(model.cursorColumn + 1));
    this._cell.setAttribute('aria-selected', 'true');
    this._cell.setAttribute('aria-busy', String(value === undefined));
    if (value === null) {
      // Not the text NULL.
      this._cell.setAttribute('aria-description', this._trans.__('no value'));
    } else {
      this._cell.removeAttribute('aria-description');
    }
    const text = value === undefined ? this._trans.__('loading') : (value ?? 'NULL');
    this._cell.textContent = visible(text.slice(0, SPOKEN));
    node.setAttribute('aria-activedescendant', this._cell.id);
  }

  private readonly _headers: readonly HTMLElement[];
  private readonly _cell: HTMLElement;
  private readonly _row: HTMLElement;
}

function cell(role: string, column: number): HTMLElement {
  const made = document.createElement('div');
  made.setAttribute('role', role);
  made.setAttribute('aria-colindex', String(column + 1));
  return made;
}

function row(index: number, cells: readonly HTMLElement[]): HTMLElement {
  const made = document.createElement('div');
  made.setAttribute('role', 'row');
  made.setAttribute('aria-rowindex', String(index + 1));
  made.append(...cells);
  return made;
}
