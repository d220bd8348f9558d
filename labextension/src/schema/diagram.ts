// The picture of a state's tables and foreign keys: SVG, made node by node, names as text.

import type { TranslationBundle } from '@jupyterlab/translation';
import { addIcon, type LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import type { RelationInfo, StateDetail } from '../catalogs';
import { visible } from '../grid/text';
import { fitIcon, lessIcon } from '../states/icons';
import {
  type Box,
  type Edge,
  layOut,
  type Layout,
  MOST_COLUMNS,
  type Point,
  route,
  rowOf,
  SIZES
} from './layout';
import { named } from './names';

const SVG = 'http://www.w3.org/2000/svg';
const STEP = 1.25;
const LEAST = 0.1;
const MOST = 3;
/** Characters of a name and of a type that fit. */
const NAME = 17;
const TYPE = 13;
const HEADING = 23;
/** How far a line goes out that turns round. */
const BEND = 40;

/** See the module. */
export class Diagram extends Widget {
  constructor(detail: StateDetail, trans: TranslationBundle) {
    super();
    this.addClass('pgc-Diagram');
    this._drawn = layOut(detail.relations);
    this._scroll = document.createElement('div');
    this._scroll.className = 'pgc-Diagram-scroll';
    this._scroll.tabIndex = 0;
    this._scroll.setAttribute('role', 'group');
    this._scroll.setAttribute('aria-label', trans.__('Tables and their foreign keys'));
    if (this._drawn.boxes.length === 0) {
      const words = document.createElement('p');
      words.className = 'pgc-Words';
      words.textContent = trans.__('The state has no tables to draw.');
      this.node.append(words);
      this._picture = element('svg', {});
      return;
    }
    this._picture = draw(this._drawn, trans);
    this._scroll.append(this._picture);
    this.node.append(this._bar(trans), this._scroll);
    this._scroll.addEventListener('wheel', event => this._onWheel(event), { passive: false });
    this._scroll.addEventListener('pointerdown', event => this._onPointer(event));
    this._scroll.addEventListener('pointermove', event => this._onPointer(event));
    this._zoom(1);
  }

  private _bar(trans: TranslationBundle): HTMLElement {
    const bar = document.createElement('div');
    bar.className = 'pgc-Diagram-bar';
    bar.setAttribute('role', 'toolbar');
    const add = (icon: LabIcon, label: string, act: () => void): void => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'pgc-IconButton';
      button.title = label;
      button.setAttribute('aria-label', label);
      button.append(icon.element({ tag: 'span', width: '16px', height: '16px' }));
      button.addEventListener('click', act);
      bar.append(button);
    };
    add(addIcon, trans.__('Larger'), () => this._zoom(this._scale * STEP));
    add(lessIcon, trans.__('Smaller'), () => this._zoom(this._scale / STEP));
    add(fitIcon, trans.__('Show all'), () => this._showAll());
    const words = document.createElement('span');
    words.textContent = [
      trans._n('%1 table', '%1 tables', this._drawn.boxes.length),
      trans._n('%1 foreign key', '%1 foreign keys', this._drawn.edges.length)
    ].join(', ');
    bar.append(words);
    return bar;
  }

  private _showAll(): void {
    const { clientWidth, clientHeight } = this._scroll;
    const { width, height } = this._drawn;
    this._zoom(Math.min(clientWidth / width, clientHeight / height, 1));
  }

  private _zoom(scale: number): void {
    this._scale = Math.min(MOST, Math.max(LEAST, scale));
    const { width, height } = this._drawn;
    this._picture.setAttribute('width', String(width * this._scale));
    this._picture.setAttribute('height', String(height * this._scale));
  }

  private _onWheel(event: WheelEvent): void {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this._zoom(this._scale * (event.deltaY < 0 ? STEP : 1 / STEP));
    }
  }

  /** Dragging moves the picture. */
  private _onPointer(event: PointerEvent): void {
    if (event.type === 'pointerdown') {
      // The scroll bars belong to the element around it.
      this._dragged = event.target !== this._scroll;
      if (this._dragged) {
        this._scroll.setPointerCapture(event.pointerId);
      }
    } else if (this._dragged && event.buttons === 1) {
      this._scroll.scrollBy(-event.movementX, -event.movementY);
    }
  }

  private readonly _drawn: Layout;
  private readonly _scroll: HTMLElement;
  private readonly _picture: SVGElement;
  private _scale = 1;
  private _dragged = false;
}

function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  text?: string
): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  if (text !== undefined) {
    made.textContent = text;
  }
  return made;
}

function draw(layout: Layout, trans: TranslationBundle): SVGElement {
  const { width, height } = layout;
  const picture = element('svg', { viewBox: `0 0 ${width} ${height}`, role: 'group' });
  picture.append(...layout.edges.map(edge => lineOf(edge, layout.boxes, trans)));
  picture.append(...layout.boxes.map(box => boxOf(box, trans)));
  return picture;
}

function lineOf(edge: Edge, boxes: readonly Box[], trans: TranslationBundle): SVGElement {
  const { from, to } = edge;
  const [y1, y2] = [rowOf(from, edge.fromColumn), rowOf(to, edge.toColumn)];
  const left = from.x > to.x + to.width;
  const x1 = left ? from.x : from.x + from.width;
  // A table that refers to one beside it, or to itself, turns round on the right.
  const x2 = from.x + from.width < to.x ? to.x : to.x + to.width;
  const line = element('g', { class: 'pgc-Diagram-key' });
  line.append(
    element(
      'title',
      {},
      visible(trans.__('%1: %2 → %3', edge.name, named(from.relation), named(to.relation)))
    ),
    element('path', { d: pathOf(edge, [x1, y1], [x2, y2], boxes) }),
    element('circle', { cx: x2, cy: y2, r: 3.5 })
  );
  return line;
}

function pathOf({ to }: Edge, start: Point, end: Point, boxes: readonly Box[]): string {
  if (end[0] !== to.x && start[0] < end[0] + BEND) {
    // Side by side: round on the right.
    const out = Math.max(start[0], end[0]) + BEND;
    return `M${start.join(' ')}C${out} ${start[1]} ${out} ${end[1]} ${end.join(' ')}`;
  }
  const path = [`M${start.join(' ')}`];
  let [x, y] = start;
  for (const [nextX, nextY] of route(start, end, boxes).slice(1)) {
    const middle = (x + nextX) / 2;
    path.push(`C${middle} ${y} ${middle} ${nextY} ${nextX} ${nextY}`);
    [x, y] = [nextX, nextY];
  }
  return path.join('');
}

function boxOf({ relation, x, y, width, height }: Box, trans: TranslationBundle): SVGElement {
  const box = element('g', { class: 'pgc-Diagram-table', transform: `translate(${x} ${y})` });
  const name = named(relation);
  const { row, head } = SIZES;
  box.append(
    element('title', {}, visible(name)),
    element('rect', { class: 'pgc-Diagram-body', width, height, rx: 4 }),
    element('path', {
      class: 'pgc-Diagram-head',
      d: `M0 ${head}V4a4 4 0 0 1 4-4H${width - 4}a4 4 0 0 1 4 4V${head}z`
    }),
    element('text', { class: 'pgc-Diagram-name', x: 8, y: 18 }, cut(name, HEADING))
  );
  const shown = relation.columns.slice(0, MOST_COLUMNS);
  shown.forEach((column, index) => {
    const middle = head + index * row + 13;
    box.append(
      element(
        'text',
        { class: classOf(relation, column.name), x: 8, y: middle },
        cut(column.name, NAME)
      ),
      element(
        'text',
        { class: 'pgc-Diagram-type', x: width - 8, y: middle },
        cut(column.type, TYPE)
      )
    );
  });
  const left = relation.columns.length - shown.length;
  if (left > 0) {
    const words = trans._n('… %1 more column', '… %1 more columns', left);
    const bottom = head + shown.length * row + 13;
    box.append(element('text', { class: 'pgc-Diagram-more', x: 8, y: bottom }, words));
  }
  return box;
}

function classOf({ key }: RelationInfo, column: string): string {
  return key.includes(column) ? 'pgc-Diagram-column pgc-mod-key' : 'pgc-Diagram-column';
}

/** A text as it fits, with nothing in it that reorders what stands beside it. */
function cut(text: string, most: number): string {
  const seen = visible(text);
  return seen.length > most ? `${seen.slice(0, most - 1)}…` : seen;
}
