// What a teacher is asked before something is done to a student’s sandbox.

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { confirmed } from '../confirming';
import type { Extension } from './records';

const MINUTES = 30;
/** As many minutes as a teacher may give; see docs/rest.md. */
const MOST = 1440;
const MOST_STATEMENT = 1800;

/** Whether a sandbox is really to be stopped. */
export function confirmStop(name: string, trans: TranslationBundle): Promise<boolean> {
  const body = trans.__(
    'What runs in it is cancelled. Its states stay, and the next run starts the sandbox again.'
  );
  return confirmed(trans.__('Stop the sandbox of %1?', name), body, trans.__('Stop'), trans);
}

/** Whether a sandbox is really to be reset. */
export function confirmReset(name: string, trans: TranslationBundle): Promise<boolean> {
  const body = trans.__(
    'What runs in it is cancelled, and the sandbox goes with all its states. The next run gets ' +
      'another one and replays what it needs; notebooks and files stay.'
  );
  return confirmed(trans.__('Reset the sandbox of %1?', name), body, trans.__('Reset'), trans);
}

/** For how long, and with how much more; null if it is not to be. */
export async function askExtension(
  name: string,
  trans: TranslationBundle
): Promise<Extension | null> {
  const body = new ExtensionForm(trans);
  const { button, value } = await showDialog({
    title: trans.__('Extend the sandbox of %1', name),
    body,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Extend') })
    ],
    focusNodeSelector: 'input'
  });
  return button.accept ? value : null;
}

/** The fields of an extension. */
class ExtensionForm extends Widget implements Dialog.IBodyWidget<Extension> {
  constructor(trans: TranslationBundle) {
    super();
    this.addClass('pgc-ExtensionForm');
    const said = document.createElement('p');
    said.textContent = trans.__(
      'Until then it is not stopped for being idle. Limits are raised for as long, never lowered.'
    );
    this.node.append(said);
    this._minutes = this._field(trans.__('Minutes'), String(MINUTES), MOST, '');
    this._statement = this._field(
      trans.__('Seconds a statement may take'),
      '',
      MOST_STATEMENT,
      trans.__('as now')
    );
  }

  getValue(): Extension {
    const minutes = whole(this._minutes, MOST) ?? MINUTES;
    const seconds = whole(this._statement, MOST_STATEMENT);
    return seconds === null ? { minutes } : { minutes, quotas: { statement_seconds: seconds } };
  }

  private _field(label: string, value: string, most: number, none: string): HTMLInputElement {
    const row = document.createElement('label');
    const input = document.createElement('input');
    input.type = 'number';
    input.min = '1';
    input.max = String(most);
    input.value = value;
    input.placeholder = none;
    input.className = 'jp-mod-styled';
    const text = document.createElement('span');
    text.textContent = label;
    row.append(text, input);
    this.node.append(row);
    return input;
  }

  private readonly _minutes: HTMLInputElement;
  private readonly _statement: HTMLInputElement;
}

/** A field’s number within its bounds; null if it has none. */
function whole(input: HTMLInputElement, most: number): number | null {
  const value = Math.round(input.valueAsNumber);
  return Number.isFinite(value) ? Math.min(Math.max(value, 1), most) : null;
}
