// Amounts as a person says them.

import type { TranslationBundle } from '@jupyterlab/translation';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** So many bytes. */
export function bytes(amount: number): string {
  let unit = 0;
  let left = amount;
  while (left >= 1024 && unit < UNITS.length - 1) {
    left /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || left >= 100 ? 0 : 1;
  return `${left.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit] ?? ''}`;
}

/** So long, in one unit. */
export function span(seconds: number, trans: TranslationBundle): string {
  if (seconds < 60) {
    return trans.__('%1 s', Math.floor(seconds));
  }
  if (seconds < 3600) {
    return trans.__('%1 min', Math.floor(seconds / 60));
  }
  if (seconds < 172_800) {
    return trans.__('%1 h', Math.floor(seconds / 3600));
  }
  return trans.__('%1 days', Math.floor(seconds / 86_400));
}

/** Milliseconds as a person says them. */
export function duration(ms: number, trans: TranslationBundle): string {
  return ms < 1000
    ? trans.__('%1 ms', ms.toFixed(ms < 10 ? 1 : 0))
    : trans.__('%1 s', (ms / 1000).toFixed(ms < 10_000 ? 1 : 0));
}
