// Sizes, times and counts as a person reads them.

import { duration } from '../status/marks';

export { duration };

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const DIGITS = 10;

/** A size in bytes as a person reads it. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit > 0 && value < 10 ? 1 : 0)} ${UNITS[unit] ?? ''}`;
}

/** A count with separators. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** As many digits of a state's id as tell states apart to the eye. */
export function short(state: string): string {
  return state.slice(0, DIGITS);
}
