// A notebook whose kernel is ours: keeps the kernel told, and knows how the cells stand.

import { type Cell, CodeCell, type ICellModel } from '@jupyterlab/cells';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { type Kernel, KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JSONObject } from '@lumino/coreutils';
import { Debouncer } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { AskError, type CellState, type ISqlNotebook, type Status } from '../tokens';
import type { KernelEvent, Plan, SqlError } from '../wire';
import { CellStates, NONE } from './cellstates';
import { Conversation, type Told } from './conversation';
import { Outline } from './outline';

/** Milliseconds without a key after which it is asked what is out of date. */
const PAUSE = 250;

/** What a kernel process says of itself. */
const RUNS: readonly KernelMessage.Status[] = ['starting', 'busy', 'idle'];

const BUSY: readonly Status[] = ['scheduled', 'running', 'replaying'];

/**
 * See the module. Made for a panel whose model is there; `anticipates` says whether what a cell will
 * run in is to be prepared.
 */
export class SqlNotebook implements ISqlNotebook {
  constructor(
    readonly panel: NotebookPanel,
    private readonly _kernel: Kernel.IKernelConnection,
    private readonly _anticipates: () => boolean,
    private readonly _trans: TranslationBundle
  ) {
    const { model } = panel.content;
    if (!model) {
      throw new Error('The notebook has no model yet.');
    }
    this._connected = _kernel.connectionStatus === 'connected';
    this._states = new CellStates(_trans);
    this._outline = new Outline(model.cells);
    this._outline.changed.connect(this._onOutline, this);
    this._outline.shown.connect(() => this._changed.emit());
    _kernel.statusChanged.connect(this._onStatus, this);
    _kernel.iopubMessage.connect(this._onMessage, this);
    _kernel.connectionStatusChanged.connect(this._onConnection, this);
    panel.content.activeCellChanged.connect(this._onActive, this);
    this._planning = new Debouncer(() => this._replan(), PAUSE);
    this._converse();
    void this._planning.invoke();
  }

  get plan(): Plan | null {
    return this._states.plan;
  }

  get errors(): ReadonlyMap<string, SqlError> {
    return this._errors;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get ran(): ISignal<this, string> {
    return this._ran;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  stateOf(cell: string): CellState {
    const model = this._disposed ? null : this._outline.cell(cell);
    return model ? this._states.of(model) : NONE;
  }

  async ask<T>(question: string, about: Record<string, unknown> = {}): Promise<T> {
    const conversation = this._converse();
    this._tell(conversation);
    return (await conversation.ask(question, about as JSONObject)) as T;
  }

  /** Somebody comes back to it: files that cells read may have changed meanwhile. */
  look(): void {
    void this._planning.invoke();
  }

  /** A cell's execute request leaves right after this. */
  send(cell: ICellModel): void {
    const source = cell.sharedModel.getSource();
    if (cell.type !== 'code' || !source.trim()) {
      return;
    }
    const conversation = this._converse();
    this._tell(conversation);
    conversation.tell({ send: cell.id, source });
    this._sent.add(cell.id);
    const area = this._widget(cell.id)?.outputArea;
    if (area) {
      this._areas.set(cell.id, area);
    }
    this._states.sent(cell);
    this._changed.emit();
  }

  /** A cell that was sent came to its end, or was given up. */
  finish(cell: ICellModel): void {
    this._sent.delete(cell.id);
    this._states.finish(cell);
    this._changed.emit();
    void this._planning.invoke();
  }

  async runStale(): Promise<boolean> {
    const { content, sessionContext } = this.panel;
    // What is frozen anew makes cells below it stale that were up to date, and none above.
    let above = -1;
    for (;;) {
      await this._replan();
      const stale = content.widgets.filter(
        (cell: Cell, index) => index > above && this.stateOf(cell.model.id).status === 'stale'
      );
      const [first] = stale;
      if (!first) {
        return true;
      }
      above = content.widgets.indexOf(first);
      if (!(await NotebookActions.runCells(content, stale, sessionContext))) {
        return false;
      }
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this._planning.dispose();
    this._outline.dispose();
    this._conversation?.close();
    this._kernel.statusChanged.disconnect(this._onStatus, this);
    this._kernel.iopubMessage.disconnect(this._onMessage, this);
    this._kernel.connectionStatusChanged.disconnect(this._onConnection, this);
    if (!this.panel.isDisposed) {
      this.panel.content.activeCellChanged.disconnect(this._onActive, this);
      // Under another kernel nothing is said of its cells.
      this._changed.emit();
    }
    Signal.clearData(this);
  }

  private _widget(id: string): CodeCell | null {
    const found = this.panel.content.widgets.find(cell => cell.model.id === id);
    return found instanceof CodeCell ? found : null;
  }

  /** The comm that is open, or one that is opened now. */
  private _converse(): Conversation {
    if (!this._conversation || this._conversation.isDisposed) {
      this._conversation = new Conversation(this._kernel, this._outline.whole(), this._trans);
      this._conversation.told.connect(this._onTold, this);
    }
    return this._conversation;
  }

  private _tell(conversation: Conversation): void {
    const news = this._outline.news();
    if (news) {
      conversation.tell(news);
    }
  }

  private _onOutline(_: Outline, cells: readonly string[]): void {
    const order = this._outline.order;
    const first = Math.min(...cells.map(cell => order.indexOf(cell)).filter(index => index >= 0));
    this._states.doubt(order.slice(Number.isFinite(first) ? first : 0));
    this._prepare(cells);
    this._changed.emit();
    void this._planning.invoke();
  }

  /** Completion and inspection go by the active cell's place. */
  private _onActive(): void {
    this._prepared = '';
    const active = this.panel.content.activeCell?.model.id;
    if (active && this._conversation && !this._conversation.isDisposed) {
      this._tell(this._conversation);
      this._conversation.tell({ active });
    }
  }

  /** Somebody types in the active cell: have ready what it will run in. */
  private _prepare(cells: readonly string[]): void {
    const active = this.panel.content.activeCell?.model.id;
    if (!this._anticipates()) {
      return;
    }
    if (active && cells.length === 1 && cells[0] === active && this._prepared !== active) {
      this._prepared = active;
      this.ask('prepare', { cell: active }).catch(ignore);
    }
  }

  private async _replan(): Promise<void> {
    if (this._disposed || this.panel.isDisposed) {
      return;
    }
    try {
      const { version } = this._outline;
      const plan = await this.ask<Plan>('plan');
      // What was typed meanwhile is in the next one.
      if (version === this._outline.version) {
        this._states.plan = plan;
      }
    } catch (reason) {
      // Cells stay in doubt; the next run or change asks again.
      ignore(reason);
    }
    this._changed.emit();
  }

  private _onStatus(_: Kernel.IKernelConnection, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting' || status === 'dead') {
      this._conversation?.dispose();
      this._process = '';
      this._forget();
    }
    if (status === 'restarting' || status === 'autorestarting') {
      void this._planning.invoke();
    }
  }

  /** Of a restart from another page Jupyter tells nothing, but each kernel process has its session. */
  private _onMessage(_: Kernel.IKernelConnection, message: KernelMessage.IIOPubMessage): void {
    if (!KernelMessage.isStatusMsg(message) || !RUNS.includes(message.content.execution_state)) {
      // What Jupyter Server tells of its own accord is in a session of its own.
      return;
    }
    const { session } = message.header;
    if (this._process && this._process !== session) {
      this._conversation?.close();
      this._forget();
      // At once: see `_onConnection`.
      this._converse();
      void this._planning.invoke();
    }
    this._process = session;
  }

  /** The kernel process is gone, and what it ran. */
  private _forget(): void {
    this._sent.clear();
    this._states.settle();
    this._prepared = '';
    this._changed.emit();
  }

  /** What was sent before may have got lost on the way: tell everything anew. */
  private _onConnection(_: Kernel.IKernelConnection, status: Kernel.ConnectionStatus): void {
    if (status !== 'connected') {
      // At first nothing got lost: what was sent waits until there is a connection.
      this._broken = this._connected;
    } else if (this._broken) {
      this._broken = false;
      if (this._conversation) {
        this._conversation.close();
        // At once: how a cell comes along is told to those who are there.
        this._converse();
      }
      this._prepared = '';
      void this._planning.invoke();
    }
    this._connected ||= status === 'connected';
  }

  private _onTold(_: Conversation, { told, ours }: Told): void {
    switch (told.event) {
      case 'running':
        this._states.pass(told.cell, { status: 'running', reason: '' });
        break;
      case 'ended':
        this._states.pass(told.cell, null);
        break;
      case 'progress':
        this._onProgress(told);
        break;
      case 'ran':
        this._onRan(told, ours);
        break;
      case 'lost':
        this._conversation?.close();
        this._converse();
        void this._planning.invoke();
        return;
      case 'edit':
        this._onEdit(told);
        return;
      default:
        return;
    }
    this._changed.emit();
  }

  private _onProgress(told: KernelEvent & { event: 'progress' }): void {
    if (!BUSY.includes(this.stateOf(told.cell).status)) {
      return;
    }
    if (told.at === null) {
      this._states.pass(told.cell, { status: 'running', reason: told.message });
      return;
    }
    const number = this._outline.order.indexOf(told.at) + 1;
    const reason = this._trans.__('Cell %1 is replayed; %2 left.', number, told.left);
    this._states.pass(told.cell, { status: 'replaying', reason });
  }

  /** A widget was moved: its value belongs into the text, which may be another by now. */
  private _onEdit(told: KernelEvent & { event: 'edit' }): void {
    const shared = this._outline.cell(told.cell)?.sharedModel;
    for (const [was, now] of told.edits) {
      const at = shared?.getSource().indexOf(was) ?? -1;
      if (at >= 0) {
        shared?.updateSource(at, at + was.length, now);
      }
    }
    const { content, sessionContext } = this.panel;
    const cell = this._widget(told.cell);
    if (cell && this._areas.get(told.cell) !== cell.outputArea && !this._sent.has(told.cell)) {
      // Its page was loaded anew, or it was moved: what the kernel shows for it would be lost.
      void NotebookActions.runCells(content, [cell], sessionContext);
    }
  }

  private _onRan(told: KernelEvent & { event: 'ran' }, ours: boolean): void {
    if (ours) {
      this._take(told);
    } else if (!this._sent.has(told.cell)) {
      // Another page has its output; what this one shows is as old as it was.
      this._states.pass(told.cell, null);
    }
    this._ran.emit(told.cell);
    void this._planning.invoke();
  }

  /** A cell has run whose output is in this page, unless it was moved or deleted meanwhile. */
  private _take(told: KernelEvent & { event: 'ran' }): void {
    const model = this._outline.cell(told.cell);
    const report = told.cells.at(-1);
    if (this._areas.get(told.cell) !== this._widget(told.cell)?.outputArea) {
      // JupyterLab has made another cell of it, and tells no end of this one.
      this._sent.delete(told.cell);
      this._states.pass(told.cell, null);
    } else if (model && report?.id === told.cell) {
      this._states.ran(model, report);
      if (this._sent.has(told.cell)) {
        // Its outputs may still come, and then more is kept of it.
        this._states.pass(told.cell, { status: 'running', reason: '' });
      }
    } else {
      this._states.pass(told.cell, null);
    }
    for (const { id } of told.cells) {
      this._errors.delete(id);
    }
    if (told.error) {
      this._errors.set(told.error.cell ?? told.cell, told.error);
    }
  }

  private readonly _states: CellStates;
  private readonly _outline: Outline;
  private readonly _planning: Debouncer;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _ran = new Signal<this, string>(this);
  private readonly _errors = new Map<string, SqlError>();
  /** The cells whose requests are under way. */
  private readonly _sent = new Set<string>();
  /** Where the cells' last runs are shown: what comes later for them is shown there or nowhere. */
  private readonly _areas = new Map<string, CodeCell['outputArea']>();
  private _conversation: Conversation | null = null;
  /** The session of the kernel process that was heard last. */
  private _process = '';
  private _prepared = '';
  /** Whether the connection to the kernel is, or was until now, broken. */
  private _broken = false;
  /** Whether there has been a connection. */
  private _connected: boolean;
  private _disposed = false;
}

/** What can't be answered now is asked again at the next occasion; anything else is a fault. */
function ignore(reason: unknown): void {
  if (!(reason instanceof AskError)) {
    throw reason;
  }
}
