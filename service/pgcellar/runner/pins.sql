-- What ties a state to its live connection, and what a connection made anew is given; one row, one
-- JSON object. Relations are named in full: a temporary one would come first otherwise.
with
-- Once: the view has four hundred rows, and goes through them all whichever are wanted.
shown as materialized (
  select name, setting, source, reset_val from pg_catalog.pg_settings
  where name = 'search_path' or name like '%.%' or source = 'session'
    -- Those of this very transaction; nobody's outlive it.
    and name not in ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
)
select json_build_object(
  'prepared', (select coalesce(json_object_agg(name, statement order by prepare_time), '{}')
               from pg_catalog.pg_prepared_statements where from_sql),
  'listening', (select coalesce(json_agg(channel), '[]') from pg_listening_channels() channel),
  'role', nullif(current_setting('role'), 'none'),
  'settings', (select coalesce(json_object_agg(name, setting), '{}') from shown
               where source = 'session' and name <> 'search_path'),
  -- Those of a library are listed once it is loaded.
  'prefixes', (select coalesce(json_agg(distinct split_part(name, '.', 1)), '[]') from shown
               where name like '%.%'),
  'reset_path', (select reset_val from shown where name = 'search_path'),
  'pins', array_remove(array[
    -- Whatever its kind.
    case when pg_my_temp_schema() <> 0 and exists (
           select from pg_catalog.pg_depend where refobjid = pg_my_temp_schema()
             and refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass)
         then 'temporary objects' end,
    -- The portal of this very query has no name.
    case when exists (select from pg_catalog.pg_cursors where name <> '') then 'open cursors' end,
    case when exists (select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
         then 'advisory locks' end,
    -- The session holds numbers it took in advance, which a clone's would not.
    case when exists (select from pg_catalog.pg_sequence where seqcache > 1)
         then 'sequences with CACHE' end
  ], null))
