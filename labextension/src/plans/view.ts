// The plan of a cell's query, in a tab of its own; beside an earlier one of the same cell.

import type { IRenderMime, IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { PanelLayout, Widget } from '@lumino/widgets';

import type { ISqlNotebook } from '../tokens';

const HTML = 'text/html';
const PLAN = 'application/vnd.pgcellar.plan+json';

/** The MIME bundle that the kernel gives of a plan. */
export interface PlanBundle {
  readonly [HTML]: string;
  readonly [PLAN]: { readonly raw: unknown };
}

/** See the module. */
export class PlanView extends Widget {
  constructor(
    private readonly _rendermime: IRenderMimeRegistry,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('pgc-PlanView');
    this.layout = new PanelLayout();
    this._note = document.createElement('div');
    this._note.className = 'pgc-PlanView-note';
    this._note.setAttribute('role', 'status');
    this.node.appendChild(this._note);
    this.node.tabIndex = 0;
  }

  /** Show a plan; the one that was shown is the earlier one now. */
  async display(bundle: PlanBundle): Promise<void> {
    this._before = this._now;
    this._now = bundle;
    await this._render(bundle[HTML]);
  }

  /** Show the last two plans side by side. */
  async compare(notebook: ISqlNotebook): Promise<void> {
    if (this._before && this._now) {
      const about = { before: this._before[PLAN].raw, after: this._now[PLAN].raw };
      const compared = await notebook.ask<{ readonly [HTML]: string }>('compare', about);
      await this._render(compared[HTML]);
    } else {
      this.say(
        this._trans.__(
          'There is no earlier plan yet: change the cell, and estimate or analyze again.'
        )
      );
    }
  }

  /** Say what is waited for, or went wrong. */
  say(text: string): void {
    this._note.textContent = text;
  }

  /** The kernel makes this HTML, and escapes every value in it. */
  private async _render(html: string): Promise<void> {
    this.say('');
    const renderer: IRenderMime.IRenderer = this._rendermime.createRenderer(HTML);
    await renderer.renderModel(
      this._rendermime.createModel({ data: { [HTML]: html }, trusted: true })
    );
    const layout = this.layout as PanelLayout;
    layout.widgets.slice().forEach(widget => widget.dispose());
    layout.addWidget(renderer);
    renderer.node.setAttribute('aria-label', this._trans.__('Query plan'));
  }

  private readonly _note: HTMLElement;
  private _before: PlanBundle | null = null;
  private _now: PlanBundle | null = null;
}
