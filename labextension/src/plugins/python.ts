// Has `%%pgcellar` cells of Python notebooks run below those that stand above them.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';

import { downTo, telling } from '../notebook/pythoncells';

const LANGUAGE = 'python';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:python',
  description: 'Has `%%pgcellar` cells of Python notebooks run below those that stand above them.',
  autoStart: true,
  requires: [INotebookTracker],
  activate: (_: JupyterFrontEnd, tracker: INotebookTracker) => {
    // Fires in the turn in which the execute request leaves, whoever executes cells.
    NotebookActions.executionScheduled.connect((_, { notebook, cell }) => {
      const panel = tracker.find(({ content }) => content === notebook);
      const kernel = panel?.sessionContext.session?.kernel;
      if (!kernel || notebook.model?.defaultKernelLanguage !== LANGUAGE) {
        return;
      }
      const document = downTo(notebook.model.cells, cell.model.id);
      if (document !== null) {
        // No comm: JupyterLab has their messages taken beside execute requests, in any order.
        const code = telling(document);
        const asked = kernel.requestExecute({ code, silent: true, stop_on_error: false }, true);
        // What becomes of the cell is told with the cell.
        asked.done.catch(() => undefined);
      }
    });
  }
};

export default plugin;
