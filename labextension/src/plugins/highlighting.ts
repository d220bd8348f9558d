// Highlights meta-commands and variables in cells of PostgreSQL.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { EditorExtensionRegistry, IEditorExtensionRegistry } from '@jupyterlab/codemirror';

import { commands } from '../highlighting/commands';

const MIME = 'text/x-pgsql';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:highlighting',
  description: 'Highlights meta-commands and variables in cells of PostgreSQL.',
  autoStart: true,
  requires: [IEditorExtensionRegistry],
  activate: (_: JupyterFrontEnd, registry: IEditorExtensionRegistry) => {
    registry.addExtension({
      name: 'pgcellar-meta-commands',
      factory: ({ model }) =>
        EditorExtensionRegistry.createImmutableExtension(commands(() => model.mimeType === MIME))
    });
  }
};

export default plugin;
