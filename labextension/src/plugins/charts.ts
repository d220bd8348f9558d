// Has charts follow the theme: JupyterLab draws one in the colors of the theme it finds, once.

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IThemeManager } from '@jupyterlab/apputils';
import { CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { Widget } from '@lumino/widgets';

import { ISqlNotebooks } from '../tokens';

/** The class of what JupyterLab's renderer of Vega shows. */
const CHART = 'jp-RenderedVegaCommon5';

function isChart(widget: Widget): widget is IRenderMime.IRenderer {
  return widget.hasClass(CHART) && 'renderModel' in widget;
}

function redraw(panel: NotebookPanel): void {
  for (const cell of panel.content.widgets) {
    if (cell instanceof CodeCell) {
      const { model, widgets } = cell.outputArea;
      widgets.forEach((output, index) => {
        for (const part of output.children()) {
          if (isChart(part) && index < model.length) {
            void part.renderModel(model.get(index));
          }
        }
      });
    }
  }
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'pgcellar-labextension:charts',
  description: 'Has the charts of SQL notebooks follow the theme.',
  autoStart: true,
  requires: [ISqlNotebooks, INotebookTracker],
  optional: [IThemeManager],
  activate: (
    _: JupyterFrontEnd,
    notebooks: ISqlNotebooks,
    tracker: INotebookTracker,
    themes: IThemeManager | null
  ) => {
    themes?.themeChanged.connect(() => {
      tracker.forEach(panel => {
        if (notebooks.of(panel)) {
          redraw(panel);
        }
      });
    });
  }
};

export default plugin;
