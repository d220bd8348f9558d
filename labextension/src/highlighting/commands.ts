// Marks psql's meta-commands and variables in the editor, which PostgreSQL's dialect knows nothing of.

import { type Extension, RangeSetBuilder } from '@codemirror/state';
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  type PluginValue,
  ViewPlugin,
  type ViewUpdate
} from '@codemirror/view';

const COMMAND = Decoration.mark({ class: 'pgc-MetaCommand' });
const VARIABLE = Decoration.mark({ class: 'pgc-Variable' });
/** A literal, a quoted name or a comment; a meta-command; a cast; a variable. */
const PARTS =
  /'(?:[^']|'')*'?|"(?:[^"]|"")*"?|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|(\\[a-zA-Z?!+]+)|::|(:(?:\w+|'\w+'|"\w+"|\{\?\w+\}))/g;
/** Cells with more text than this are left as they are. */
const MOST = 50_000;

function marks(view: EditorView): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  const { doc } = view.state;
  if (doc.length <= MOST) {
    for (const found of doc.toString().matchAll(PARTS)) {
      const mark = found[1] ? COMMAND : found[2] ? VARIABLE : null;
      if (mark) {
        builder.add(found.index, found.index + found[0].length, mark);
      }
    }
  }
  return builder.finish();
}

class Marker implements PluginValue {
  decorations: DecorationSet = Decoration.none;

  constructor(
    view: EditorView,
    private readonly _applies: () => boolean
  ) {
    this._mark(view);
  }

  update(update: ViewUpdate): void {
    if (update.docChanged || this._applies() !== this._applied) {
      this._mark(update.view);
    }
  }

  private _mark(view: EditorView): void {
    this._applied = this._applies();
    this.decorations = this._applied ? marks(view) : Decoration.none;
  }

  private _applied = false;
}

/** The editor extension; it marks while `applies` says so, since cells learn their language late. */
export function commands(applies: () => boolean): Extension {
  return ViewPlugin.define(view => new Marker(view, applies), {
    decorations: marker => marker.decorations
  });
}
