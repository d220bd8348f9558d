// How a person wants to see a result: sorted and filtered; see `Order` and `Filter` in records.py.

export type Operator = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'contains' | 'null' | 'not_null';

export interface Order {
  readonly column: number;
  readonly descending: boolean;
}

export interface Filter {
  readonly column: number;
  readonly operator: Operator;
  readonly value: string | null;
}

export interface View {
  readonly order: readonly Order[];
  readonly filters: readonly Filter[];
}

/** The result as the statement gives it. */
export const PLAIN: View = { order: [], filters: [] };

export function isPlain(view: View): boolean {
  return view.order.length === 0 && view.filters.length === 0;
}

/** Ascending, then descending, then not at all; with `more` beside what it is sorted by already. */
export function sortNext(view: View, column: number, more: boolean): View {
  const found = view.order.find(term => term.column === column);
  const others = more ? view.order.filter(term => term.column !== column) : [];
  if (!found) {
    return { ...view, order: [...others, { column, descending: false }] };
  }
  if (found.descending) {
    return { ...view, order: others };
  }
  const turn = (term: Order): Order => (term === found ? { column, descending: true } : term);
  return { ...view, order: more ? view.order.map(turn) : [turn(found)] };
}

/** Sorted by one column alone. */
export function sortBy(view: View, column: number, descending: boolean): View {
  return { ...view, order: [{ column, descending }] };
}

/** With another filter of a column, or none. */
export function filterBy(view: View, column: number, filter: Filter | null): View {
  const others = view.filters.filter(found => found.column !== column);
  return { ...view, filters: filter ? [...others, filter] : others };
}
