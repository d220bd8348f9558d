// The chain of states of a notebook: cell by cell, with what is known of the state after each.

import type { StateInfo } from '../catalogs';
import type { CellState } from '../tokens';
import type { Effect } from '../wire';

/** A code cell of a notebook, as it stands. */
export interface ChainCell {
  readonly id: string;
  /** Its number among the code cells, from 1. */
  readonly number: number;
  readonly source: string;
  readonly state: CellState;
}

/** One place of the chain: the base, or what a cell leads to. */
export interface Link {
  /** The cell's id; null for the base. */
  readonly cell: string | null;
  readonly number: number;
  /** The first line that says something. */
  readonly title: string;
  readonly effect: Effect;
  /** The state's id; null where only running can tell. */
  readonly state: string | null;
  /** Whether it is another state than the one above. */
  readonly moves: boolean;
  /** What is known of it, if it is kept. */
  readonly kept: StateInfo | null;
  /** How many rows the cell's last run changed, if that is known. */
  readonly rows: number | null;
  /** What the cell's last run took, in milliseconds, if it is known. */
  readonly ms: number | null;
  /** Why the state can't be kept, if that is known. */
  readonly tied: string | null;
  /** Whether what the cell wrote came from a clock or from chance. */
  readonly frozen: boolean;
}

const BLANK = /^\s*(--\s*)?$/;

/** The first line of a cell that says something. */
export function titleOf(source: string): string {
  const lines = source.split('\n');
  return (lines.find(line => !BLANK.test(line)) ?? '').trim();
}

/** The chain of a notebook: the base first; cells without text have no part in it. */
export function chainOf(
  cells: readonly ChainCell[],
  base: string | null,
  kept: ReadonlyMap<string, StateInfo>
): Link[] {
  const first: Link = {
    cell: null,
    number: 0,
    title: '',
    effect: 'none',
    state: base,
    moves: true,
    kept: (base && kept.get(base)) || null,
    rows: null,
    ms: null,
    tied: null,
    frozen: false
  };
  const chain = [first];
  let above = base;
  for (const { id, number, source, state: stands } of cells) {
    if (!source.trim()) {
      continue;
    }
    const { report, step } = stands;
    const state = step ? step.state : (report?.state ?? null);
    // A report of another text says nothing of this one.
    const known = report?.state === state ? report : null;
    const effect = (known ?? step ?? report)?.effect ?? 'none';
    const writes = effect !== 'read' && effect !== 'none';
    chain.push({
      cell: id,
      number,
      title: titleOf(source),
      effect,
      state,
      moves: state === null ? writes : state !== above,
      kept: (state && kept.get(state)) || null,
      rows: writes ? (known?.rows ?? null) : null,
      ms: known && known.source !== 'hit' ? known.ms : null,
      tied: known?.pinned ?? null,
      frozen: known?.volatile ?? step?.volatile ?? false
    });
    above = state;
  }
  return chain;
}

/** The place above a cell's. */
export function above(chain: readonly Link[], cell: string): Link | null {
  const index = chain.findIndex(link => link.cell === cell);
  return chain[index - 1] ?? null;
}

/** The last place at or above one that is kept; the base is kept always. */
export function nearestKept(chain: readonly Link[], cell: string | null): Link | null {
  const index = chain.findIndex(link => link.cell === cell);
  for (const link of chain.slice(0, index + 1).reverse()) {
    if (link.kept) {
      return link;
    }
  }
  return null;
}
