// Asks how a result shall be drawn, and writes the `\chart` that draws it into its cell.

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { Column } from '../wire';
import { isNumeric } from './result';

/** See service/pgcellar/notebook/showing.py. */
const KINDS = ['bar', 'line', 'area', 'point', 'pie', 'histogram', 'heatmap'] as const;
const PLAIN = /^[a-z_][a-z0-9_]*$/;
const CHART = /\n\\chart\b[^\n]*\s*$/;

/** What is asked for. */
class Form extends Widget implements Dialog.IBodyWidget {
  constructor(columns: readonly Column[], trans: TranslationBundle) {
    super();
    this.addClass('pgc-ChartForm');
    const names = columns.map(column => column.name);
    const numeric = columns.findIndex((column, index) => index > 0 && isNumeric(column));
    this._kind = this._select(trans.__('Kind'), KINDS, 'bar');
    this._x = this._select(trans.__('Across (x)'), names, names[0] ?? '');
    this._y = this._select(trans.__('Up (y)'), names, names[Math.max(numeric, 0)] ?? '');
    this._color = this._select(trans.__('Color'), ['', ...names], '');
  }

  getValue(): string {
    const color = this._color.value === '' ? '' : ` color=${quoted(this._color.value)}`;
    return `\\chart ${this._kind.value} x=${quoted(this._x.value)} y=${quoted(this._y.value)}${color}`;
  }

  private _select(label: string, values: readonly string[], value: string): HTMLSelectElement {
    const made = document.createElement('select');
    made.className = 'jp-mod-styled';
    made.append(...values.map(each => new Option(each, each, false, each === value)));
    const line = document.createElement('label');
    line.append(label, made);
    this.node.append(line);
    return made;
  }

  private readonly _kind: HTMLSelectElement;
  private readonly _x: HTMLSelectElement;
  private readonly _y: HTMLSelectElement;
  private readonly _color: HTMLSelectElement;
}

function quoted(name: string): string {
  return PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** The `\chart` that somebody asks for, or null. */
export async function askForChart(
  columns: readonly Column[],
  trans: TranslationBundle
): Promise<string | null> {
  const { button, value } = await showDialog({
    title: trans.__('Draw the Rows'),
    body: new Form(columns, trans),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Draw') })
    ]
  });
  return button.accept ? value : null;
}

/** A cell's text with a chart of its last query, in the place of one that it ends with. */
export function charted(source: string, chart: string): string {
  const text = source.replace(CHART, '').trimEnd();
  const last = text.slice(text.lastIndexOf('\n') + 1);
  // With its semicolon the query gives its rows, and `\chart` draws them once more.
  const isEnded = text.endsWith(';') || last.startsWith('\\');
  const end = isEnded ? '' : last.includes('--') ? '\n;' : ';';
  return `${text}${end}\n${chart}`;
}
