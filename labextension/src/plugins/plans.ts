// Shows the plan of the active cell's query, and compares two.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { CommandToolbarButton, ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { treeViewIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';

import { addBeside, reveal } from '../beside';
import { type PlanBundle, PlanView } from '../plans/view';
import { AskError, type ISqlNotebook, ISqlNotebooks } from '../tokens';

const EXPLAIN = 'pgcellar:explain';
const ANALYZE = 'pgcellar:explain-analyze';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:plans',
  description: 'Shows the plan of the active cell’s query, and compares two.',
  autoStart: true,
  requires: [ISqlNotebooks, IRenderMimeRegistry],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const views = new Map<string, MainAreaWidget<PlanView>>();

    function open(notebook: ISqlNotebook, cell: string, number: number): MainAreaWidget<PlanView> {
      // A copy of a notebook has cells of the same ids.
      const key = `${notebook.panel.id}-${cell}`;
      const known = views.get(key);
      if (known && !known.isDisposed) {
        return known;
      }
      const content = new PlanView(rendermime, trans);
      const made = new MainAreaWidget({ content });
      made.id = `pgcellar-plan-${key}`;
      made.title.label = trans.__('Plan of Cell %1', number);
      made.title.icon = treeViewIcon;
      made.title.closable = true;
      for (const button of buttons(notebook, cell, number, content)) {
        made.toolbar.addItem(button.id, button);
      }
      views.set(key, made);
      made.disposed.connect(() => views.delete(key));
      addBeside(app.shell, made, notebook.panel.id);
      return made;
    }

    function buttons(
      notebook: ISqlNotebook,
      cell: string,
      number: number,
      view: PlanView
    ): CommandToolbarButton[] {
      const commands = new CommandRegistry();
      commands.addCommand('estimate', {
        label: trans.__('Estimate'),
        caption: trans.__('Plan it again, without running it'),
        execute: () => explain(notebook, cell, number, false)
      });
      commands.addCommand('analyze', {
        label: trans.__('Analyze'),
        caption: trans.__('Run it once more, and measure'),
        execute: () => explain(notebook, cell, number, true)
      });
      commands.addCommand('compare', {
        label: trans.__('Compare'),
        caption: trans.__('Show this plan beside the one before it'),
        execute: () => view.compare(notebook).catch(report(view))
      });
      return commands.listCommands().map(id => {
        const button = new CommandToolbarButton({ commands, id });
        button.id = id;
        return button;
      });
    }

    function report(view: PlanView): (reason: unknown) => void {
      return reason => {
        if (!(reason instanceof AskError)) {
          throw reason;
        }
        view.say(reason.message);
      };
    }

    async function explain(
      notebook: ISqlNotebook,
      cell: string,
      number: number,
      analyze: boolean
    ): Promise<void> {
      const opened = open(notebook, cell, number);
      const view = opened.content;
      view.say(analyze ? trans.__('Running the query …') : trans.__('Planning the query …'));
      try {
        await view.display(await notebook.ask<PlanBundle>('explain', { cell, analyze }));
      } catch (reason) {
        report(view)(reason);
      }
      reveal(app.shell, opened);
    }

    function active(analyze: boolean): Promise<void> | undefined {
      const notebook = notebooks.current;
      const { activeCell, widgets } = notebook?.panel.content ?? {};
      if (notebook && activeCell && widgets) {
        // Its number is that of the panels: among the code cells.
        const codes = widgets.filter(({ model }) => model.type === 'code');
        return explain(notebook, activeCell.model.id, codes.indexOf(activeCell) + 1, analyze);
      }
      return undefined;
    }

    app.commands.addCommand(EXPLAIN, {
      label: trans.__('Explain Query'),
      caption: trans.__('Show the plan of the active cell’s last query'),
      icon: treeViewIcon,
      isEnabled: () => notebooks.current !== null,
      isVisible: () => notebooks.current !== null,
      execute: () => active(false)
    });
    app.commands.addCommand(ANALYZE, {
      label: trans.__('Explain and Analyze Query'),
      caption: trans.__('Run the active cell’s last query, and show its plan with times and rows'),
      isEnabled: () => notebooks.current !== null,
      execute: () => active(true)
    });
    notebooks.currentChanged.connect(() => {
      app.commands.notifyCommandChanged(EXPLAIN);
      app.commands.notifyCommandChanged(ANALYZE);
    });
    for (const command of [EXPLAIN, ANALYZE]) {
      palette?.addItem({ command, category: trans.__('SQL Notebook') });
    }
  }
};

export default plugin;
