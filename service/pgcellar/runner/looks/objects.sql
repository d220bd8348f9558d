-- One row per other object: kind, name, and the members of an ObjectInfo as JSON.
with named (kind, schema, name, owner, definition, comment) as (
  select 'schema', null, n.nspname, pg_get_userbyid(n.nspowner),
         (select 'grants: ' || string_agg(e::text, ', ' order by e::text)
          from unnest(n.nspacl) e), obj_description(n.oid, 'pg_namespace')
  from pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (select from pg_depend e where e.classid = 'pg_namespace'::regclass
                    and e.objid = n.oid and e.deptype = 'e')
  union all
  select 'extension', n.nspname, x.extname, pg_get_userbyid(x.extowner), x.extversion,
         obj_description(x.oid, 'pg_extension')
  from pg_extension x join pg_namespace n on n.oid = x.extnamespace
  union all
  select case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite type'
           when 'r' then 'range type' else 'type' end,
         n.nspname, t.typname, pg_get_userbyid(t.typowner),
         case t.typtype
           when 'e' then (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                          from pg_enum e where e.enumtypid = t.oid)
           when 'd' then concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
                           case when t.typnotnull then 'NOT NULL' end, 'DEFAULT ' || t.typdefault,
                           (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname)
                            from pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
           when 'c' then (select string_agg(quote_ident(a.attname) || ' '
                                            || format_type(a.atttypid, a.atttypmod), ', '
                                            order by a.attnum)
                          from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0
                            and not a.attisdropped)
           when 'r' then (select format_type(r.rngsubtype, null) from pg_range r
                          where r.rngtypid = t.oid)
         end, obj_description(t.oid, 'pg_type')
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  left join pg_class c on c.oid = t.typrelid
  where t.oid >= 16384 and t.typtype in ('b', 'e', 'd', 'c', 'r') and (c.oid is null or c.relkind = 'c')
    and not exists (select from pg_type e where e.typarray = t.oid) and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and not exists (select from pg_depend e where e.classid = 'pg_type'::regclass
                    and e.objid = t.oid and e.deptype = 'e')
  union all
  select 'sequence', n.nspname, c.relname, pg_get_userbyid(c.relowner),
         concat_ws(' ', 'AS', format_type(s.seqtypid, null), 'INCREMENT', s.seqincrement,
           'MINVALUE', s.seqmin, 'MAXVALUE', s.seqmax, 'START', s.seqstart, 'CACHE', s.seqcache,
           case when s.seqcycle then 'CYCLE' end,
           'OWNED BY ' || (select d.refobjid::regclass || '.' || quote_ident(a.attname)
                           from pg_depend d join pg_attribute a
                             on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                           where d.classid = 'pg_class'::regclass and d.objid = c.oid
                             and d.deptype in ('a', 'i') and d.refclassid = 'pg_class'::regclass
                           limit 1),
           'at ' || coalesce(v.last_value::text, 'its start')),
         obj_description(c.oid, 'pg_class')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_sequence s on s.seqrelid = c.oid
  left join pg_sequences v on v.schemaname = n.nspname and v.sequencename = c.relname
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass
                    and e.objid = c.oid and e.deptype = 'e')
  union all
  select i.type, null, i.identity, null, other.definition, obj_description(other.number, other.class)
  from (
    select oid, 'pg_cast', null::text from pg_cast
    union all select oid, 'pg_operator', null from pg_operator
    union all select oid, 'pg_opclass', null from pg_opclass
    union all select oid, 'pg_opfamily', null from pg_opfamily
    union all select oid, 'pg_collation', null from pg_collation
    union all select oid, 'pg_conversion', null from pg_conversion
    union all select oid, 'pg_ts_config', null from pg_ts_config
    union all select oid, 'pg_ts_dict', dictinitoption from pg_ts_dict
    union all select oid, 'pg_statistic_ext', pg_get_statisticsobjdef(oid) from pg_statistic_ext
    union all select oid, 'pg_event_trigger', evtevent::text from pg_event_trigger
    union all select oid, 'pg_publication', null from pg_publication
    union all select oid, 'pg_default_acl', defaclacl::text from pg_default_acl
    union all select oid, 'pg_foreign_data_wrapper', null from pg_foreign_data_wrapper
    union all select oid, 'pg_foreign_server', null from pg_foreign_server
  ) other (number, class, definition)
  cross join lateral pg_identify_object(other.class::regclass, other.number, 0) i
  where other.number >= 16384
    and not exists (select from pg_depend e where e.classid = other.class::regclass
                    and e.objid = other.number and e.deptype in ('e', 'i'))
)
select kind, name, json_build_object('kind', kind, 'schema', schema, 'name', name, 'owner', owner,
  'definition', {<}definition{>}, 'comment', {<}comment{>})
from named order by 1, schema, 2
limit {limit}
