// Which states are kept: asked of the gateway when something has run, never of its own accord.

import type { TranslationBundle } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';
import { Debouncer } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import type { EnvironmentInfo, StateInfo } from '../catalogs';
import { request } from '../request';
import { AskError } from '../tokens';

/** Milliseconds after a run, for a state is kept once its sandbox is idle. */
const SOON = 900;
/** Milliseconds after which it is looked again while a state is waited for. */
const AGAIN = [500, 700, 1000, 1500, 2000, 3000, 4000];

/** See the module. */
export class KeptStates {
  constructor(private readonly _trans: TranslationBundle) {
    this._soon = new Debouncer(() => this.refresh(), SOON);
  }

  /** Emits when another answer has come. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What is kept, by id. */
  get all(): ReadonlyMap<string, StateInfo> {
    return this._all;
  }

  /** The state that is empty, of a sandbox that runs. */
  get base(): string | null {
    return this._base;
  }

  /** Whether there was an answer. */
  get known(): boolean {
    return this._known;
  }

  /** Whether there is a sandbox that runs. */
  get started(): boolean {
    return this._started;
  }

  /** Why there was none, in a sentence. */
  get fault(): string | null {
    return this._fault;
  }

  /** Something has run: look again in a moment. */
  soon(): void {
    void this._soon.invoke();
  }

  /** Look again now; with `start`, a sandbox that does not run is started. */
  async refresh({ start }: { start?: boolean } = {}): Promise<void> {
    try {
      if (start) {
        await request('states', this._trans);
      }
      const { environments } = await request<{ environments: EnvironmentInfo[] }>(
        'environments',
        this._trans
      );
      const running = environments.find(each => each.status === 'running');
      this._started = running !== undefined;
      this._base = running?.base ?? this._base;
      // Asking for the states would start a sandbox.
      const { states } = running
        ? await request<{ states: StateInfo[] }>('states', this._trans)
        : NONE;
      this._all = new Map(states.map(info => [info.state, info]));
      this._known = true;
      this._fault = null;
    } catch (reason) {
      if (!(reason instanceof AskError)) {
        throw reason;
      }
      this._fault = reason.message;
    }
    this._changed.emit();
  }

  /** Wait until a state is kept; whether it is. */
  async wait(state: string): Promise<boolean> {
    for (const pause of AGAIN) {
      await new Promise(resolve => setTimeout(resolve, pause));
      await this.refresh();
      if (this._all.has(state)) {
        return true;
      }
    }
    return false;
  }

  async pin(state: string, pinned: boolean): Promise<void> {
    await this._change(`states/${state}/pin`, pinned);
  }

  async tag(state: string, tag: string, tagged: boolean): Promise<void> {
    await this._change(`states/${state}/tags/${encodeURIComponent(tag)}`, tagged);
  }

  private async _change(path: string, there: boolean): Promise<void> {
    await request(path, this._trans, { method: there ? 'PUT' : 'DELETE' });
    await this.refresh();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _soon: Debouncer;
  private _all: ReadonlyMap<string, StateInfo> = new Map<string, StateInfo>();
  private _base: string | null = null;
  private _known = false;
  private _started = false;
  private _fault: string | null = null;
}

export const IKeptStates = new Token<KeptStates>(
  'pgcellar-labextension:IKeptStates',
  'Which states of the person’s sandbox are kept.'
);

const NONE = { states: [] as StateInfo[] };
