// Underlines where a cell failed, and offers what the server's hint proposes.

import { setDiagnostics } from '@codemirror/lint';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { CodeMirrorEditor } from '@jupyterlab/codemirror';

import { diagnosticOf } from '../errors/diagnose';
import { type ISqlNotebook, ISqlNotebooks } from '../tokens';

function underline(notebook: ISqlNotebook): void {
  for (const cell of notebook.panel.content.widgets) {
    const { editor, model } = cell;
    if (model.type === 'code' && editor instanceof CodeMirrorEditor) {
      const error = notebook.errors.get(model.id);
      const found = error && diagnosticOf(error, model.sharedModel.getSource());
      const view = editor.editor;
      view.dispatch(setDiagnostics(view.state, found ? [found] : []));
    }
  }
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:errors',
  description: 'Underlines where a cell failed, and offers what the server’s hint proposes.',
  autoStart: true,
  requires: [ISqlNotebooks],
  activate: (_: JupyterFrontEnd, notebooks: ISqlNotebooks) => {
    const followed = new WeakSet<ISqlNotebook>();
    const follow = (notebook: ISqlNotebook | null): void => {
      if (notebook && !followed.has(notebook)) {
        followed.add(notebook);
        notebook.ran.connect(underline);
      }
    };
    notebooks.currentChanged.connect((__, notebook) => follow(notebook));
    follow(notebooks.current);
  }
};

export default plugin;
