// Lays out the SQL of a cell.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { ISqlNotebooks } from '../tokens';

const FORMAT = 'pgcellar:format-cell';

interface Formatted {
  readonly source: string;
  readonly changed: boolean;
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:editing',
  description: 'Lays out the SQL of a cell.',
  autoStart: true,
  requires: [ISqlNotebooks],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    app.commands.addCommand(FORMAT, {
      label: trans.__('Format Cell'),
      caption: trans.__('Lay out the SQL of the active cell; its meaning stays'),
      isEnabled: () => notebooks.current !== null,
      execute: async () => {
        const notebook = notebooks.current;
        const model = notebook?.panel.content.activeCell?.model;
        if (!notebook || model?.type !== 'code') {
          return;
        }
        const before = model.sharedModel.getSource();
        const { source, changed } = await notebook.ask<Formatted>('format', { source: before });
        if (!changed) {
          Notification.info(trans.__('There is nothing to lay out in this cell.'), {
            autoClose: 3000
          });
        } else if (model.sharedModel.getSource() === before) {
          model.sharedModel.setSource(source);
        }
      }
    });
    palette?.addItem({ command: FORMAT, category: trans.__('SQL Notebook') });
  }
};

export default plugin;
