// Renders results in outputs: as a grid where there are rows, else as text.

import { type IRenderMime, RenderedText } from '@jupyterlab/rendermime';
import { Panel } from '@lumino/widgets';

import { MIME, resultOf, type Result } from './result';
import { ResultGrid } from './resultgrid';

/** Makes the grid of a result that is shown within a widget. */
export type MakeGrid = (result: Result, within: Panel) => ResultGrid;

export class ResultRenderer extends Panel implements IRenderMime.IRenderer {
  constructor(
    private readonly _options: IRenderMime.IRendererOptions,
    private readonly _make: MakeGrid
  ) {
    super();
    this.addClass('pgc-ResultRenderer');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    for (const widget of [...this.widgets]) {
      widget.dispose();
    }
    // What is shown expanded (\x), or returns no rows, comes without HTML.
    const result = 'text/html' in model.data ? resultOf(model.data[MIME]) : null;
    if (result) {
      this.addWidget(this._make(result, this));
      return;
    }
    const text = new RenderedText({ ...this._options, mimeType: 'text/plain' });
    this.addWidget(text);
    await text.renderModel(model);
  }
}
