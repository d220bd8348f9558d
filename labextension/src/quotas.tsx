// Limits of a person, and how much of them is used.

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { bytes, span } from './units';

/**
 * One limit; null is none. What is counted over time has `left` and `seconds`, what is held at once
 * may have `used`.
 */
export interface Quota {
  readonly limit: number | null;
  readonly left?: number;
  readonly seconds?: number;
  readonly used?: number;
}

/** How much of a limit is used, if that is known. */
export function usedOf({ limit, left, used }: Quota): number | null {
  if (used !== undefined) {
    return used;
  }
  return limit !== null && left !== undefined ? Math.max(limit - left, 0) : null;
}

/** The limits of somebody by name, as `docs/identity.md` lists them. */
export type Quotas = Readonly<Record<string, Quota>>;

/** From so much of a limit on it is marked. */
const NEARLY = 0.85;

function amount(name: string, value: number, trans: TranslationBundle): string {
  if (name.endsWith('_bytes')) {
    return bytes(value);
  }
  return name.endsWith('_seconds') ? span(value, trans) : String(Math.round(value));
}

function label(name: string, trans: TranslationBundle): string {
  switch (name) {
    case 'sandboxes':
      return trans.__('Sandboxes');
    case 'cpu':
      return trans.__('Processors');
    case 'memory_bytes':
      return trans.__('Memory of a session');
    case 'statement_seconds':
      return trans.__('Time of a statement');
    case 'snapshot_bytes':
      return trans.__('Room for snapshots');
    case 'result_bytes':
      return trans.__('Results in a day');
    case 'runs_per_minute':
      return trans.__('Runs in a minute');
    default:
      return name;
  }
}

/** A bar that is filled so far, for the eye; the words beside it say the same. */
export function Bar({ share }: { readonly share: number }): React.JSX.Element {
  const percent = Math.round(100 * Math.min(Math.max(share, 0), 1));
  const kind = share >= NEARLY ? 'pgc-Bar pgc-mod-nearly' : 'pgc-Bar';
  return (
    <span className={kind} aria-hidden="true">
      <span style={{ width: `${percent}%` }} />
    </span>
  );
}

/** The limits as a table. */
export function QuotaTable(props: {
  readonly quotas: Quotas;
  readonly trans: TranslationBundle;
  readonly caption: string;
}): React.JSX.Element {
  const { quotas, trans, caption } = props;
  return (
    <table className="pgc-Quotas">
      <caption>{caption}</caption>
      <tbody>
        {Object.entries(quotas).map(([name, quota]) => (
          <QuotaRow key={name} name={name} quota={quota} trans={trans} />
        ))}
      </tbody>
    </table>
  );
}

function QuotaRow(props: {
  readonly name: string;
  readonly quota: Quota;
  readonly trans: TranslationBundle;
}): React.JSX.Element {
  const { name, quota, trans } = props;
  const { limit } = quota;
  const used = usedOf(quota);
  let text = limit === null ? trans.__('no limit') : amount(name, limit, trans);
  let share: number | null = null;
  if (used !== null) {
    const amounts = amount(name, used, trans);
    text = limit === null ? trans.__('%1, no limit', amounts) : trans.__('%1 of %2', amounts, text);
    share = limit === null ? null : limit > 0 ? used / limit : 1;
  }
  return (
    <tr>
      <th scope="row">{label(name, trans)}</th>
      <td>{text}</td>
      <td>{share !== null && <Bar share={share} />}</td>
    </tr>
  );
}
