-- One row per function that is called by its name: schema, name, its RoutineInfo as JSON. Of
-- PostgreSQL's own not those that only PostgreSQL calls: for operators, input, output, indexes.
select n.nspname, p.proname, json_build_object(
  'schema', n.nspname,
  'name', p.proname,
  'kind', case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate'
            else 'window function' end,
  'arguments', {<}pg_get_function_arguments(p.oid){>},
  'returns', pg_get_function_result(p.oid),
  'comment', {<}obj_description(p.oid, 'pg_proc'){>}
)
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where (n.nspname in ('pg_catalog', 'information_schema')) = {own} and n.nspname !~ '^pg_(toast|temp)'
  and (not {own} or (
    not p.proargtypes::oid[] && array['internal'::regtype::oid, 'cstring'::regtype::oid]
    and p.prorettype not in ('internal'::regtype, 'cstring'::regtype, 'language_handler'::regtype,
                             'fdw_handler'::regtype, 'index_am_handler'::regtype,
                             'table_am_handler'::regtype, 'tsm_handler'::regtype)
    and coalesce(obj_description(p.oid, 'pg_proc'), '') !~
        '^(implementation of .* operator|aggregate (transition|final|combine|serial|deserial) function|hash$|less-equal-greater|window RANGE|larger of|smaller of|I/O|binary )'
    and p.proname !~* '^ri_fkey_|_accum|_combine$|^btequalimage'))
order by 1, 2, p.oid
limit {limit}
