// How a grid looks: by the theme's variables, as they are now.

import {
  type CellRenderer,
  type DataGrid,
  type GraphicsContext,
  TextRenderer
} from '@lumino/datagrid';

import { isNumeric } from './result';
import { oneLine } from './text';
import type { View } from './view';
import type { Column } from '../wire';

export const ROW_HEIGHT = 24;
export const HEADER_HEIGHT = 40;
/** Where in a header a click opens the filter, counted from its right edge. */
export const FUNNEL = { from: 8, width: 18 };
const PADDING = 8;
const NARROWEST = 60;
const WIDEST = 360;
/** Of a result that has but one: a plan as text, a definition, a document. */
const SOLE = 900;
/** Rows that are looked at for a column's width. */
const MEASURED = 100;

export interface Look {
  readonly style: DataGrid.Style;
  readonly text: string;
  readonly dimmed: string;
  readonly accent: string;
  readonly font: string;
  readonly italic: string;
  readonly bold: string;
  readonly small: string;
}

/** The look of the theme that is on. */
export function lookOf(node: HTMLElement): Look {
  const computed = getComputedStyle(node);
  const read = (name: string): string => computed.getPropertyValue(`--jp-${name}`).trim();
  const family = read('code-font-family') || 'monospace';
  const interfaceFamily = read('ui-font-family') || 'sans-serif';
  const ground = read('layout-color0');
  const header = read('layout-color2');
  const line = read('border-color2');
  const accent = read('brand-color1');
  return {
    style: {
      voidColor: ground,
      backgroundColor: ground,
      gridLineColor: line,
      verticalGridLineColor: read('border-color3'),
      horizontalGridLineColor: read('border-color3'),
      headerBackgroundColor: header,
      headerGridLineColor: line,
      headerVerticalGridLineColor: line,
      headerHorizontalGridLineColor: line,
      selectionFillColor: translucent(accent, 0.18),
      selectionBorderColor: translucent(accent, 0.7),
      cursorFillColor: translucent(accent, 0.1),
      cursorBorderColor: accent,
      headerSelectionFillColor: translucent(accent, 0.18),
      headerSelectionBorderColor: translucent(accent, 0.5),
      scrollShadow: {
        size: 6,
        color1: 'rgba(0, 0, 0, 0.16)',
        color2: 'rgba(0, 0, 0, 0.05)',
        color3: 'rgba(0, 0, 0, 0)'
      }
    },
    text: read('ui-font-color0') || read('content-font-color0'),
    dimmed: read('ui-font-color2'),
    accent,
    font: `13px ${family}`,
    italic: `italic 13px ${family}`,
    bold: `600 13px ${interfaceFamily}`,
    small: `11px ${interfaceFamily}`
  };
}

function translucent(color: string, alpha: number): string {
  const context = document.createElement('canvas').getContext('2d');
  if (!context) {
    return color;
  }
  context.fillStyle = color;
  const [, digits] = /^#([0-9a-f]{6})$/.exec(context.fillStyle) ?? [];
  if (!digits) {
    return color;
  }
  const parts = [0, 2, 4].map(at => Number.parseInt(digits.slice(at, at + 2), 16));
  return `rgba(${parts.join(', ')}, ${alpha})`;
}

/** Draws values: null as such, numbers to the right, what is not here yet as dots. */
export function bodyRenderer(look: Look, columns: readonly Column[]): TextRenderer {
  const numeric = columns.map(isNumeric);
  return new TextRenderer({
    font: ({ value }) => (value === null ? look.italic : look.font),
    textColor: ({ value }) => (typeof value === 'string' ? look.text : look.dimmed),
    horizontalAlignment: ({ column }) => (numeric[column] ? 'right' : 'left'),
    horizontalPadding: PADDING,
    elideDirection: 'right',
    format: ({ value }) => shown(value as string | null | undefined)
  });
}

function shown(value: string | null | undefined): string {
  if (value === undefined) {
    return '…';
  }
  return value === null ? 'NULL' : oneLine(value);
}

/** Draws the numbers of rows. */
export function numberRenderer(look: Look): TextRenderer {
  return new TextRenderer({
    font: look.small,
    textColor: look.dimmed,
    horizontalAlignment: 'right',
    horizontalPadding: PADDING
  });
}

/** Draws a column's name, its type below, how it is sorted, and where it is filtered. */
export class HeaderRenderer extends TextRenderer {
  constructor(
    private readonly _look: Look,
    private readonly _columns: readonly Column[],
    private readonly _view: () => View
  ) {
    super({ font: _look.bold, textColor: _look.text });
  }

  override drawText(gc: GraphicsContext, config: CellRenderer.CellConfig): void {
    const { x, y, width, height } = config;
    const column = this._columns[config.column];
    if (!column) {
      return;
    }
    const { order, filters } = this._view();
    const place = order.findIndex(term => term.column === config.column);
    const filtered = filters.some(filter => filter.column === config.column);
    const room = width - 2 * PADDING - FUNNEL.width;
    gc.beginPath();
    gc.rect(x, y, width, height - 1);
    gc.clip();
    gc.textAlign = 'left';
    gc.textBaseline = 'alphabetic';
    let name = oneLine(column.name);
    if (place >= 0) {
      const arrow = order[place]?.descending ? '▼' : '▲';
      const sign = order.length > 1 ? `${arrow}${place + 1}` : arrow;
      gc.font = this._look.small;
      gc.fillStyle = this._look.accent;
      const space = gc.measureText(sign).width;
      gc.font = this._look.bold;
      name = fitted(gc, name, room - space - 4);
      const end = gc.measureText(name).width;
      gc.font = this._look.small;
      gc.fillText(sign, x + PADDING + end + 4, y + 17);
    } else {
      gc.font = this._look.bold;
      name = fitted(gc, name, room);
    }
    gc.font = this._look.bold;
    gc.fillStyle = this._look.text;
    gc.fillText(name, x + PADDING, y + 17);
    gc.font = this._look.small;
    gc.fillStyle = this._look.dimmed;
    gc.fillText(fitted(gc, oneLine(column.type), room), x + PADDING, y + 33);
    drawFunnel(
      gc,
      x + width - FUNNEL.from - 10,
      y + 15,
      filtered ? this._look.accent : this._look.dimmed,
      filtered
    );
  }
}

function drawFunnel(
  gc: GraphicsContext,
  x: number,
  y: number,
  color: string,
  filled: boolean
): void {
  gc.beginPath();
  gc.moveTo(x, y);
  gc.lineTo(x + 9, y);
  gc.lineTo(x + 5.5, y + 4.5);
  gc.lineTo(x + 5.5, y + 9);
  gc.lineTo(x + 3.5, y + 7.5);
  gc.lineTo(x + 3.5, y + 4.5);
  gc.closePath();
  gc.lineWidth = 1;
  gc.strokeStyle = color;
  gc.fillStyle = color;
  if (filled) {
    gc.fill();
  }
  gc.stroke();
}

function fitted(gc: GraphicsContext, text: string, width: number): string {
  if (gc.measureText(text).width <= width) {
    return text;
  }
  const characters = Array.from(text);
  let low = 0;
  let high = characters.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (gc.measureText(`${characters.slice(0, middle).join('')}…`).width <= width) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return `${characters.slice(0, low).join('')}…`;
}

/** Widths that show what the first rows hold. */
export function widths(
  look: Look,
  columns: readonly Column[],
  rows: readonly (readonly (string | null)[])[]
): number[] {
  const context = document.createElement('canvas').getContext('2d');
  return columns.map((column, index) => {
    if (!context) {
      return NARROWEST;
    }
    context.font = look.bold;
    let widest = context.measureText(oneLine(column.name)).width + FUNNEL.width + 14;
    context.font = look.small;
    widest = Math.max(widest, context.measureText(column.type).width + FUNNEL.width);
    context.font = look.font;
    const em = context.measureText('m').width;
    for (const row of rows.slice(0, MEASURED)) {
      const text = shown(row[index]);
      // Of a monospaced font; what is not ASCII may be wider.
      widest = Math.max(widest, text.length * em, context.measureText(text.slice(0, 60)).width);
    }
    const most = columns.length > 1 ? WIDEST : SOLE;
    return Math.round(Math.min(most, Math.max(NARROWEST, widest + 2 * PADDING + 2)));
  });
}
