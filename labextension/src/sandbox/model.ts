// One’s own sandbox as the status bar knows it.

import { PageConfig } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';

import type { Quotas } from '../quotas';
import { request } from '../request';
import { sentence } from '../sentence';

/** Milliseconds between two looks while the sandbox runs, and while its panel is open. */
const SLOWLY = 60_000;
const OPEN = 5000;
const MOST = 600_000;

/** A sandbox; what only one that runs has is null otherwise. */
export interface Sandbox {
  readonly id: string;
  readonly status: 'starting' | 'running' | 'stopped';
  readonly server_version: string | null;
  readonly memory_bytes: number | null;
  readonly since: string | null;
  readonly runs: number;
  readonly idle_seconds: number | null;
  readonly left_seconds: number | null;
}

/** What one may do with it. */
export type Verb = 'restart' | 'stop' | 'reset';

interface Snapshots {
  readonly count: number;
  readonly bytes: number;
}

/** See the module. A sandbox that does not run is not asked about again until something runs. */
export class SandboxModel extends VDomModel {
  /** `seen` says whether anybody looks at a SQL notebook. */
  constructor(
    seen: () => boolean,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this._poll = new Poll({
      name: 'pgcellar:sandbox',
      auto: false,
      factory: () => this._look(),
      frequency: { interval: SLOWLY, backoff: true, max: MOST },
      standby: () => {
        const wanted = this._asked || this._open || (seen() && this.sandbox?.status !== 'stopped');
        return wanted ? 'when-hidden' : true;
      }
    });
  }

  /** The sandbox; null if there is none, undefined while that is not known. */
  sandbox: Sandbox | null | undefined = undefined;
  /** What its states take, once that was asked. */
  snapshots: Snapshots | null = null;
  /** The limits at the central gateway, where there is one. */
  quotas: Quotas | null = null;
  /** What went wrong with the last act, as a sentence. */
  refused = '';
  /** Why it can’t be seen how the sandbox is, or what the limits are, as a sentence. */
  failure = '';
  /** What is under way. */
  busy: Verb | null = null;

  /** Whether the panel is open, so that more is asked, and more often. */
  set open(open: boolean) {
    this._open = open;
    this._poll.frequency = { backoff: true, max: MOST, interval: open ? OPEN : SLOWLY };
    if (open) {
      this.refresh();
    }
  }

  /** Ask how it is, soon. */
  refresh(): void {
    this._asked = true;
    void this._poll.refresh();
  }

  /** Do something with it. */
  async act(verb: Verb): Promise<void> {
    const id = this.sandbox?.id;
    if (!id || this.busy) {
      return;
    }
    this.busy = verb;
    this.refused = '';
    this.stateChanged.emit();
    try {
      const body = JSON.stringify(verb === 'reset' ? { confirm: id } : {});
      await request(`environments/${id}/${verb}`, this._trans, { method: 'POST', body });
    } catch (reason) {
      this.refused = sentence(reason);
    } finally {
      this.busy = null;
      if (!this.isDisposed) {
        this.stateChanged.emit();
        this.refresh();
      }
    }
  }

  override dispose(): void {
    this._poll.dispose();
    super.dispose();
  }

  private async _look(): Promise<void> {
    this._asked = false;
    try {
      this.sandbox = await this._find();
      this.failure = '';
      if (this._open) {
        await Promise.all([this._measure(), this._limits()]);
      }
    } catch (reason) {
      this.failure = sentence(reason);
      throw reason;
    } finally {
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  /** The sandbox there is; not known any more where that can’t be asked. */
  private async _find(): Promise<Sandbox | null> {
    try {
      const { environments } = await request<{ environments: readonly Sandbox[] }>(
        'environments',
        this._trans
      );
      return environments[0] ?? null;
    } catch (reason) {
      this.sandbox = undefined;
      throw reason;
    }
  }

  private async _measure(): Promise<void> {
    const { states } = await request<{ states: readonly { bytes: number }[] }>(
      'states',
      this._trans
    );
    const bytes = states.reduce((sum, state) => sum + state.bytes, 0);
    this.snapshots = { count: states.length, bytes };
  }

  private async _limits(): Promise<void> {
    if (PageConfig.getOption('pgcellarCentral')) {
      this.quotas = (await request<{ quotas: Quotas }>('profiles/me/quotas', this._trans)).quotas;
    }
  }

  private readonly _poll: Poll;
  private _open = false;
  /** Whether somebody has reason to ask, however it was. */
  private _asked = false;
}
