// What the schema browser shows: the schema of the state at the selected cell, or near it.

import type { RelationInfo, StateDetail } from '../catalogs';
import { type Link, nearestKept } from '../states/chain';
import { Following } from '../states/following';
import type { KeptStates } from '../states/kept';
import { sentence } from '../sentence';
import type { ISqlNotebooks } from '../tokens';
import type { Details } from './details';
import { type Line, linesOf, type Node, openedBy, search, treeOf, type Words } from './tree';

/** See the module. */
export class SchemaModel extends Following {
  constructor(
    notebooks: ISqlNotebooks,
    kept: KeptStates,
    private readonly _details: Details,
    private readonly _words: Words
  ) {
    super(notebooks, kept);
  }

  /** The place whose state is wanted: that of the selected cell, else the last one. */
  get wanted(): Link | null {
    const selected = this.selected;
    return this.chain.find(link => link.cell === selected) ?? this.chain[0] ?? null;
  }

  /** The place whose state is shown. */
  get place(): Link | null {
    return nearestKept(this.chain, this.wanted?.cell ?? null);
  }

  /** The schema that is shown, if it is known. */
  get detail(): StateDetail | null {
    return this._detail;
  }

  /** Why there is none, in a sentence. */
  get fault(): string | null {
    return this._fault;
  }

  get text(): string {
    return this._text;
  }

  set text(text: string) {
    this._text = text;
    this._lines = null;
    this.stateChanged.emit();
  }

  /** The lines of the tree as it is open now. */
  get lines(): readonly Line[] {
    this._lines ??= this._makeLines();
    return this._lines;
  }

  /** The selected line, else the first. */
  get line(): Line | null {
    return this.lines.find(line => line.node.key === this._chosen) ?? this.lines[0] ?? null;
  }

  /** The relation that the selected line belongs to. */
  get relation(): RelationInfo | null {
    const thing = this.line?.node.thing;
    return thing && 'relation' in thing ? thing.relation : null;
  }

  choose(node: Node): void {
    this._chosen = node.key;
    this.stateChanged.emit();
  }

  /** Open or close a node. */
  toggle(node: Node, open = !this._isOpen(node)): void {
    if (this._found) {
      this._foundOpen = new Map([...this._foundOpen, [node.key, open]]);
    } else {
      this._open = new Map([...this._open, [node.key, open]]);
    }
    this._lines = null;
    this.stateChanged.emit();
  }

  protected override update(): void {
    super.update();
    if (this.shown) {
      void this._load();
    }
  }

  private async _load(): Promise<void> {
    const state = this.place?.state ?? null;
    const known = this._detail !== null || this._loading || this._failedAt === this.kept.all;
    if (state === this._state && known) {
      return;
    }
    this._state = state;
    this._fault = null;
    if (state === null) {
      this._take(null);
      return;
    }
    this._loading = true;
    try {
      const detail = await this._details.of(state);
      if (this._state === state) {
        this._take(detail);
      }
    } catch (reason) {
      if (this._state === state) {
        this._fault = sentence(reason);
        this._failedAt = this.kept.all;
        this._take(null);
      }
    }
  }

  private _take(detail: StateDetail | null): void {
    this._loading = false;
    this._detail = detail;
    this._tree = detail ? treeOf(detail, this._words) : [];
    this._lines = null;
    this.stateChanged.emit();
  }

  private _makeLines(): Line[] {
    this._found = this._text.trim() !== '';
    if (!this._found) {
      this._foundOpen = new Map();
      return linesOf(this._tree, node => this._isOpen(node));
    }
    this._openedBy = openedBy(this._tree, this._text);
    return linesOf(search(this._tree, this._text), node => this._isOpen(node));
  }

  private _isOpen(node: Node): boolean {
    if (this._found) {
      return this._foundOpen.get(node.key) ?? this._openedBy.has(node.key);
    }
    return this._open.get(node.key) ?? node.thing.type === 'schema';
  }

  private _state: string | null = null;
  private _detail: StateDetail | null = null;
  private _loading = false;
  private _fault: string | null = null;
  /** What was kept when it failed: until that is looked at again it is not tried again. */
  private _failedAt: unknown = null;
  private _tree: readonly Node[] = [];
  private _lines: readonly Line[] | null = null;
  private _text = '';
  private _found = false;
  private _chosen: string | null = null;
  private _open: ReadonlyMap<string, boolean> = new Map<string, boolean>();
  private _foundOpen: ReadonlyMap<string, boolean> = new Map<string, boolean>();
  private _openedBy: ReadonlySet<string> = new Set<string>();
}
