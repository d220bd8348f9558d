// Values as text: as they are drawn, copied, and shown at length. Pure.

import type { Column, Row } from '../wire';
import { baseType } from './result';

/** Characters of a value that are drawn: more than fit on any screen. */
const DRAWN = 400;
/** Marks that reorder the text beside them, and characters that draw nothing or break the line. */
const UNSEEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const SIGNS: Readonly<Record<string, string>> = { '\n': '↵', '\r': '␍', '\t': '→' };

/** A value on one line, with nothing in it that would make it look like another. */
export function oneLine(value: string): string {
  const cut = value.length > DRAWN ? `${value.slice(0, DRAWN)}…` : value;
  return visible(cut);
}

/** A text with what can't be seen made visible; lines stay with `lines`. */
export function visible(text: string, lines = false): string {
  return text.replace(UNSEEN, found => {
    if (lines && (found === '\n' || found === '\t')) {
      return found;
    }
    const code = found.charCodeAt(0).toString(16).toUpperCase();
    return SIGNS[found] ?? `\\u${code.padStart(4, '0')}`;
  });
}

export type Form = 'tsv' | 'csv' | 'insert';

/** Rows as text to be copied. */
export function copied(form: Form, columns: readonly Column[], rows: readonly Row[]): string {
  if (form === 'insert') {
    return inserts(columns, rows);
  }
  const separator = form === 'csv' ? ',' : '\t';
  const line = (values: Row): string =>
    values.map(value => field(value, separator)).join(separator);
  // One cell is copied as it is, without its name.
  if (form === 'tsv' && rows.length === 1 && columns.length === 1) {
    return rows[0]?.[0] ?? '';
  }
  return [columns.map(column => column.name), ...rows].map(line).join('\n');
}

/** The first line of a CSV file. */
export function csvHeader(columns: readonly Column[]): string {
  return csvLines([columns.map(column => column.name)]);
}

/** Lines of a CSV file, as PostgreSQL writes it: null is nothing, an empty text is "". */
export function csvLines(rows: readonly Row[]): string {
  return rows.map(row => `${row.map(value => field(value, ',')).join(',')}\n`).join('');
}

function field(value: string | null, separator: string): string {
  if (value === null) {
    return '';
  }
  const bare = value !== '' && !/["\n\r]/.test(value) && !value.includes(separator);
  return bare ? value : `"${value.replaceAll('"', '""')}"`;
}

const NUMBERS = new Set(['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision']);

/** An INSERT statement into a table whose name the person has to fill in. */
function inserts(columns: readonly Column[], rows: readonly Row[]): string {
  if (rows.length === 0) {
    return '';
  }
  const names = columns.map(column => identifier(column.name)).join(', ');
  const values = rows.map(
    row => `(${row.map((value, index) => literal(value, columns[index])).join(', ')})`
  );
  return `INSERT INTO "table" (${names}) VALUES\n  ${values.join(',\n  ')};\n`;
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A literal that means the same whatever `standard_conforming_strings` is. */
function literal(value: string | null, column: Column | undefined): string {
  if (value === null) {
    return 'NULL';
  }
  if (NUMBERS.has(baseType(column?.type ?? '')) && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value)) {
    return value;
  }
  const quoted = value.replaceAll("'", "''");
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** A value at length, in the way its type is read best. */
export function atLength(value: string, type: string): string {
  const base = baseType(type);
  if (base === 'json' || base === 'jsonb') {
    return indented(value);
  }
  if (base === 'bytea' && value.startsWith('\\x')) {
    return dumped(value.slice(2));
  }
  return base.endsWith('[]') ? listed(value) : value;
}

/** JSON with an item on each line. Numbers stay as they are, which JSON.parse would round. */
export function indented(json: string): string {
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let out = '';
  let depth = 0;
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    if (token === '{' || token === '[') {
      const closes = next === '}' || next === ']';
      depth += 1;
      out += closes ? token : token + newline(depth);
    } else if (token === '}' || token === ']') {
      depth -= 1;
      const before = tokens[index - 1];
      out += before === '{' || before === '[' ? token : newline(depth) + token;
    } else if (token === ',') {
      out += token + newline(depth);
    } else {
      out += token === ':' ? ': ' : token;
    }
  });
  return out;
}

function newline(depth: number): string {
  return `\n${'  '.repeat(Math.max(0, depth))}`;
}

/** The bytes of a bytea; null for a value of another type, or one not in hexadecimal. */
export function byteCount(value: string, type: string): number | null {
  return baseType(type) === 'bytea' && value.startsWith('\\x') ? (value.length - 2) / 2 : null;
}

/** Characters as PostgreSQL's length counts them: JavaScript counts those beyond U+FFFF twice. */
export function characterCount(value: string): number {
  return Array.from(value).length;
}

/** Bytes in the manner of hexdump. */
function dumped(hex: string): string {
  const lines: string[] = [];
  for (let at = 0; at < hex.length; at += 32) {
    const pairs = hex.slice(at, at + 32).match(/../g) ?? [];
    const text = pairs
      .map(pair => Number.parseInt(pair, 16))
      .map(code => (code >= 32 && code < 127 ? String.fromCharCode(code) : '.'))
      .join('');
    const place = (at / 2).toString(16).padStart(8, '0');
    lines.push(`${place}  ${pairs.join(' ').padEnd(47)}  ${text}`);
  }
  return lines.join('\n');
}

/** The items of an array, each on a line of its own; arrays within it stay as they are. */
function listed(array: string): string {
  if (!array.startsWith('{') || !array.endsWith('}')) {
    return array;
  }
  const items: string[] = [];
  let item = '';
  let depth = 0;
  let quoted = false;
  const body = array.slice(1, -1);
  for (let index = 0; index < body.length; index++) {
    const character = body.charAt(index);
    if (character === '\\') {
      item += character + body.charAt(++index);
      continue;
    }
    if (character === '"') {
      quoted = !quoted;
    } else if (!quoted && character === '{') {
      depth += 1;
    } else if (!quoted && character === '}') {
      depth -= 1;
    } else if (!quoted && depth === 0 && character === ',') {
      items.push(item);
      item = '';
      continue;
    }
    item += character;
  }
  return [...items, item].join('\n');
}
