-- One row per type that has a name of its own: schema, name, its TypeInfo as JSON.
select n.nspname, t.typname, json_build_object(
  'schema', n.nspname,
  'name', t.typname,
  'kind', case when t.typcategory = 'P' then 'pseudo-type' else
            case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite type'
            when 'r' then 'range type' when 'm' then 'multirange type' else 'type' end end,
  'definition', {<}case t.typtype
    when 'd' then format_type(t.typbasetype, t.typtypmod)
    when 'c' then (select string_agg(quote_ident(a.attname) || ' '
                                     || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum)
                   from pg_attribute a
                   where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
    end{>},
  'labels', (select coalesce(json_agg(e.enumlabel order by e.enumsortorder), '[]')
             from (select * from pg_enum e where e.enumtypid = t.oid
                   order by e.enumsortorder limit 200) e),
  'comment', {<}obj_description(t.oid, 'pg_type'){>}
)
from pg_type t join pg_namespace n on n.oid = t.typnamespace
left join pg_class c on c.oid = t.typrelid
where (n.nspname in ('pg_catalog', 'information_schema')) = {own} and n.nspname !~ '^pg_(toast|temp)'
  and (c.oid is null or c.relkind = 'c')
  and not exists (select from pg_type e where e.typarray = t.oid)
order by 1, 2
limit {limit}
