// The members of a class as rows of a table: in which order, and which of them.

import type { Member, Progress } from './records';

/** Seconds from which a statement, or a wait for a sandbox, is a stuck one. */
const STUCK = 30;

/** What the table is sorted by. */
export type Column = 'name' | 'seen' | 'progress' | 'ran' | 'sandbox';

export interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

/** What somebody ran last. */
export function latest(member: Member): Progress | null {
  return member.notebooks?.[0] ?? null;
}

/** How long the longest statement under way has taken. */
export function statementSeconds(member: Member): number {
  return Math.max(0, ...(member.busy ?? []).map(run => run.statement_seconds));
}

/** Whether somebody’s sandbox is stuck: in a statement, or before its start. */
export function isStuck(member: Member): boolean {
  return statementSeconds(member) >= STUCK || (member.sandbox?.waiting_seconds ?? 0) >= STUCK;
}

/** Those whose name, notebook or status has a text in it; all of them without one. */
export function matching(members: readonly Member[], sought: string): readonly Member[] {
  const text = sought.trim().toLocaleLowerCase();
  return text
    ? members.filter(member => searched(member).toLocaleLowerCase().includes(text))
    : members;
}

function searched(member: Member): string {
  const last = latest(member);
  return [
    member.name,
    member.subject,
    last?.notebook,
    last?.status,
    last?.sqlstate,
    member.sandbox?.status
  ].join('\n');
}

/** The members in an order; those that are equal in it by their names. */
export function sorted(members: readonly Member[], order: Order): readonly Member[] {
  const sign = order.descending ? -1 : 1;
  return [...members].sort(
    (one, other) => sign * compare(one, other, order.column) || byName(one, other)
  );
}

/** The members, each in the place it had among these subjects; those who are new come last. */
export function inPlace(members: readonly Member[], places: readonly string[]): readonly Member[] {
  const place = new Map(places.map((subject, index) => [subject, index]));
  const of = (member: Member): number => place.get(member.subject) ?? places.length;
  return [...members].sort((one, other) => of(one) - of(other));
}

function compare(one: Member, other: Member, column: Column): number {
  switch (column) {
    case 'name':
      return byName(one, other);
    case 'seen':
      return seen(one) - seen(other);
    case 'progress':
      return share(one) - share(other);
    case 'ran':
      return ran(one) - ran(other);
    case 'sandbox':
      return trouble(one) - trouble(other);
  }
}

function byName(one: Member, other: Member): number {
  return (
    one.name.localeCompare(other.name, undefined, { numeric: true }) ||
    one.subject.localeCompare(other.subject)
  );
}

function seen(member: Member): number {
  return member.online ? Infinity : moment(member.last_seen);
}

function ran(member: Member): number {
  return moment(latest(member)?.at ?? null);
}

function moment(at: string | null): number {
  return at === null ? 0 : Date.parse(at);
}

/** How far somebody is, from 0 to 1. */
function share(member: Member): number {
  const last = latest(member);
  return last && last.cells > 0 ? last.furthest / last.cells : -1;
}

/** Stuck ones first, then by how long a statement or a wait lasts, then by how awake they are. */
function trouble(member: Member): number {
  const seconds = Math.max(statementSeconds(member), member.sandbox?.waiting_seconds ?? 0);
  const awake = ['none', 'stopped', 'running', 'waiting'].indexOf(member.sandbox?.status ?? '');
  return (isStuck(member) ? 1e9 : 0) + seconds * 10 + awake;
}
