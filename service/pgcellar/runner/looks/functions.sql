-- One row per function: schema, name, and the members of a FunctionInfo as JSON.
select n.nspname, p.proname, json_build_object(
  'schema', n.nspname,
  'name', p.proname,
  'arguments', pg_get_function_identity_arguments(p.oid),
  'kind', case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate'
            else 'window function' end,
  'owner', pg_get_userbyid(p.proowner),
  'returns', pg_get_function_result(p.oid),
  'language', l.lanname,
  'definition', {<}case when p.prokind = 'a' then
    (select concat_ws(', ', 'SFUNC = ' || a.aggtransfn, 'STYPE = ' || format_type(a.aggtranstype, null),
                      'FINALFUNC = ' || nullif(a.aggfinalfn::oid, 0)::regproc,
                      'INITCOND = ' || quote_literal(a.agginitval))
     from pg_aggregate a where a.aggfnoid = p.oid)
    else pg_get_functiondef(p.oid) end
    || coalesce(E'\n-- grants: ' || (select string_agg(e::text, ', ' order by e::text)
                                     from unnest(p.proacl) e), ''){>},
  'comment', {<}obj_description(p.oid, 'pg_proc'){>}
)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
where p.oid >= 16384 and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass
                  and e.objid = p.oid and e.deptype = 'e')
order by 1, 2, pg_get_function_identity_arguments(p.oid)
limit {limit}
