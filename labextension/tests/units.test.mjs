// Amounts, names and values as text.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { referenceOf, named, quoted } from '../tested/schema/names.js';
import { byteCount, characterCount, copied, csvLines, visible } from '../tested/grid/text.js';
import { bytes, duration, span } from '../tested/units.js';

const trans = { __: (text, ...values) => text.replace(/%(\d)/g, (_, n) => values[n - 1]) };

test('bytes have at most one digit behind the point', () => {
  const said = [0, 1023, 1024, 1536, 102_400, 2 ** 30, 2 ** 50].map(bytes);
  assert.deepEqual(said, ['0 B', '1023 B', '1 KiB', '1.5 KiB', '100 KiB', '1 GiB', '1024 TiB']);
});

test('times are in one unit, and never more than has passed', () => {
  const said = [0.9, 59.9, 60, 3599, 3600, 172_800].map(seconds => span(seconds, trans));
  assert.deepEqual(said, ['0 s', '59 s', '1 min', '59 min', '1 h', '2 days']);
});

test('short times have a digit behind the point', () => {
  const said = [0.04, 9.94, 10, 999, 1000, 9999, 10_000].map(ms => duration(ms, trans));
  assert.deepEqual(said, ['0.0 ms', '9.9 ms', '10 ms', '999 ms', '1.0 s', '10.0 s', '10 s']);
});

test('names are quoted where PostgreSQL needs it', () => {
  const said = ['city', 'City', 'select', 'a"b', '1st', 'ünder', 'a$1'].map(quoted);
  assert.deepEqual(said, ['city', '"City"', '"select"', '"a""b"', '"1st"', '"ünder"', 'a$1']);
  assert.equal(named({ schema: 'public', name: 't' }), 't');
  assert.equal(named({ schema: 'S', name: 't' }), '"S".t');
});

test('a foreign key tells what it refers to', () => {
  const found = referenceOf('FOREIGN KEY (a, "b c") REFERENCES public."odd "" table"(x, "y,z")');
  assert.deepEqual(found, { schema: 'public', name: 'odd " table', columns: ['x', 'y,z'] });
  assert.equal(referenceOf('CHECK (a > 0)'), null);
});

test('what reorders or hides text is seen', () => {
  assert.equal(visible('a\n\t\u202eb\u0000'), 'a↵→\\u202Eb\\u0000');
  assert.equal(visible('a\nb', true), 'a\nb');
});

test('null and an empty text are two things in CSV, and a copied value is itself', () => {
  assert.equal(csvLines([[null, '', 'a"b', 'x,y']]), ',"","a""b","x,y"\n');
  const column = { name: 'a', type: 'text' };
  assert.equal(copied('tsv', [column], [['one\ttwo']]), 'one\ttwo');
  assert.match(copied('insert', [column], [["it's"], [null]]), /'it''s'[^]*NULL/i);
});

test('a bytea is measured in bytes, a text in characters as PostgreSQL counts them', () => {
  assert.equal(byteCount('\\xdeadbeef', 'bytea'), 4);
  assert.equal(byteCount('\\x', 'bytea'), 0);
  assert.equal(byteCount('\\xdeadbeef', 'text'), null);
  assert.equal(characterCount('aé😀'), 3);
});
