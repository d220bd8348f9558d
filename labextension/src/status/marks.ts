// The mark beside a cell: how it stands, with the times and the state in a tooltip.

import type { Cell } from '@jupyterlab/cells';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { CellState } from '../tokens';
import { duration } from '../units';

const CLASS = 'pgc-CellMark';
/** As many digits of a state id as tell states apart to the eye. */
const DIGITS = 10;

/** What is shown of cells: a notebook may have a thousand, and few change at a time. */
const shownOf = new WeakMap<Cell, CellState>();

function isSame(one: CellState | undefined, other: CellState): boolean {
  return (
    one?.status === other.status &&
    one.reason === other.reason &&
    one.report === other.report &&
    one.step?.state === other.step?.state
  );
}

/** Show how a cell stands; nothing where there is nothing to say. */
export function mark(cell: Cell, state: CellState, trans: TranslationBundle): void {
  if (isSame(shownOf.get(cell), state)) {
    return;
  }
  shownOf.set(cell, state);
  const { node } = cell;
  const kind = kindOf(state);
  if (kind === 'none') {
    delete node.dataset.pgcellarStatus;
    node.removeAttribute('aria-description');
    node.querySelector(`:scope > .${CLASS}`)?.remove();
    return;
  }
  node.dataset.pgcellarStatus = kind;
  let shown = node.querySelector<HTMLElement>(`:scope > .${CLASS}`);
  if (!shown) {
    shown = document.createElement('div');
    shown.className = CLASS;
    shown.setAttribute('role', 'img');
    node.appendChild(shown);
  }
  const text = describe(state, trans);
  if (shown.title !== text) {
    shown.title = text;
    shown.setAttribute('aria-label', text);
    // The cell has the focus when one goes from cell to cell; the mark never has it.
    node.setAttribute('aria-description', text);
  }
}

/** The status, or what is more worth knowing of one that is up to date. */
function kindOf({ status, report }: CellState): string {
  if (status === 'current' && report?.pinned) {
    return 'pinned';
  }
  if (status === 'current' && report?.source === 'hit') {
    return 'cached';
  }
  return status;
}

/** How a cell stands, in lines. */
export function describe(state: CellState, trans: TranslationBundle): string {
  const { report, step, reason } = state;
  const lines = [headline(state, trans)];
  if (reason) {
    lines.push(reason);
  }
  if (report) {
    lines.push(
      report.source === 'hit'
        ? trans.__('It did not run: its result was kept.')
        : trans.__('It took %1.', duration(report.ms, trans))
    );
    if (report.pinned) {
      lines.push(trans.__('Its state is tied to the live connection: %1.', report.pinned));
    }
    if (report.volatile) {
      lines.push(trans.__('What it wrote may come from a clock or from chance, and is frozen.'));
    }
  }
  const id = report?.state ?? step?.state;
  if (id) {
    lines.push(trans.__('State %1', id.slice(0, DIGITS)));
  }
  return lines.join('\n');
}

function headline({ status, report }: CellState, trans: TranslationBundle): string {
  switch (status) {
    case 'checking':
      return trans.__('Changed: whether its output is up to date is not known yet');
    case 'current':
      return trans.__('Up to date');
    case 'stale':
      return trans.__('Stale: it, or something above, changed since its output');
    case 'unknown':
      return trans.__('Its output comes from elsewhere; run it to be sure');
    case 'scheduled':
      return trans.__('It runs when its turn comes');
    case 'running':
      return trans.__('Running');
    case 'replaying':
      return trans.__('Replaying the cells above');
    case 'failed':
      return report?.error ? trans.__('Failed: %1', report.error.message) : trans.__('Failed');
    default:
      return '';
  }
}
