// Counts and states as a person reads them.

const DIGITS = 10;

/** A count with separators. */
export function count(value: number): string {
  return value.toLocaleString();
}

/** As many digits of a state's id as tell states apart to the eye. */
export function short(state: string): string {
  return state.slice(0, DIGITS);
}
