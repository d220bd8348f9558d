// What the kernel is told of a notebook, how its cells stand, and the chain of its states.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Signal } from '@lumino/signaling';

import { CellStates } from '../tested/notebook/cellstates.js';
import { Outline } from '../tested/notebook/outline.js';
import { downTo, isOurs, telling } from '../tested/notebook/pythoncells.js';
import { above, chainOf, nearestKept } from '../tested/states/chain.js';
import { inPlace, matching, sorted } from '../tested/teaching/rows.js';

/** A cell as JupyterLab's model has it, as far as it is looked at. */
class Cell {
  constructor(id, source, { type = 'code', tags = [], trusted = true, outputs = [] } = {}) {
    Object.assign(this, { id, source, type, trusted, outputs, metadata: { tags } });
    this.contentChanged = new Signal(this);
    this.metadataChanged = new Signal(this);
    this.sharedModel = { getSource: () => this.source };
  }
  getMetadata(key) {
    return this.metadata[key];
  }
  setMetadata(key, value) {
    this.metadata[key] = value;
  }
  deleteMetadata(key) {
    delete this.metadata[key];
  }
  toJSON() {
    return { outputs: this.outputs };
  }
  write(source) {
    this.source = source;
    this.contentChanged.emit();
  }
}

/** The cells of a notebook. */
class Cells {
  constructor(...cells) {
    this.cells = cells;
    this.changed = new Signal(this);
  }
  [Symbol.iterator]() {
    return this.cells[Symbol.iterator]();
  }
  be(...cells) {
    this.cells = cells;
    this.changed.emit();
  }
}

test('the kernel is told all once, then what has changed', () => {
  const [a, text, b] = [
    new Cell('a', 'one'),
    new Cell('m', '# two', { type: 'markdown' }),
    new Cell('b', 'three', { tags: ['skip', 3] })
  ];
  const cells = new Cells(a, text, b);
  const outline = new Outline(cells);
  assert.deepEqual(outline.whole(), {
    order: ['a', 'b'],
    cells: { a: { source: 'one', tags: [] }, b: { source: 'three', tags: ['skip'] } }
  });
  assert.equal(outline.news(), null);
  b.contentChanged.emit();
  assert.equal(outline.news(), null);
  b.write('four');
  assert.deepEqual(outline.news(), { cells: { b: { source: 'four', tags: ['skip'] } } });
  cells.be(b, a);
  assert.deepEqual(outline.news(), { order: ['b', 'a'], cells: {} });
});

test('it emits the cells that changed, and follows none that are gone', () => {
  const [a, b, c] = [new Cell('a', '1'), new Cell('b', '2'), new Cell('c', '3')];
  const cells = new Cells(a, b);
  const outline = new Outline(cells);
  const told = [];
  outline.changed.connect((_, ids) => told.push([...ids]));
  cells.be(a, c, b);
  cells.be(a, b);
  c.write('5');
  a.write('4');
  assert.deepEqual(told, [['c', 'b'], ['b'], ['a']]);
  outline.dispose();
  a.write('6');
  assert.equal(told.length, 3);
});

const trans = { __: text => text };
const report = (id, input, more = {}) => ({ id, input, state: 's', ms: 1, error: null, ...more });
const planned = (id, input) => ({ id, input, state: 's' });

test('a cell is up to date while the plan has the input it ran with', () => {
  const states = new CellStates(trans);
  const cell = new Cell('a', 'select 1', { outputs: [{}] });
  assert.equal(states.of(cell).status, 'unknown');
  states.ran(cell, report('a', 'x'));
  assert.equal(states.of(cell).status, 'checking');
  states.plan = { steps: [planned('a', 'x')] };
  assert.equal(states.of(cell).status, 'current');
  states.doubt(['a']);
  assert.equal(states.of(cell).status, 'checking');
  states.plan = { steps: [planned('a', 'y')] };
  assert.equal(states.of(cell).status, 'stale');
  states.plan = { steps: [planned('a', null)] };
  assert.match(states.of(cell).reason, /above/);
  states.ran(cell, report('a', 'x', { error: {} }));
  states.plan = { steps: [planned('a', 'x')] };
  assert.equal(states.of(cell).status, 'failed');
  states.ran(cell, report('a', null));
  assert.equal(states.of(cell).status, 'unknown');
});

test('what was sent and did not end, or was cleared, is claimed of no output', () => {
  const states = new CellStates(trans);
  const cell = new Cell('a', 'select 1', { outputs: [{}] });
  states.plan = { steps: [planned('a', 'x')] };
  states.ran(cell, report('a', 'x'));
  states.finish(cell);
  assert.equal(states.of(cell).status, 'current');
  cell.outputs = [];
  assert.equal(states.of(cell).status, 'none');
  cell.outputs = [{}];
  states.sent(cell);
  assert.equal(states.of(cell).status, 'scheduled');
  states.finish(cell);
  assert.equal(states.of(cell).status, 'stale');
  // What it shows then is the error of a cell above, or that it was interrupted before it began.
  states.ran(cell, report('a', null, { source: 'skipped' }));
  assert.equal(states.of(cell).status, 'stale');
});

test('what passes comes first, and settles', () => {
  const states = new CellStates(trans);
  const cell = new Cell('a', 'select 1');
  states.pass('a', { status: 'running', reason: 'why' });
  assert.equal(states.of(cell).reason, 'why');
  states.settle();
  assert.equal(states.of(cell).status, 'none');
  states.pass('a', { status: 'scheduled', reason: '' });
  states.ran(cell, report('a', 'x'));
  assert.notEqual(states.of(cell).status, 'scheduled');
});

test('what a notebook says of itself counts only where it is trusted', () => {
  const states = new CellStates(trans);
  const cell = new Cell('a', 'select 1', { outputs: [{}], trusted: false });
  cell.metadata.pgcellar = { input: 'x', state: 's', ms: 1, failed: false };
  states.plan = { steps: [planned('a', 'x')] };
  assert.equal(states.of(cell).status, 'unknown');
  cell.trusted = true;
  assert.equal(states.of(cell).status, 'current');
  cell.metadata.pgcellar = { input: 7 };
  assert.equal(states.of(cell).status, 'unknown');
});

test('the chain has a place for each cell, and knows the nearest state that is kept', () => {
  const step = (state, effect) => ({ report: null, step: { state, effect, volatile: false } });
  const cells = [
    { id: 'a', number: 1, source: '-- \ncreate table t ()', state: step('one', 'write') },
    { id: 'b', number: 2, source: 'select 1', state: step('one', 'read') },
    { id: 'c', number: 3, source: ' ', state: step(null, 'none') },
    { id: 'd', number: 4, source: 'insert into t …', state: step(null, 'write') }
  ];
  const chain = chainOf(cells, 'base', new Map([['one', { state: 'one' }]]));
  assert.deepEqual(
    chain.map(link => [link.cell, link.title, link.moves]),
    [
      [null, '', true],
      ['a', 'create table t ()', true],
      ['b', 'select 1', false],
      ['d', 'insert into t …', true]
    ]
  );
  assert.equal(above(chain, 'd').cell, 'b');
  assert.equal(above(chain, 'nowhere'), null);
  assert.equal(nearestKept(chain, 'd').cell, 'b');
  assert.equal(nearestKept(chain, null), null);
});

test('members are found and sorted, those of one rank by name', () => {
  const member = (name, seconds) => ({
    subject: name,
    name,
    role: 'student',
    online: false,
    last_seen: null,
    notebooks: [],
    sandbox: { status: 'running', idle_seconds: 0, waiting_seconds: 0, extended_seconds: 0 },
    busy: seconds ? [{ statement_seconds: seconds }] : []
  });
  const members = [member('zoë'), member('Ada', 90), member('bob')];
  const names = found => found.map(each => each.name);
  assert.deepEqual(names(sorted(members, { column: 'name', descending: false })), [
    'Ada',
    'bob',
    'zoë'
  ]);
  assert.deepEqual(names(matching(members, ' ADA ')), ['Ada']);
  assert.equal(matching(members, '').length, 3);
});

test('members stay in their places while their rows are pointed at', () => {
  const now = ['d', 'a', 'b'].map(subject => ({ subject }));
  const shown = inPlace(now, ['b', 'c', 'a']).map(member => member.subject);
  assert.deepEqual(shown, ['b', 'a', 'd']);
});

test('of a Python notebook the cells of ours down to one are told', () => {
  const cells = new Cells(
    new Cell('a', '%load_ext pgcellar'),
    new Cell('b', '%%pgcellar -p n\nselect :n'),
    new Cell('c', '%%pgcellar\nis text', { type: 'markdown' }),
    new Cell('d', '\n %%pgcellar'),
    new Cell('e', '%%pgcellars\nselect 2')
  );
  const told = JSON.parse(downTo(cells, 'd'));
  assert.deepEqual([told.cells.map(({ id }) => id), told.head], [['b', 'd'], 1]);
  assert.equal(downTo(cells, 'a'), null);
  assert.equal(downTo(cells, 'c'), null);
  assert.equal(downTo(cells, 'e'), null);
  assert.equal(isOurs('# %%pgcellar'), false);
  assert.match(telling('{"a": "\'\\n"}'), /tell\("\{\\"a\\": \\"'\\\\n\\"\}"\)/);
});
