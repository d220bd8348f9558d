-- One row per relation: schema, name, and the members of a RelationInfo as JSON.
select n.nspname, c.relname, json_build_object(
  'schema', n.nspname,
  'name', c.relname,
  'kind', case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
            when 'm' then 'materialized view' else 'foreign table' end,
  'owner', pg_get_userbyid(c.relowner),
  'columns', (
    select coalesce(json_agg(json_build_object(
      'name', a.attname,
      'type', format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation not in (0, t.typcollation)
                then ' COLLATE ' || a.attcollation::regcollation else '' end,
      'nullable', not a.attnotnull,
      'default', case when a.attgenerated = '' then {<}pg_get_expr(d.adbin, d.adrelid){>} end,
      'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
      'generated', case when a.attgenerated <> '' then {<}pg_get_expr(d.adbin, d.adrelid){>} end,
      'comment', {<}col_description(c.oid, a.attnum){>}) order by a.attnum), '[]')
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'key', (
    select coalesce(json_agg(a.attname order by k.place), '[]')
    from pg_constraint p, unnest(p.conkey) with ordinality as k (number, place), pg_attribute a
    where p.conrelid = c.oid and p.contype = 'p' and a.attrelid = c.oid and a.attnum = k.number),
  'parts', (
    select coalesce(json_agg(json_build_object(
      'name', part.name, 'kind', part.kind, 'definition', {<}part.definition{>},
      'columns', part.columns) order by part.kind, part.name), '[]')
    from (
      select p.conname as name,
             case p.contype when 'p' then 'primary key' when 'u' then 'unique'
               when 'f' then 'foreign key' when 'c' then 'check' when 'x' then 'exclusion'
               else 'constraint trigger' end as kind,
             pg_get_constraintdef(p.oid) as definition,
             (select coalesce(json_agg(a.attname order by k.place), '[]')
              from unnest(p.conkey) with ordinality as k (number, place), pg_attribute a
              where a.attrelid = c.oid and a.attnum = k.number) as columns
      from pg_constraint p where p.conrelid = c.oid and p.contype in ('p', 'u', 'f', 'c', 'x', 't')
      union all
      select i.relname, case when x.indisunique then 'unique index' else 'index' end,
             pg_get_indexdef(i.oid),
             (select coalesce(json_agg(a.attname order by k.place), '[]')
              from unnest(x.indkey) with ordinality as k (number, place), pg_attribute a
              where a.attrelid = c.oid and a.attnum = k.number and x.indexprs is null
                and k.place <= x.indnkeyatts)
      from pg_index x join pg_class i on i.oid = x.indexrelid
      where x.indrelid = c.oid
        and not exists (select from pg_constraint p
                        where p.conindid = i.oid and p.contype in ('p', 'u', 'x'))
      union all
      select g.tgname, 'trigger',
             pg_get_triggerdef(g.oid)
               || case g.tgenabled when 'O' then '' when 'D' then ' (disabled)'
                    when 'R' then ' (on replicas)' else ' (always)' end, '[]'
      from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal
      union all
      select l.polname, 'policy',
             concat_ws(' ', case when l.polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end, 'FOR',
               case l.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                 when 'd' then 'DELETE' else 'ALL' end,
               'TO ' || array_to_string(array(
                 select case r when 0 then 'public' else pg_get_userbyid(r) end
                 from unnest(l.polroles) r order by 1), ', '),
               'USING (' || pg_get_expr(l.polqual, l.polrelid) || ')',
               'WITH CHECK (' || pg_get_expr(l.polwithcheck, l.polrelid) || ')'), '[]'
      from pg_policy l where l.polrelid = c.oid
      union all
      select w.rulename, 'rule', pg_get_ruledef(w.oid), '[]'
      from pg_rewrite w where w.ev_class = c.oid and w.rulename <> '_RETURN'
    ) part (name, kind, definition, columns)),
  'definition', case when c.relkind in ('v', 'm') then {<}pg_get_viewdef(c.oid){>} end,
  'rows', case when c.relkind in ('r', 'm', 'p') and c.reltuples >= 0 then c.reltuples::int8 end,
  'bytes', case when c.relkind in ('r', 'm') then pg_total_relation_size(c.oid) else 0 end,
  'options', (
    select coalesce(json_object_agg(o.name, {<}o.value{>}), '{}') from (values
      ('unlogged', case when c.relpersistence = 'u' then 'yes' end),
      ('row security', case when c.relforcerowsecurity then 'forced'
                            when c.relrowsecurity then 'enabled' end),
      ('partitioned by', case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end),
      ('inherits', (select string_agg(h.inhparent::regclass::text, ', ' order by h.inhseqno)
                    from pg_inherits h where h.inhrelid = c.oid)),
      ('partition bound', pg_get_expr(c.relpartbound, c.oid)),
      ('replica identity', case c.relreplident when 'n' then 'nothing' when 'f' then 'full'
                             when 'i' then 'index' end),
      ('storage', array_to_string(c.reloptions, ', ')),
      ('type', case when c.reloftype <> 0 then c.reloftype::regtype::text end),
      ('grants', (select string_agg(e::text, ', ' order by e::text) from unnest(c.relacl) e)),
      ('column grants', (
         select string_agg(a.attname || ': ' || a.attacl::text, ', ' order by a.attnum)
         from pg_attribute a where a.attrelid = c.oid and a.attacl is not null))
    ) o (name, value) where o.value is not null),
  'comment', {<}obj_description(c.oid, 'pg_class'){>}
)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
  and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass
                  and e.objid = c.oid and e.objsubid = 0 and e.deptype = 'e')
order by 1, 2
limit {limit}
