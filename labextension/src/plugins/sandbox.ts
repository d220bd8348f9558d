// One’s own sandbox: a status, and commands to restart, stop and reset it.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { confirmed } from '../confirming';
import { SandboxItem } from '../sandbox/item';
import { SandboxModel, type Verb } from '../sandbox/model';
import { type ISqlNotebook, ISqlNotebooks } from '../tokens';

export const SHOW_SANDBOX = 'pgcellar:show-sandbox';

function confirmReset(trans: TranslationBundle): Promise<boolean> {
  const body = trans.__(
    'What runs in it is cancelled, and all its states go, with their pins and tags. The next run ' +
      'makes another one and replays what it needs; notebooks and files stay.'
  );
  return confirmed(trans.__('Reset your SQL sandbox?'), body, trans.__('Reset'), trans);
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:sandbox',
  description: 'Shows how one’s own sandbox is, and restarts, stops and resets it.',
  autoStart: true,
  requires: [ISqlNotebooks],
  optional: [ITranslator, ICommandPalette, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    statusBar: IStatusBar | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const { commands } = app;
    const model = new SandboxModel(() => notebooks.current !== null, trans);
    // Whoever writes no SQL sees none of it, and starts no service.
    let wanted = false;
    const appeared = new Signal<SandboxModel, void>(model);
    const want = (): void => {
      if (!wanted) {
        wanted = true;
        appeared.emit();
      }
      model.refresh();
    };
    const followed = new WeakSet<ISqlNotebook>();
    const follow = (notebook: ISqlNotebook | null): void => {
      if (notebook && !followed.has(notebook)) {
        followed.add(notebook);
        notebook.ran.connect(() => model.refresh());
        want();
      }
    };
    notebooks.currentChanged.connect((_, notebook) => follow(notebook));
    follow(notebooks.current);

    const category = trans.__('SQL Notebook');
    const add = (verb: Verb, label: string, caption: string, off: () => boolean): void => {
      const command = `pgcellar:${verb}-sandbox`;
      commands.addCommand(command, {
        label,
        caption,
        isEnabled: () => !!model.sandbox && !model.busy && !off(),
        execute: async () => {
          if (verb !== 'reset' || (await confirmReset(trans))) {
            await model.act(verb);
          }
        }
      });
      model.stateChanged.connect(() => commands.notifyCommandChanged(command));
      palette?.addItem({ command, category });
    };
    const never = (): boolean => false;
    add(
      'restart',
      trans.__('Restart SQL Sandbox'),
      trans.__('Cancel what runs, stop the sandbox and start it again; its states stay'),
      never
    );
    add(
      'stop',
      trans.__('Stop SQL Sandbox'),
      trans.__('Cancel what runs and stop the sandbox; its states stay'),
      () => model.sandbox?.status === 'stopped'
    );
    add(
      'reset',
      trans.__('Reset SQL Sandbox…'),
      trans.__('Remove the sandbox with all its states'),
      never
    );

    if (statusBar) {
      const item = new SandboxItem(model, commands, trans);
      statusBar.registerStatusItem(plugin.id, {
        item,
        align: 'right',
        rank: 50,
        isActive: () => wanted,
        activeStateChanged: appeared
      });
      commands.addCommand(SHOW_SANDBOX, {
        label: trans.__('Show SQL Sandbox'),
        caption: trans.__('Your SQL sandbox: memory, disk, restart, stop, reset'),
        execute: () => {
          want();
          item.toggle();
        }
      });
      palette?.addItem({ command: SHOW_SANDBOX, category });
    }
  }
};

export default plugin;
