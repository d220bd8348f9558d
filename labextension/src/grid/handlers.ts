// What mouse and keys do in a grid.

import { BasicKeyHandler, BasicMouseHandler, type DataGrid } from '@lumino/datagrid';
import { Platform } from '@lumino/domutils';

import { FUNNEL } from './look';

/** Pixels at the edges of a header by which a column is resized, as in lumino. */
const EDGE = { left: 5, right: 6 };
/** Milliseconds that a turn of the wheel goes on where it began. */
const TURN = 250;
/** Pixels that a key makes a column wider or narrower by. */
const STEP = 20;

/** What can be done to what is shown. */
export interface Acts {
  sort(column: number, more: boolean): void;
  filter(column: number): void;
  widen(column: number, by: number): void;
  open(row: number, column: number): void;
  copy(): void;
  leave(): void;
}

/** Knows where the wheel began to turn: a page that scrolls must not be held up by a grid. */
export class Wheel {
  constructor() {
    const follow = (event: WheelEvent): void => {
      if (event.timeStamp - this._at > TURN) {
        this._began = event.target;
      }
      this._at = event.timeStamp;
    };
    document.addEventListener('wheel', follow, { capture: true, passive: true });
  }

  /** Whether it began to turn within a node. */
  isWithin(node: HTMLElement): boolean {
    return this._began instanceof Node && node.contains(this._began);
  }

  private _began: EventTarget | null = null;
  private _at = -Infinity;
}

export class Mouse extends BasicMouseHandler {
  constructor(
    private readonly _acts: Acts,
    private readonly _wheel: Wheel
  ) {
    super();
  }

  override onMouseDown(grid: DataGrid, event: MouseEvent): void {
    const hit = grid.hitTest(event.clientX, event.clientY);
    const right = hit.width - hit.x;
    const resizes = right <= EDGE.right || (hit.column > 0 && hit.x <= EDGE.left);
    if (hit.region !== 'column-header' || resizes || Platform.accelKey(event)) {
      super.onMouseDown(grid, event);
    } else if (right <= FUNNEL.from + FUNNEL.width && hit.y < 30) {
      this._acts.filter(hit.column);
    } else {
      this._acts.sort(hit.column, event.shiftKey);
    }
  }

  override onMouseDoubleClick(grid: DataGrid, event: MouseEvent): void {
    const { region, row, column } = grid.hitTest(event.clientX, event.clientY);
    if (region === 'body') {
      this.release();
      this._acts.open(row, column);
    } else if (region !== 'column-header') {
      super.onMouseDoubleClick(grid, event);
    }
  }

  /** The menu is about what is under the mouse. */
  override onContextMenu(grid: DataGrid, event: MouseEvent): void {
    const { region, row, column } = grid.hitTest(event.clientX, event.clientY);
    const model = grid.selectionModel;
    if (!model) {
      return;
    }
    if (region === 'body' && !model.isCellSelected(row, column)) {
      const place = { cursorRow: row, cursorColumn: column };
      model.select({ r1: row, c1: column, r2: row, c2: column, ...place, clear: 'all' });
    } else if (region === 'column-header' && !model.isColumnSelected(column)) {
      const place = { cursorRow: 0, cursorColumn: column };
      model.select({ r1: 0, c1: column, r2: Infinity, c2: column, ...place, clear: 'all' });
    }
  }

  override onWheel(grid: DataGrid, event: WheelEvent): void {
    if (this._wheel.isWithin(grid.node)) {
      super.onWheel(grid, event);
    }
  }
}

export class Keys extends BasicKeyHandler {
  constructor(private readonly _acts: Acts) {
    super();
  }

  override onKeyDown(grid: DataGrid, event: KeyboardEvent): void {
    if (this._act(grid, event)) {
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key !== 'Tab') {
      // The Tab key goes on to what comes next on the page.
      super.onKeyDown(grid, event);
    }
  }

  private _act(grid: DataGrid, event: KeyboardEvent): boolean {
    const model = grid.selectionModel;
    if (!model) {
      return false;
    }
    const row = Math.max(0, model.cursorRow);
    const column = Math.max(0, model.cursorColumn);
    const accel = Platform.accelKey(event);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const rows = grid.dataModel?.rowCount('body') ?? 0;
    const columns = grid.dataModel?.columnCount('body') ?? 0;
    const place = { cursorRow: row, cursorColumn: column };
    const go = (toRow: number, toColumn: number): void => {
      const to = { cursorRow: toRow, cursorColumn: toColumn };
      model.select({ r1: toRow, c1: toColumn, r2: toRow, c2: toColumn, ...to, clear: 'all' });
      grid.scrollToCursor();
    };
    if (accel && key === 'c') {
      this._acts.copy();
    } else if (accel && key === 'a') {
      model.select({ r1: 0, c1: 0, r2: Infinity, c2: Infinity, ...place, clear: 'all' });
    } else if (key === ' ' && accel) {
      model.select({ r1: 0, c1: column, r2: Infinity, c2: column, ...place, clear: 'all' });
    } else if (key === ' ' && event.shiftKey) {
      model.select({ r1: row, c1: 0, r2: row, c2: Infinity, ...place, clear: 'all' });
    } else if (key === 'Enter' && model.cursorRow >= 0) {
      this._acts.open(row, column);
    } else if (key === 's' && !accel && !event.altKey) {
      this._acts.sort(column, event.shiftKey);
    } else if (key === 'f' && !accel && !event.altKey) {
      this._acts.filter(column);
    } else if ((key === '<' || key === '>') && !accel && !event.altKey) {
      this._acts.widen(column, key === '>' ? STEP : -STEP);
    } else if (key === 'Home') {
      go(accel ? 0 : row, 0);
    } else if (key === 'End') {
      go(accel ? rows - 1 : row, columns - 1);
    } else if (key === 'Escape' && model.isEmpty) {
      this._acts.leave();
    } else if (key.startsWith('Arrow') && model.cursorRow < 0 && rows > 0) {
      go(Math.max(0, Math.floor(grid.scrollY / grid.defaultSizes.rowHeight)), 0);
    } else {
      return false;
    }
    return true;
  }
}
