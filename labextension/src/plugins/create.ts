// A new SQL notebook, by a command; the launcher has the kernel’s own tile for it.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { sqlIcon } from '../icons';
import { KERNEL } from '../tokens';

export const NEW_NOTEBOOK = 'pgcellar:new-notebook';
/** JupyterLab’s command, by which its own “New Notebook” goes. */
const CREATE = 'notebook:create-new';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:create',
  description: 'Makes SQL notebooks.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette],
  activate: (
    { commands }: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    commands.addCommand(NEW_NOTEBOOK, {
      label: args => (args.isMenu ? trans.__('SQL Notebook') : trans.__('New SQL Notebook')),
      caption: trans.__('Make a notebook of SQL cells in the folder that the file browser shows'),
      icon: args => (args.isPalette ? undefined : sqlIcon),
      isEnabled: () => commands.hasCommand(CREATE),
      execute: ({ cwd }) =>
        commands.execute(CREATE, { kernelName: KERNEL, ...(cwd === undefined ? {} : { cwd }) })
    });
    palette?.addItem({
      command: NEW_NOTEBOOK,
      category: trans.__('SQL Notebook'),
      args: { isPalette: true }
    });
  }
};

export default plugin;
