// A class as its teacher’s page knows it: asked for again and again while the page is seen.

import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';

import { visible } from '../grid/text';
import type { Quotas } from '../quotas';
import { request } from '../request';
import { sentence } from '../sentence';
import type { Class, Extension, Member } from './records';
import { inPlace, matching, type Order, sorted } from './rows';

/** Milliseconds between two looks, and at most where the gateway does not answer. */
const INTERVAL = 10_000;
const MOST = 120_000;
/** Members that come at once. */
const PAGE = 1000;

interface Activity {
  readonly now: string;
  readonly members: readonly Member[];
  readonly next: string | null;
}

/** What came of an act. */
export interface Told {
  readonly text: string;
  readonly failed: boolean;
}

/** See the module. */
export class TeachingModel extends VDomModel {
  /** `visible` says whether anybody sees the page. */
  constructor(
    visible: () => boolean,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this._poll = new Poll({
      name: 'pgcellar:class',
      auto: false,
      factory: () => this._look(),
      frequency: { interval: INTERVAL, backoff: true, max: MOST },
      standby: () => (visible() ? 'when-hidden' : true)
    });
  }

  classes: readonly Class[] | null = null;
  members: readonly Member[] | null = null;
  /** When the members were as they are shown. */
  at: Date | null = null;
  /** Why it can’t be seen how the class is, as a sentence. */
  error = '';
  /** What came of the last act, as a sentence. */
  told: Told | null = null;
  /** Subjects for whom something is under way. */
  readonly busy = new Set<string>();

  get chosen(): string {
    return this._chosen;
  }

  get order(): Order {
    return this._order;
  }

  set order(order: Order) {
    this._order = order;
    this._arrange();
    this.stateChanged.emit();
  }

  /** The members that are sought, in the order in which they are shown. */
  get rows(): readonly Member[] {
    return matching(inPlace(this.members ?? [], this._places), this._sought);
  }

  /** Whether somebody points at the rows, which then stay where they are: a click hits who was aimed at. */
  set pointed(pointed: boolean) {
    this._pointed = pointed;
    if (!pointed) {
      this._arrange();
      this.stateChanged.emit();
    }
  }

  get sought(): string {
    return this._sought;
  }

  set sought(text: string) {
    this._sought = text;
    this.stateChanged.emit();
  }

  /** Whose details are open; empty for nobody’s. */
  get opened(): string {
    return this._opened;
  }

  /** The limits of whose details are open, once they are known. */
  get quotas(): Quotas | null {
    return this._quotas;
  }

  /** Ask for everything now. */
  async refresh(): Promise<void> {
    await this._poll.refresh();
    await this._poll.tick.catch(() => undefined);
  }

  /** Look at another class. */
  choose(id: string): void {
    this._chosen = id;
    this.members = null;
    this._opened = '';
    this.stateChanged.emit();
    void this.refresh();
  }

  /** Open somebody’s details, or close them. */
  open(subject: string): void {
    this._opened = this._opened === subject ? '' : subject;
    this._quotas = null;
    this.stateChanged.emit();
    if (this._opened) {
      void this._ask();
    }
  }

  /** Show what came of an act, or nothing any more. */
  tell(told: Told | null): void {
    this.told = told;
    this.stateChanged.emit();
  }

  /** Do something to a student’s sandbox; `said` is told when it is done. */
  async act(subject: string, verb: string, body: object, said: string): Promise<void> {
    this.busy.add(subject);
    this.tell(null);
    try {
      const member = `${this._class()}/members/${encodeURIComponent(subject)}`;
      const init = { method: 'POST', body: JSON.stringify(body) };
      await request(`${member}/sandbox/${verb}`, this._trans, init);
      this.told = { text: said, failed: false };
    } catch (reason) {
      this.told = { text: sentence(reason), failed: true };
    } finally {
      this.busy.delete(subject);
      if (!this.isDisposed) {
        this.stateChanged.emit();
        void this.refresh();
      }
    }
  }

  /** Let a student’s sandbox be idle, and give more, for a while. */
  extend(subject: string, extension: Extension, said: string): Promise<void> {
    return this.act(subject, 'extend', extension, said);
  }

  override dispose(): void {
    this._poll.dispose();
    super.dispose();
  }

  private _class(): string {
    return `profiles/classes/${encodeURIComponent(this._chosen)}`;
  }

  private async _look(): Promise<void> {
    try {
      await this._classes();
      if (this._chosen) {
        await Promise.all([this._members(), this._ask()]);
      }
      this.error = '';
    } catch (reason) {
      this.error = sentence(reason);
      throw reason;
    } finally {
      if (!this.isDisposed) {
        this.stateChanged.emit();
      }
    }
  }

  private async _classes(): Promise<void> {
    const { classes } = await request<{ classes: readonly Class[] }>(
      'profiles/classes',
      this._trans
    );
    this.classes = classes.filter(each => each.role === 'teacher');
    if (!this.classes.some(each => each.id === this._chosen)) {
      this._chosen = this.classes[0]?.id ?? '';
      this.members = null;
    }
  }

  private async _members(): Promise<void> {
    const chosen = this._chosen;
    const found: Member[] = [];
    let after = '';
    let now = '';
    do {
      const page: Activity = await request<Activity>(
        `${this._class()}/activity?limit=${PAGE}${after && `&after=${encodeURIComponent(after)}`}`,
        this._trans
      );
      // A name may hold marks that make it look like another's.
      found.push(...page.members.map(each => ({ ...each, name: visible(each.name) })));
      after = page.next ?? '';
      now = page.now;
    } while (after && chosen === this._chosen);
    if (chosen === this._chosen) {
      const first = this.members === null;
      this.members = found;
      this.at = new Date(now);
      if (first || !this._pointed) {
        this._arrange();
      }
    }
  }

  private _arrange(): void {
    this._places = sorted(this.members ?? [], this._order).map(member => member.subject);
  }

  private async _ask(): Promise<void> {
    const subject = this._opened;
    const member = this.members?.find(each => each.subject === subject);
    if (!member?.sandbox) {
      return;
    }
    try {
      const path = `${this._class()}/members/${encodeURIComponent(subject)}/quotas`;
      const { quotas } = await request<{ quotas: Quotas }>(path, this._trans);
      if (subject === this._opened) {
        this._quotas = quotas;
      }
    } catch (reason) {
      this.told = { text: sentence(reason), failed: true };
    }
    this.stateChanged.emit();
  }

  private readonly _poll: Poll;
  private _chosen = '';
  private _opened = '';
  private _sought = '';
  private _pointed = false;
  private _places: readonly string[] = [];
  private _quotas: Quotas | null = null;
  private _order: Order = { column: 'name', descending: false };
}
