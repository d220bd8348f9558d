// The state panel, and what cells changed.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { addBeside, reveal } from '../beside';
import { Comparison, type End } from '../states/comparing';
import { DifferenceView } from '../states/difference';
import { deltaIcon, statesIcon } from '../states/icons';
import { IKeptStates, KeptStates } from '../states/kept';
import { StatesModel } from '../states/model';
import { StatesPanel } from '../states/panel';
import { ISqlNotebooks } from '../tokens';

const SHOW = 'pgcellar:show-states';
const WHAT_CHANGED = 'pgcellar:what-changed';
const PANEL = 'pgcellar-states';
/** After the property inspector and the debugger. */
const RANK = 600;

const plugin: JupyterFrontEndPlugin<KeptStates> = {
  id: 'pgcellar-labextension:states',
  description: 'Shows the states of an SQL notebook, and what they differ in.',
  autoStart: true,
  provides: IKeptStates,
  requires: [ISqlNotebooks],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('pgcellar');
    const { commands, shell } = app;
    const kept = new KeptStates(trans);

    const showDifference = (before: End, after: End): void => {
      const comparison = new Comparison(before, after, notebooks.current, kept, trans);
      const view = new DifferenceView(comparison, trans);
      const widget = new MainAreaWidget({ content: view });
      widget.title.label = trans.__('Changes: %1', after.label.slice(0, 30));
      widget.title.caption = `${before.label} → ${after.label}`;
      widget.title.icon = deltaIcon;
      widget.disposed.connect(() => comparison.dispose());
      addBeside(shell, widget, notebooks.current?.panel.id);
      reveal(shell, widget);
    };

    const model = new StatesModel(notebooks, kept, showDifference, trans);
    const panel = new StatesPanel(model, trans);
    panel.id = PANEL;
    panel.title.icon = statesIcon;
    panel.title.caption = trans.__('States of the SQL notebook');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', panel.title.caption);
    shell.add(panel, 'right', { rank: RANK });
    restorer?.add(panel, PANEL);

    commands.addCommand(SHOW, {
      label: trans.__('Show States'),
      caption: trans.__('Show the chain of states of the SQL notebook'),
      icon: statesIcon,
      execute: () => shell.activateById(PANEL)
    });
    commands.addCommand(WHAT_CHANGED, {
      label: trans.__('What Did This Cell Change?'),
      caption: trans.__('Show what the state after the cell has otherwise than the one before'),
      icon: deltaIcon,
      isEnabled: () => model.selected !== null,
      isVisible: () => notebooks.current !== null,
      execute: async () => {
        const cell = model.selected;
        if (cell !== null) {
          // Where the chain begins may not be known yet.
          await kept.refresh();
          model.whatChanged(cell);
        }
      }
    });
    for (const command of [SHOW, WHAT_CHANGED]) {
      palette?.addItem({ command, category: trans.__('SQL Notebook') });
    }
    return kept;
  }
};

export default plugin;
