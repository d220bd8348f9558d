// The schemas of states: a state never changes, so what is known of one is asked for once.

import type { TranslationBundle } from '@jupyterlab/translation';

import type { StateDetail } from '../catalogs';
import { request } from '../request';

/** States whose schemas are kept in mind. */
const MOST = 12;

/** See the module. */
export class Details {
  constructor(private readonly _trans: TranslationBundle) {}

  /** The schema of a state; rejects with an `AskError`. */
  of(state: string): Promise<StateDetail> {
    const known = this._known.get(state) ?? request<StateDetail>(`states/${state}`, this._trans);
    // What was wanted last goes last.
    this._known.delete(state);
    this._known.set(state, known);
    known.catch(() => {
      if (this._known.get(state) === known) {
        this._known.delete(state);
      }
    });
    for (const oldest of this._known.keys()) {
      if (this._known.size <= MOST) {
        break;
      }
      this._known.delete(oldest);
    }
    return known;
  }

  private readonly _known = new Map<string, Promise<StateDetail>>();
}
