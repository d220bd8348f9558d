// From an error of PostgreSQL's to what the editor underlines, with the corrections its hint names.

import type { Diagnostic } from '@codemirror/lint';

import type { SqlError } from '../wire';

/** A name, or names with dots between them, quoted or not. */
const NAMES = /(?:[\p{L}\p{N}_$]+|"(?:[^"]|"")*")(?:\s*\.\s*(?:[\p{L}\p{N}_$]+|"(?:[^"]|"")*"))*/uy;
/** How PostgreSQL's hints begin that name what was meant. */
const MEANT = 'Perhaps you meant';
const PLAIN = /^[a-z_][a-z0-9_$]*$/;

/** What to underline in a cell's text; null where the error has no place in it. */
export function diagnosticOf(error: SqlError, source: string): Diagnostic | null {
  if (error.position === null) {
    return null;
  }
  const from = offsetOf(source, error.position);
  if (from > source.length) {
    return null;
  }
  return {
    from,
    to: endOf(source, from),
    severity: 'error',
    source: error.sqlstate,
    message: [error.message, error.detail, error.hint].filter(Boolean).join('\n'),
    actions: meant(error.hint).map(name => ({
      name,
      apply: (view, start, end) =>
        view.dispatch({ changes: { from: start, to: end, insert: name } })
    }))
  };
}

/** From a position that counts characters from 1 to an offset that counts UTF-16 units. */
function offsetOf(source: string, position: number): number {
  let offset = 0;
  for (let left = position - 1; left > 0; left--) {
    offset += (source.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return offset;
}

function endOf(source: string, from: number): number {
  NAMES.lastIndex = from;
  const found = NAMES.exec(source);
  return found ? NAMES.lastIndex : Math.min(from + 1, source.length);
}

/** The names that a hint proposes, as SQL writes them. */
export function meant(hint: string | null): string[] {
  if (!hint?.startsWith(MEANT)) {
    return [];
  }
  const names = [...hint.matchAll(/"([^"]+)"/g)].map(found => found[1] ?? '');
  return names.map(name => name.split('.').map(quoted).join('.'));
}

function quoted(name: string): string {
  return PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
