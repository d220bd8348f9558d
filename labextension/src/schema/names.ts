// Names in SQL: quoted where they must be, as PostgreSQL's quote_ident does.

/** The words that are no names where they stand bare: all that PostgreSQL 18 does not call unreserved. */
const WORDS = new Set(
  (
    'all analyse analyze and any array as asc asymmetric authorization between bigint binary bit ' +
    'boolean both case cast char character check coalesce collate collation column concurrently ' +
    'constraint create cross current_catalog current_date current_role current_schema ' +
    'current_time current_timestamp current_user dec decimal default deferrable desc distinct do ' +
    'else end except exists extract false fetch float for foreign freeze from full grant greatest ' +
    'group grouping having ilike in initially inner inout int integer intersect interval into is ' +
    'isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query ' +
    'json_scalar json_serialize json_table json_value lateral leading least left like limit ' +
    'localtime localtimestamp merge_action national natural nchar none normalize not notnull null ' +
    'nullif numeric offset on only or order out outer overlaps overlay placing position precision ' +
    'primary real references returning right row select session_user setof similar smallint some ' +
    'substring symmetric system_user table tablesample then time timestamp to trailing treat trim ' +
    'true union unique user using values varchar variadic verbose when where window with ' +
    'xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot ' +
    'xmlserialize xmltable'
  ).split(' ')
);
const PLAIN = /^[a-z_][a-z0-9_$]*$/;

/** A name as SQL has it. */
export function quoted(name: string): string {
  return PLAIN.test(name) && !WORDS.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** The name of something in a schema; `public` goes without saying. */
export function named({ schema, name }: { schema: string | null; name: string }): string {
  return schema === null || schema === 'public' ? quoted(name) : qualified({ schema, name });
}

/** The name of something in a schema, with the schema. */
export function qualified({ schema, name }: { schema: string | null; name: string }): string {
  return schema === null ? quoted(name) : `${quoted(schema)}.${quoted(name)}`;
}

/** A text as SQL has it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** What a foreign key refers to. */
export interface Reference {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
}

const NAME = String.raw`(?:"(?:[^"]|"")*"|[^\s"().,]+)`;
const REFERENCE = new RegExp(
  String.raw`^FOREIGN KEY \((?:${NAME}(?:, )?)*\) REFERENCES (${NAME})\.(${NAME})\(((?:${NAME}(?:, )?)*)\)`
);

/** What a foreign key refers to, from its definition in PostgreSQL's words; null if it says not. */
export function referenceOf(definition: string): Reference | null {
  const [, schema, name, columns] = REFERENCE.exec(definition) ?? [];
  if (schema === undefined || name === undefined || columns === undefined) {
    return null;
  }
  const listed = columns.match(new RegExp(NAME, 'g')) ?? [];
  return { schema: bare(schema), name: bare(name), columns: listed.map(bare) };
}

function bare(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
