// One’s own sandbox in the status bar, and the panel that a click opens.

import { type Popup, showPopup } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { sqlIcon } from '../icons';
import { QuotaTable } from '../quotas';
import { bytes, span } from '../units';
import type { Sandbox, SandboxModel, Verb } from './model';

/** What the status bar shows. */
export class SandboxItem extends VDomRenderer<SandboxModel> {
  constructor(
    model: SandboxModel,
    private readonly _commands: CommandRegistry,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('pgc-SandboxItem');
  }

  /** Open the panel, or close it. */
  toggle(): void {
    if (this._popup) {
      this._popup.dispose();
      return;
    }
    const body = new SandboxPanel(this.model, this._commands, this._trans);
    const popup = showPopup({ body, anchor: this, align: 'right', hasDynamicSize: true });
    this._popup = popup;
    this.model.open = true;
    popup.disposed.connect(() => {
      this._popup = null;
      body.dispose();
      if (!this.isDisposed) {
        this.model.open = false;
        this.update();
        this.node.querySelector('button')?.focus();
      }
    });
    this.update();
  }

  protected override render(): React.JSX.Element {
    const { sandbox } = this.model;
    const memory = sandbox?.memory_bytes;
    const text = [statusOf(this.model, this._trans)];
    if (memory) {
      text.push(bytes(memory));
    }
    return (
      <button
        aria-haspopup="dialog"
        aria-expanded={this._popup !== null}
        title={this._trans.__('Your SQL sandbox: memory, disk, restart, stop, reset')}
        onClick={() => this.toggle()}
      >
        <sqlIcon.react tag="span" stylesheet="statusBar" />
        <span
          className={sandbox?.status === 'running' ? 'pgc-Dot pgc-mod-on' : 'pgc-Dot'}
          aria-hidden="true"
        />
        <span>{this._trans.__('Sandbox: %1', text.join(' · '))}</span>
      </button>
    );
  }

  private _popup: Popup | null = null;
}

function statusOf(model: SandboxModel, trans: TranslationBundle): string {
  const { sandbox } = model;
  if (model.busy) {
    return underWay(model.busy, trans);
  }
  if (sandbox === undefined) {
    return trans.__('unknown');
  }
  switch (sandbox?.status) {
    case 'running':
      return sandbox.runs > 0 ? trans.__('busy') : trans.__('running');
    case 'starting':
      return trans.__('starting');
    case 'stopped':
      return trans.__('stopped');
    default:
      return trans.__('none');
  }
}

function underWay(verb: Verb, trans: TranslationBundle): string {
  switch (verb) {
    case 'restart':
      return trans.__('restarting');
    case 'stop':
      return trans.__('stopping');
    case 'reset':
      return trans.__('resetting');
  }
}

/** The panel. */
class SandboxPanel extends VDomRenderer<SandboxModel> {
  constructor(
    model: SandboxModel,
    private readonly _commands: CommandRegistry,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('pgc-SandboxPanel');
    this.node.tabIndex = -1;
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', _trans.__('Your SQL sandbox'));
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.node.focus();
  }

  protected override render(): React.JSX.Element {
    const { model } = this;
    const trans = this._trans;
    return (
      <>
        <h3>{trans.__('Your SQL sandbox')}</h3>
        {(model.refused || model.failure) && (
          <p className="pgc-Message pgc-mod-failed" role="alert">
            {model.refused || model.failure}
          </p>
        )}
        <dl>
          <dt>{trans.__('Status')}</dt>
          <dd role="status">{statusOf(model, trans)}</dd>
          {model.sandbox && facts(model.sandbox, model, trans)}
        </dl>
        {model.sandbox === null && (
          <p>{trans.__('There is none yet: the first cell that runs makes one.')}</p>
        )}
        {model.quotas && (
          <QuotaTable
            quotas={model.quotas}
            trans={trans}
            caption={trans.__('Your limits at the central gateway')}
          />
        )}
        <div className="pgc-SandboxPanel-acts">
          {this._button('restart', trans.__('Restart'))}
          {this._button('stop', trans.__('Stop'))}
          {this._button('reset', trans.__('Reset…'))}
        </div>
      </>
    );
  }

  private _button(verb: Verb, label: string): React.JSX.Element {
    const command = `pgcellar:${verb}-sandbox`;
    return (
      <button
        className="pgc-Button jp-mod-styled"
        title={this._commands.caption(command)}
        disabled={!this._commands.isEnabled(command)}
        onClick={() => void this._commands.execute(command)}
      >
        {label}
      </button>
    );
  }
}

/** What is known of a sandbox, as terms and what they are. */
function facts(
  sandbox: Sandbox,
  { snapshots }: SandboxModel,
  trans: TranslationBundle
): React.JSX.Element {
  const found: [string, string][] = [];
  if (sandbox.server_version) {
    found.push([trans.__('PostgreSQL'), sandbox.server_version]);
  }
  if (sandbox.memory_bytes !== null) {
    found.push([trans.__('Memory'), bytes(sandbox.memory_bytes)]);
  }
  if (snapshots) {
    const text = trans._n(
      '%2 in %1 snapshot',
      '%2 in %1 snapshots',
      snapshots.count,
      bytes(snapshots.bytes)
    );
    found.push([trans.__('Disk'), text]);
  }
  if (sandbox.since) {
    found.push([trans.__('Runs since'), new Date(sandbox.since).toLocaleString()]);
  }
  if (sandbox.runs > 0) {
    found.push([trans.__('In use by'), trans._n('%1 run', '%1 runs', sandbox.runs)]);
  } else if (sandbox.idle_seconds !== null && sandbox.left_seconds !== null) {
    const idle = span(sandbox.idle_seconds, trans);
    const left = span(sandbox.left_seconds, trans);
    found.push([trans.__('Idle'), trans.__('for %1; it is stopped in %2', idle, left)]);
  }
  return (
    <>
      {found.map(([term, text]) => (
        <React.Fragment key={term}>
          <dt>{term}</dt>
          <dd>{text}</dd>
        </React.Fragment>
      ))}
    </>
  );
}
