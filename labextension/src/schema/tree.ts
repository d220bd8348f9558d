// The schema of a state as a tree: schemas, what they hold, and what that is made of. Pure.

import type { FunctionInfo, ObjectInfo, RelationInfo, StateDetail } from '../catalogs';

/** What a node stands for. */
export type Thing =
  | { readonly type: 'schema' | 'group' }
  | { readonly type: 'relation'; readonly relation: RelationInfo }
  | { readonly type: 'column'; readonly relation: RelationInfo; readonly index: number }
  | { readonly type: 'part'; readonly relation: RelationInfo; readonly index: number }
  | { readonly type: 'function'; readonly info: FunctionInfo }
  | { readonly type: 'object'; readonly info: ObjectInfo };

/** One node. */
export interface Node {
  /** Tells it from others, in any state. */
  readonly key: string;
  readonly label: string;
  /** What is said beside the label. */
  readonly note: string;
  readonly thing: Thing;
  readonly children: readonly Node[];
}

/** The words that groups are called by. */
export interface Words {
  readonly functions: string;
  readonly other: string;
  readonly parts: string;
  /** What is said of a relation beside its name. */
  note(relation: RelationInfo): string;
}

/** The tree of a state. */
export function treeOf(detail: StateDetail, words: Words): Node[] {
  const names = new Set<string>();
  for (const { schema } of [...detail.relations, ...detail.functions]) {
    names.add(schema);
  }
  const loose: ObjectInfo[] = [];
  for (const info of detail.objects) {
    if (info.kind === 'schema') {
      names.add(info.name);
    } else if (info.schema === null || isLoose(info)) {
      loose.push(info);
    } else {
      names.add(info.schema);
    }
  }
  const first = (name: string): number => (name === 'public' ? 0 : 1);
  const order = [...names].sort((a, b) => first(a) - first(b) || a.localeCompare(b));
  const tree = order.map(name => schemaNode(name, detail, words));
  return loose.length > 0 ? [...tree, othersNode('', loose, words)] : tree;
}

/** What of a tree has a text in its name: with all below it, or with what is above it. */
export function search(nodes: readonly Node[], text: string): Node[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) {
    return [...nodes];
  }
  const found: Node[] = [];
  for (const node of nodes) {
    if (node.thing.type !== 'group' && node.label.toLowerCase().includes(wanted)) {
      found.push(node);
    } else {
      const children = search(node.children, text);
      if (children.length > 0) {
        found.push({ ...node, children });
      }
    }
  }
  return found;
}

/** One line of a tree as it is shown. */
export interface Line {
  readonly node: Node;
  readonly level: number;
  readonly open: boolean;
  readonly parent: string | null;
}

/** The lines of a tree, of which some nodes are open. */
export function linesOf(
  nodes: readonly Node[],
  open: (node: Node) => boolean,
  level = 1,
  parent: string | null = null
): Line[] {
  return nodes.flatMap(node => {
    const line = { node, level, open: node.children.length > 0 && open(node), parent };
    return line.open ? [line, ...linesOf(node.children, open, level + 1, node.key)] : [line];
  });
}

/** The nodes that have something below them that a search has found. */
export function openedBy(nodes: readonly Node[], text: string): Set<string> {
  const wanted = text.trim().toLowerCase();
  const open = new Set<string>();
  const visit = (node: Node): boolean => {
    const below = node.children.map(visit).some(found => found);
    if (below) {
      open.add(node.key);
    }
    return below || (node.thing.type !== 'group' && node.label.toLowerCase().includes(wanted));
  };
  nodes.forEach(visit);
  return open;
}

/** What is shown beside the schemas: where an extension stands says nothing. */
function isLoose({ kind }: ObjectInfo): boolean {
  return kind === 'extension';
}

function keyOf(...path: readonly string[]): string {
  return JSON.stringify(path);
}

function schemaNode(name: string, detail: StateDetail, words: Words): Node {
  const here = <T extends { schema: string | null }>(all: readonly T[]): T[] =>
    all.filter(each => each.schema === name);
  const children = here(detail.relations).map(relation => relationNode(relation, words));
  const functions = here(detail.functions);
  if (functions.length > 0) {
    children.push({
      key: keyOf(name, 'functions'),
      label: words.functions,
      note: String(functions.length),
      thing: { type: 'group' },
      children: functions.map(functionNode)
    });
  }
  const others = here(detail.objects).filter(info => !isLoose(info));
  if (others.length > 0) {
    children.push(othersNode(name, others, words));
  }
  return { key: keyOf(name), label: name, note: '', thing: { type: 'schema' }, children };
}

function othersNode(schema: string, infos: readonly ObjectInfo[], words: Words): Node {
  return {
    key: keyOf(schema, 'other'),
    label: words.other,
    note: String(infos.length),
    thing: { type: 'group' },
    children: infos.map(info => ({
      key: keyOf(schema, info.kind, info.name),
      label: info.name,
      note: info.kind,
      thing: { type: 'object', info },
      children: []
    }))
  };
}

function functionNode(info: FunctionInfo): Node {
  return {
    key: keyOf(info.schema, info.name, info.arguments),
    label: `${info.name}(${info.arguments})`,
    note: info.returns ?? info.kind,
    thing: { type: 'function', info },
    children: []
  };
}

function relationNode(relation: RelationInfo, words: Words): Node {
  const path = [relation.schema, 'relation', relation.name];
  const children: Node[] = relation.columns.map((column, index) => ({
    key: keyOf(...path, 'column', column.name),
    label: column.name,
    note: column.nullable ? column.type : `${column.type} not null`,
    thing: { type: 'column', relation, index },
    children: []
  }));
  if (relation.parts.length > 0) {
    children.push({
      key: keyOf(...path, 'parts'),
      label: words.parts,
      note: String(relation.parts.length),
      thing: { type: 'group' },
      children: relation.parts.map((part, index) => ({
        key: keyOf(...path, part.kind, part.name),
        label: part.name,
        note: part.kind,
        thing: { type: 'part', relation, index },
        children: []
      }))
    });
  }
  return {
    key: keyOf(...path),
    label: relation.name,
    note: words.note(relation),
    thing: { type: 'relation', relation },
    children
  };
}
