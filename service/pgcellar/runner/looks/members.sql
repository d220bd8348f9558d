-- One row per relation that an extension, or PostgreSQL itself, has made: its RelationInfo as JSON.
select n.nspname, c.relname, json_build_object(
  'schema', n.nspname,
  'name', c.relname,
  'kind', case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
            when 'm' then 'materialized view' else 'foreign table' end,
  'owner', pg_get_userbyid(c.relowner),
  'columns', (
    select coalesce(json_agg(json_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'nullable', not a.attnotnull,
      'comment', {<}col_description(c.oid, a.attnum){>}) order by a.attnum), '[]')
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'comment', {<}obj_description(c.oid, 'pg_class'){>}
)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_(toast|temp)'
  and (n.nspname in ('pg_catalog', 'information_schema')) = {own}
  and ({own} or exists (select from pg_depend e where e.classid = 'pg_class'::regclass
                        and e.objid = c.oid and e.objsubid = 0 and e.deptype = 'e'))
order by 1, 2
limit {limit}
