// Whether something is really to be done.

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

/** Ask, with a button that does it; Enter alone does not. */
export async function confirmed(
  title: string,
  body: string,
  act: string,
  trans: TranslationBundle
): Promise<boolean> {
  const { button } = await showDialog({
    title,
    body,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.warnButton({ label: act })
    ],
    defaultButton: 0
  });
  return button.accept;
}
