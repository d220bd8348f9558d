// Where what is about a notebook stands: beside it, all of it in one place.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Widget } from '@lumino/widgets';

const CLASS = 'pgc-Beside';

/** Put a widget beside the notebook: the first splits the place, the others stand with it. */
export function addBeside(shell: JupyterFrontEnd.IShell, widget: Widget, notebook?: string): void {
  const others = [...shell.widgets('main')].filter(each => each.hasClass(CLASS));
  widget.addClass(CLASS);
  const last = others.pop();
  if (last) {
    shell.add(widget, 'main', { mode: 'tab-after', ref: last.id });
  } else {
    shell.add(widget, 'main', { mode: 'split-right', ...(notebook ? { ref: notebook } : {}) });
  }
}
