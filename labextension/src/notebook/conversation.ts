// The comm to the kernel: what the notebook looks like, and questions about it.

import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { type JSONObject, PromiseDelegate } from '@lumino/coreutils';
import { type ISignal, Signal } from '@lumino/signaling';

import { AskError } from '../tokens';
import type { KernelEvent, Problem } from '../wire';

/** What the kernel tells, and whether it is about something that this page has sent. */
export interface Told {
  readonly told: KernelEvent;
  readonly ours: boolean;
}

const TARGET = 'pgcellar.notebook';

interface Reply {
  readonly id?: number;
  readonly answer?: unknown;
  readonly problem?: Problem;
}

function gone(trans: TranslationBundle): Problem {
  return {
    type: 'urn:pgcellar:PC000',
    title: trans.__('Gone'),
    status: 503,
    code: 'PC000',
    detail: trans.__('The kernel was restarted or is gone, or could not be reached.'),
    hint: trans.__('Try it again.')
  };
}

/** A comm to one kernel process; a kernel that is restarted needs another one. */
export class Conversation {
  /** Opens it; `whole` tells the notebook as it stands. */
  constructor(
    private readonly _kernel: Kernel.IKernelConnection,
    whole: JSONObject,
    private readonly _trans: TranslationBundle
  ) {
    this._comm = _kernel.createComm(TARGET);
    this._comm.onMsg = message => this._receive(message);
    this._comm.onClose = () => this.dispose();
    this._comm.open(this._numbered(whole));
  }

  get isDisposed(): boolean {
    return this._disposed || this._comm.isDisposed;
  }

  /** Emits what the kernel tells of its own accord. */
  get told(): ISignal<this, Told> {
    return this._told;
  }

  /** Tell the kernel something. */
  tell(data: JSONObject): void {
    if (!this.isDisposed) {
      this._comm.send(this._numbered(data));
    }
  }

  /** Ask the kernel something; rejects with an `AskError`. */
  ask(question: string, about: JSONObject): Promise<unknown> {
    const id = ++this._asked;
    const delegate = new PromiseDelegate<unknown>();
    this._open.set(id, delegate);
    if (this.isDisposed) {
      this._reject();
    } else {
      this._comm.send(this._numbered({ ...about, ask: question, id }));
    }
    return delegate.promise;
  }

  /** End it where the kernel is there, which forgets this page then. */
  close(): void {
    if (!this.isDisposed && !this._kernel.isDisposed && this._kernel.status !== 'dead') {
      this._comm.close();
    }
    this.dispose();
  }

  /** End it; what is not answered yet is rejected. */
  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this._reject();
      Signal.clearData(this);
    }
  }

  /** By its number the kernel sees that a message before it was lost. */
  private _numbered(data: JSONObject): JSONObject {
    return { ...data, n: this._count++ };
  }

  private _receive({ content, parent_header }: KernelMessage.ICommMsgMsg): void {
    const reply = content.data as unknown as Reply;
    if (typeof reply.id !== 'number') {
      // Where output goes, is for the session of the request to say.
      const ours = 'session' in parent_header && parent_header.session === this._kernel.clientId;
      this._told.emit({ told: content.data as unknown as KernelEvent, ours });
      return;
    }
    const delegate = this._open.get(reply.id);
    this._open.delete(reply.id);
    if (reply.problem) {
      delegate?.reject(new AskError(reply.problem));
    } else {
      delegate?.resolve(reply.answer);
    }
  }

  private _reject(): void {
    for (const delegate of this._open.values()) {
      delegate.reject(new AskError(gone(this._trans)));
    }
    this._open.clear();
  }

  private readonly _comm: Kernel.IComm;
  private readonly _told = new Signal<this, Told>(this);
  private readonly _open = new Map<number, PromiseDelegate<unknown>>();
  private _asked = 0;
  private _count = 0;
  private _disposed = false;
}
