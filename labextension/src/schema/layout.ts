// Where the tables of a picture go: whoever refers to others stands right of them. Pure.

import type { RelationInfo } from '../catalogs';
import { referenceOf } from './names';

const ROW = 18;
const HEAD = 26;
const WIDTH = 210;
const GAP_X = 90;
const GAP_Y = 26;
const MARGIN = 20;
/** Columns shown of a table. */
export const MOST_COLUMNS = 14;
/** The height that a column of tables may have. */
const TALL = 1500;

/** A table's box. */
export interface Box {
  readonly relation: RelationInfo;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A foreign key: which columns of a box refer to which of another. */
export interface Edge {
  readonly name: string;
  readonly from: Box;
  readonly to: Box;
  readonly fromColumn: string;
  readonly toColumn: string;
}

export interface Layout {
  readonly boxes: readonly Box[];
  readonly edges: readonly Edge[];
  readonly width: number;
  readonly height: number;
}

export const SIZES = { row: ROW, head: HEAD } as const;

interface Key {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly fromColumn: string;
  readonly toColumn: string;
}

/** Where the tables go, and which lines join them. */
export function layOut(relations: readonly RelationInfo[]): Layout {
  const tables = relations.filter(({ kind }) => kind === 'table' || kind === 'partitioned table');
  const keys = keysOf(tables);
  const layers = layersOf(tables.length, keys);
  const boxes: Box[] = [];
  let x = MARGIN;
  let bottom = 0;
  for (const layer of layers) {
    let y = MARGIN;
    for (const index of layer) {
      const relation = tables[index];
      if (!relation) {
        continue;
      }
      const height = HEAD + shownRows(relation) * ROW + 6;
      if (y > MARGIN && y + height > TALL) {
        x += WIDTH + GAP_X / 2;
        y = MARGIN;
      }
      boxes[index] = { relation, x, y, width: WIDTH, height };
      y += height + GAP_Y;
      bottom = Math.max(bottom, y);
    }
    x += WIDTH + GAP_X;
  }
  const edges = keys.flatMap(({ from, to, ...key }) => {
    const [one, other] = [boxes[from], boxes[to]];
    return one && other ? [{ ...key, from: one, to: other }] : [];
  });
  return { boxes, edges, width: x - GAP_X + MARGIN, height: bottom - GAP_Y + MARGIN };
}

/** How many rows a table's box has. */
export function shownRows({ columns }: RelationInfo): number {
  return columns.length > MOST_COLUMNS ? MOST_COLUMNS + 1 : columns.length;
}

/** The middle of a column's row in a box; of the last row where the column is not shown. */
export function rowOf(box: Box, column: string): number {
  const index = box.relation.columns.findIndex(each => each.name === column);
  const row = index < 0 || index >= MOST_COLUMNS ? shownRows(box.relation) - 1 : index;
  return box.y + HEAD + (Math.max(row, 0) + 0.5) * ROW;
}

/** A point of a line. */
export type Point = readonly [x: number, y: number];

/** A line between two points that goes round the boxes that stand between them. */
export function route(start: Point, end: Point, boxes: readonly Box[]): Point[] {
  const [left, right] = start[0] < end[0] ? [start[0], end[0]] : [end[0], start[0]];
  const columns = new Map<number, Box[]>();
  for (const box of boxes) {
    if (box.x > left && box.x + box.width < right) {
      columns.set(box.x, [...(columns.get(box.x) ?? []), box]);
    }
  }
  const points: Point[] = [start];
  for (const [x, column] of [...columns].sort(([a], [b]) => (start[0] < end[0] ? a - b : b - a))) {
    const near = points.at(-1)?.[1] ?? start[1];
    const lanes = column.flatMap(box => [box.y - GAP_Y / 2, box.y + box.height + GAP_Y / 2]);
    const inside = column.some(box => near > box.y - 4 && near < box.y + box.height + 4);
    const y = inside ? nearest(lanes, near) : near;
    const [enter, leave] = start[0] < end[0] ? [x, x + WIDTH] : [x + WIDTH, x];
    points.push([enter, y], [leave, y]);
  }
  return [...points, end];
}

function nearest(values: readonly number[], wanted: number): number {
  return values.reduce((best, value) =>
    Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best
  );
}

function keysOf(tables: readonly RelationInfo[]): Key[] {
  const places = new Map(
    tables.map(({ schema, name }, index) => [JSON.stringify([schema, name]), index])
  );
  return tables.flatMap((table, from) =>
    table.parts.flatMap(part => {
      const reference = part.kind === 'foreign key' ? referenceOf(part.definition) : null;
      const to = reference && places.get(JSON.stringify([reference.schema, reference.name]));
      return reference && to != null
        ? [
            {
              name: part.name,
              from,
              to,
              fromColumn: part.columns[0] ?? '',
              toColumn: reference.columns[0] ?? ''
            }
          ]
        : [];
    })
  );
}

/** The tables by how far they are from those that refer to nothing; those without keys last. */
function layersOf(size: number, keys: readonly Key[]): number[][] {
  const joined = new Set(keys.filter(key => key.from !== key.to).flatMap(k => [k.from, k.to]));
  const depth = Array.from({ length: size }, () => 0);
  // A chain without a cycle is no longer than there are tables; a cycle ends here.
  for (let round = 0; round < Math.min(size, 30); round += 1) {
    let moved = false;
    for (const { from, to } of keys) {
      const least = (depth[to] ?? 0) + 1;
      if (from !== to && (depth[from] ?? 0) < least && least < size) {
        depth[from] = least;
        moved = true;
      }
    }
    if (!moved) {
      break;
    }
  }
  const layers: number[][] = [];
  const values = [...new Set([...joined].map(index => depth[index] ?? 0))].sort((a, b) => a - b);
  for (const value of values) {
    layers.push([...joined].filter(index => depth[index] === value).sort((a, b) => a - b));
  }
  untangle(layers, keys);
  const alone = Array.from({ length: size }, (_, index) => index).filter(i => !joined.has(i));
  return alone.length > 0 ? [...layers, alone] : layers;
}

/** Put each table near the middle of those that it refers to. */
function untangle(layers: number[][], keys: readonly Key[]): void {
  const place = new Map<number, number>();
  for (const layer of layers) {
    const middle = new Map(
      layer.map((index, at) => {
        const above = keys
          .filter(key => key.from === index && place.has(key.to))
          .map(key => place.get(key.to) ?? 0);
        return [index, above.length ? above.reduce((a, b) => a + b) / above.length : at];
      })
    );
    layer.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0));
    layer.forEach((index, at) => place.set(index, at));
  }
}
