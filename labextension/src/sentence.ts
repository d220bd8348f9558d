// What went wrong, for people.

import { AskError } from './tokens';

/** The sentence of an `AskError`; anything else is a fault of ours, and thrown on. */
export function sentence(reason: unknown): string {
  if (!(reason instanceof AskError)) {
    throw reason;
  }
  return reason.message;
}
