// A value at length, in a dialog.

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import type { Column } from '../wire';
import { atLength, byteCount, characterCount, visible } from './text';

/** Show a value; whether it is to be copied. */
export async function showValue(
  column: Column,
  row: number,
  value: string | null,
  trans: TranslationBundle
): Promise<boolean> {
  const body = new Widget();
  body.addClass('pgc-Value');
  const about = document.createElement('div');
  about.className = 'pgc-Value-about';
  about.textContent = value === null ? column.type : described(value, column.type, trans);
  const text = document.createElement('pre');
  text.className = value === null ? 'pgc-Value-text pgc-mod-null' : 'pgc-Value-text';
  text.tabIndex = 0;
  text.setAttribute('aria-label', trans.__('Value'));
  text.textContent = value === null ? 'NULL' : visible(atLength(value, column.type), true);
  body.node.append(about, text);
  const result = await showDialog({
    title: trans.__('%1, row %2', visible(column.name), row + 1),
    body,
    focusNodeSelector: '.pgc-Value-text',
    buttons: [
      Dialog.createButton({ label: trans.__('Copy'), accept: true, displayType: 'default' }),
      Dialog.cancelButton({ label: trans.__('Close') })
    ],
    defaultButton: 1
  });
  return result.button.accept;
}

/** What a value is, and how long. */
function described(value: string, type: string, trans: TranslationBundle): string {
  const bytes = byteCount(value, type);
  const count = bytes ?? characterCount(value);
  const digits = count.toLocaleString();
  return bytes === null
    ? trans._n('%2, one character', '%2, %3 characters', count, type, digits)
    : trans._n('%2, one byte', '%2, %3 bytes', count, type, digits);
}
