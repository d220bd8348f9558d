// The tour for who is here for the first time: a notebook, made where it is not there yet.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { type Contents, ServerConnection } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { sqlIcon } from '../icons';
import { KERNEL } from '../tokens';
import { tour } from '../tour';

const TOUR = 'pgcellar:tour';
const OPEN = 'docmanager:open';
const NAME = 'SQL tour.ipynb';

async function isThere(contents: Contents.IManager, path: string): Promise<boolean> {
  try {
    await contents.get(path, { content: false });
    return true;
  } catch (reason) {
    if (reason instanceof ServerConnection.ResponseError && reason.response.status === 404) {
      return false;
    }
    throw reason;
  }
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:tour',
  description: 'Opens a tour of SQL notebooks.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette, ILauncher, IDefaultFileBrowser],
  activate: (
    { commands, serviceManager }: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    browser: IDefaultFileBrowser | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    commands.addCommand(TOUR, {
      label: trans.__('Tour of SQL Notebooks'),
      caption: trans.__('Open a notebook that shows what can be done, in seven steps'),
      icon: args => (args.isPalette ? undefined : sqlIcon),
      isEnabled: () => commands.hasCommand(OPEN),
      execute: async ({ cwd }) => {
        const folder = typeof cwd === 'string' ? cwd : (browser?.model.path ?? '');
        const path = PathExt.join(folder, NAME);
        const { contents } = serviceManager;
        if (!(await isThere(contents, path))) {
          await contents.save(path, { type: 'notebook', format: 'json', content: tour(trans) });
        }
        return (await commands.execute(OPEN, { path, kernel: { name: KERNEL } })) as unknown;
      }
    });
    palette?.addItem({
      command: TOUR,
      category: trans.__('SQL Notebook'),
      args: { isPalette: true }
    });
    launcher?.add({ command: TOUR, category: trans.__('SQL'), rank: 0 });
  }
};

export default plugin;
