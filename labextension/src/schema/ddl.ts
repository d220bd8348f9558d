// The commands that make what a state holds, from its description.

import type { ColumnInfo, FunctionInfo, ObjectInfo, PartInfo, RelationInfo } from '../catalogs';
import { literal, qualified, quoted } from './names';

/** How many rows a look at a table's rows takes. */
const TOP = 20;
const CONSTRAINTS = new Set(['primary key', 'unique', 'foreign key', 'check', 'exclusion']);

/** The rows of a relation that come first, by its key where it has one. */
export function topRows(relation: RelationInfo, name: string): string {
  const order = relation.key.length > 0 ? `\norder by ${relation.key.map(quoted).join(', ')}` : '';
  return `select *\nfrom ${name}${order}\nlimit ${TOP}`;
}

/** The commands that make a relation with all that belongs to it. */
export function ofRelation(relation: RelationInfo): string {
  const commands = [make(relation)];
  for (const part of relation.parts) {
    const command = ofPart(part, relation);
    if (command !== null) {
      commands.push(command);
    }
  }
  const security = relation.options['row security'];
  if (security !== undefined) {
    commands.push(`ALTER TABLE ${qualified(relation)} ENABLE ROW LEVEL SECURITY`);
    if (security === 'forced') {
      commands.push(`ALTER TABLE ${qualified(relation)} FORCE ROW LEVEL SECURITY`);
    }
  }
  commands.push(...comments(relation));
  return commands.map(command => `${command};\n`).join('\n');
}

/** The command that makes a function, as PostgreSQL tells it. */
export function ofFunction(info: FunctionInfo): string {
  const name = `${qualified(info)}(${info.arguments})`;
  const kind = info.kind === 'window function' ? 'function' : info.kind;
  const known = info.definition ?? '';
  const body =
    info.kind === 'aggregate' ? `CREATE AGGREGATE ${name} (${known})` : known.trimEnd() || name;
  const command = `${body};\n`;
  return info.comment === null
    ? command
    : `${command}\nCOMMENT ON ${kind.toUpperCase()} ${name} IS ${literal(info.comment)};\n`;
}

/** What is known of any other object. */
export function ofObject(info: ObjectInfo): string {
  const { definition } = info;
  const name = qualified(info);
  switch (info.kind) {
    case 'schema':
      return `CREATE SCHEMA ${quoted(info.name)};\n`;
    case 'enum':
      return `CREATE TYPE ${name} AS ENUM (${definition ?? ''});\n`;
    case 'domain':
      return `CREATE DOMAIN ${name} AS ${definition ?? ''};\n`;
    case 'composite type':
      return `CREATE TYPE ${name} AS (${definition ?? ''});\n`;
    case 'range type':
      return `CREATE TYPE ${name} AS RANGE (SUBTYPE = ${definition ?? ''});\n`;
    case 'sequence':
      return ofSequence(name, definition ?? '');
    case 'extension':
      return `CREATE EXTENSION ${quoted(info.name)}; -- version ${definition ?? '?'}\n`;
    default:
      return `-- ${info.kind} ${info.name}\n${definition === null ? '' : `${definition}\n`}`;
  }
}

/** A sequence's description ends with where it stands, which is no part of the command. */
function ofSequence(name: string, definition: string): string {
  const [, options = definition, place = ''] = /^(.*) at (.*)$/s.exec(definition) ?? [];
  return `CREATE SEQUENCE ${name} ${options};${place && ` -- at ${place}`}\n`;
}

function make(relation: RelationInfo): string {
  const name = qualified(relation);
  const { definition, options } = relation;
  if (relation.kind === 'view' || relation.kind === 'materialized view') {
    const query = (definition ?? '').trim().replace(/;$/, '');
    return `CREATE ${relation.kind.toUpperCase()} ${name} AS\n${query}`;
  }
  const lines = relation.columns.map(column => `    ${ofColumn(column)}`);
  for (const part of relation.parts) {
    if (CONSTRAINTS.has(part.kind)) {
      lines.push(`    CONSTRAINT ${quoted(part.name)} ${part.definition}`);
    }
  }
  const words = [relation.kind === 'foreign table' ? 'FOREIGN TABLE' : 'TABLE', name];
  if (options['unlogged'] !== undefined) {
    words.unshift('UNLOGGED');
  }
  const inherits = options['inherits'];
  const bound = options['partition bound'];
  const tail: string[] = [];
  if (bound === undefined && inherits !== undefined) {
    tail.push(`INHERITS (${inherits})`);
  }
  if (options['partitioned by'] !== undefined) {
    tail.push(`PARTITION BY ${options['partitioned by']}`);
  }
  if (options['storage'] !== undefined) {
    tail.push(`WITH (${options['storage']})`);
  }
  const body = lines.length > 0 ? `(\n${lines.join(',\n')}\n)` : '()';
  const command = ['CREATE', ...words, body, ...tail].join(' ');
  return bound !== undefined && inherits !== undefined
    ? `${command};\n\nALTER TABLE ${inherits} ATTACH PARTITION ${name} ${bound}`
    : command;
}

function ofColumn(column: ColumnInfo): string {
  const words = [quoted(column.name), column.type];
  if (column.generated !== null) {
    words.push(`GENERATED ALWAYS AS (${column.generated}) STORED`);
  }
  if (column.identity !== null) {
    words.push(`GENERATED ${column.identity.toUpperCase()} AS IDENTITY`);
  }
  if (column.default !== null) {
    words.push(`DEFAULT ${column.default}`);
  }
  if (!column.nullable) {
    words.push('NOT NULL');
  }
  return words.join(' ');
}

/** What of a relation is no part of the command that makes it. */
function ofPart(part: PartInfo, relation: RelationInfo): string | null {
  if (CONSTRAINTS.has(part.kind)) {
    return null;
  }
  if (part.kind === 'policy') {
    return `CREATE POLICY ${quoted(part.name)} ON ${qualified(relation)}\n    AS ${part.definition}`;
  }
  return part.definition.replace(/;$/, '');
}

function comments(relation: RelationInfo): string[] {
  const name = qualified(relation);
  const found: string[] = [];
  if (relation.comment !== null) {
    found.push(
      `COMMENT ON ${relation.kind.replace('partitioned ', '').toUpperCase()} ${name} IS ${literal(relation.comment)}`
    );
  }
  for (const column of relation.columns) {
    if (column.comment !== null) {
      found.push(`COMMENT ON COLUMN ${name}.${quoted(column.name)} IS ${literal(column.comment)}`);
    }
  }
  return found;
}
