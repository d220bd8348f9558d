// What the panels in the sidebars have in common: they ask only while they are seen.

import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';

import { focusIn } from './parts';

/** A model that is to know whether its panel is seen. */
export interface Shown extends VDomRenderer.IModel {
  shown: boolean;
}

/** See the module. */
export abstract class SidePanel<Model extends Shown> extends VDomRenderer<Model> {
  constructor(model: Model) {
    super(model);
    this.addClass('pgc-Panel');
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    // A panel that is restored with the layout is not shown again.
    this.model.shown = this.isVisible;
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.model.shown = true;
    this.update();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    focusIn(this.node);
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.model.shown = false;
  }
}
