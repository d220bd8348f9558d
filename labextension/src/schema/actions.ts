// What can be done with a name that is selected in the schema browser.

import { Clipboard, Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { addMain, reveal } from '../beside';
import { visible } from '../grid/text';
import { diagramIcon } from '../states/icons';
import { ofFunction, ofObject, ofRelation, topRows } from './ddl';
import { Diagram } from './diagram';
import type { SchemaModel } from './model';
import { named, qualified, quoted } from './names';
import type { Thing } from './tree';

/** See the module. */
export class Actions {
  constructor(
    private readonly _model: SchemaModel,
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _trans: TranslationBundle
  ) {}

  /** Insert the selected name at the cursor of the active cell. */
  insertName(): void {
    const node = this._model.line?.node;
    const name = node && nameOf(node.thing, node.label);
    if (name) {
      this._insert(name);
    }
  }

  /** Insert a SELECT of the first rows at the cursor of the active cell. */
  selectHere(): void {
    const { relation } = this._model;
    if (relation) {
      this._insert(topRows(relation, named(relation)));
    }
  }

  /** Insert a SELECT of the first rows as a new cell below the active one. */
  selectBelow(): void {
    const { relation, notebook } = this._model;
    const content = notebook?.panel.content;
    if (relation && content) {
      NotebookActions.insertBelow(content);
      content.activeCell?.model.sharedModel.setSource(topRows(relation, named(relation)));
      const cell = content.activeCell;
      if (cell) {
        void content.scrollToCell(cell);
      }
      content.activate();
    }
  }

  /** Show the commands that make what is selected. */
  async showDefinition(): Promise<void> {
    const node = this._model.line?.node;
    const text = node && definitionOf(node.thing);
    if (!text) {
      return;
    }
    const body = new Widget();
    body.addClass('pgc-Definition');
    const shown = document.createElement('pre');
    // What is copied is the text itself.
    shown.textContent = visible(text, true);
    shown.tabIndex = 0;
    shown.setAttribute('aria-label', this._trans.__('SQL'));
    body.node.appendChild(shown);
    const copy = Dialog.okButton({ label: this._trans.__('Copy') });
    const { button } = await showDialog({
      title: visible(node.label),
      body,
      buttons: [Dialog.cancelButton({ label: this._trans.__('Close') }), copy],
      defaultButton: 0,
      hasClose: true
    });
    if (button.label === copy.label) {
      Clipboard.copyToSystem(text);
    }
  }

  /** Draw the tables and their foreign keys in a tab of its own. */
  draw(): void {
    const { detail, place } = this._model;
    if (!detail) {
      return;
    }
    const content = new Diagram(detail, this._trans);
    const widget = new MainAreaWidget({ content });
    widget.title.icon = diagramIcon;
    widget.title.label =
      place?.cell == null
        ? this._trans.__('Tables before the first cell')
        : this._trans.__('Tables after cell %1', place.number);
    addMain(this._shell, widget);
    reveal(this._shell, widget);
  }

  private _insert(text: string): void {
    const content = this._model.notebook?.panel.content;
    if (!content) {
      return;
    }
    if (content.activeCell?.model.type !== 'code') {
      NotebookActions.insertBelow(content);
    }
    content.mode = 'edit';
    const editor = content.activeCell?.editor;
    editor?.replaceSelection?.(text);
    editor?.focus();
  }
}

function nameOf(thing: Thing, label: string): string | null {
  switch (thing.type) {
    case 'relation':
      return named(thing.relation);
    case 'column':
      return quoted(thing.relation.columns[thing.index]?.name ?? '');
    case 'part':
      return quoted(thing.relation.parts[thing.index]?.name ?? '');
    case 'function':
      return named(thing.info);
    case 'object':
      return named(thing.info);
    case 'schema':
      return quoted(label);
    default:
      return null;
  }
}

function definitionOf(thing: Thing): string | null {
  switch (thing.type) {
    case 'relation':
    case 'column':
      return ofRelation(thing.relation);
    case 'part': {
      const part = thing.relation.parts[thing.index];
      return part ? `-- ${part.kind} of ${qualified(thing.relation)}\n${part.definition}\n` : null;
    }
    case 'function':
      return ofFunction(thing.info);
    case 'object':
      return ofObject(thing.info);
    default:
      return null;
  }
}
