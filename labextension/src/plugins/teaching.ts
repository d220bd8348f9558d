// The teacher’s page, where the server has classes to ask for.

import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';

import { addMain, reveal } from '../beside';
import { classIcon } from '../icons';
import { request } from '../request';
import { TeachingPage } from '../teaching/page';
import type { Class } from '../teaching/records';
import { AskError } from '../tokens';

export const OPEN_CLASS = 'pgcellar:open-class';

/** Whether somebody teaches; who can’t be asked about is taken not to. */
async function teaches(trans: TranslationBundle): Promise<boolean> {
  try {
    const { classes } = await request<{ classes: readonly Class[] }>('profiles/classes', trans);
    return classes.some(each => each.role === 'teacher');
  } catch (reason) {
    if (reason instanceof AskError) {
      return false;
    }
    throw reason;
  }
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:teaching',
  description: 'Shows who teaches a class how it gets on.',
  autoStart: true,
  optional: [ILabShell, ITranslator, ICommandPalette, ILauncher, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    shell: ILabShell | null,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null
  ) => {
    if (!shell || !PageConfig.getOption('pgcellarCentral')) {
      // Notebook 7 has one document a page; and without a central gateway there are no classes.
      return;
    }
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const tracker = new WidgetTracker<MainAreaWidget<TeachingPage>>({
      namespace: 'pgcellar-class'
    });
    app.commands.addCommand(OPEN_CLASS, {
      label: trans.__('Open Class'),
      caption: trans.__('See how the classes that you teach get on'),
      icon: classIcon,
      execute: () => {
        let widget = tracker.currentWidget;
        if (!widget || widget.isDisposed) {
          const content = new TeachingPage(trans);
          widget = new MainAreaWidget({ content });
          widget.id = 'pgcellar-class-page';
          void tracker.add(widget);
        }
        if (!widget.isAttached) {
          addMain(shell, widget);
        }
        reveal(shell, widget);
        return widget;
      }
    });
    palette?.addItem({ command: OPEN_CLASS, category: trans.__('SQL Notebook') });
    void restorer?.restore(tracker, { command: OPEN_CLASS, name: () => 'class' });
    if (launcher) {
      void teaches(trans).then(found => {
        if (found) {
          launcher.add({ command: OPEN_CLASS, category: trans.__('SQL'), rank: 1 });
        }
      });
    }
  }
};

export default plugin;
