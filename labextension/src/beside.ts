// Where what is about a notebook stands: beside it, all of it in one place; in Notebook 7 below it.

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { TabPanel, type Widget } from '@lumino/widgets';

const CLASS = 'pgc-Beside';
const BELOW = 'pgc-Below';

/** Put a widget beside the notebook: the first splits the place, the others stand with it. */
export function addBeside(shell: JupyterFrontEnd.IShell, widget: Widget, notebook?: string): void {
  const others = [...shell.widgets('main')].filter(each => each.hasClass(CLASS));
  widget.addClass(CLASS);
  const last = others.pop();
  if (last) {
    addMain(shell, widget, { mode: 'tab-after', ref: last.id });
  } else {
    addMain(shell, widget, { mode: 'split-right', ...(notebook ? { ref: notebook } : {}) });
  }
}

/** Put a widget into the main area; below it where that takes no second one, as in Notebook 7. */
export function addMain(
  shell: JupyterFrontEnd.IShell,
  widget: Widget,
  options?: Parameters<JupyterFrontEnd.IShell['add']>[2]
): void {
  shell.add(widget, 'main', options);
  if (!widget.parent) {
    widget.addClass(BELOW);
    // Icons have no size there.
    widget.title.icon = undefined;
    shell.add(widget, 'down');
  }
}

/** Show a widget that was put there, and give it the focus. */
export function reveal(shell: JupyterFrontEnd.IShell, widget: Widget): void {
  const tabs = widget.parent?.parent;
  if (tabs instanceof TabPanel) {
    // Notebook 7 shows what is below, but not this one of it.
    tabs.currentWidget = widget;
  }
  shell.activateById(widget.id);
}
