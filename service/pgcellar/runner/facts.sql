-- What the catalog of a state says about which reads may write in it; one row, one JSON object.
-- {harmless} stands for a list of volatile built-in functions without side effects, {state_only} for
-- one of those whose result the state decides though they are not immutable. Relations are named in
-- full: a temporary one would come first otherwise.
with harmless(name) as (select unnest(array[{harmless}]::name[])),
-- Functions a read could call that may have side effects: all of the user's own, but for trigger
-- functions and procedures (no read calls those) and C functions that an extension declares to be
-- stable or immutable, unless they run SQL that is given to them, or the extension is known to lie:
-- isn does before its version 1.3.
suspect as (
  select p.oid, p.proname
  from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
  where p.oid >= 16384 and p.prokind <> 'p'
    and p.prorettype not in ('pg_catalog.trigger'::pg_catalog.regtype,
                             'pg_catalog.event_trigger'::pg_catalog.regtype)
    and not (l.lanname in ('c', 'internal') and p.provolatile <> 'v' and p.proname <> 'isn_weak' and exists (
      select from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid
        and d.deptype = 'e'
        and e.extname not in ('tablefunc', 'xml2', 'dblink')))
),
-- Expressions that reads evaluate without naming a function: views and rules, policies, checks of
-- domains; and operators and casts.
stored(tree) as (
  select ev_action::text from pg_catalog.pg_rewrite where oid >= 16384
  union all select polqual::text from pg_catalog.pg_policy where polqual is not null
  union all select conbin::text from pg_catalog.pg_constraint
            where contypid <> 0 and conbin is not null and oid >= 16384
),
called(oid) as (
  select m[1]::oid from stored, regexp_matches(tree, E':(?:op)?funcid (\\d+)', 'g') m
  union select oprcode::oid from pg_catalog.pg_operator where oid >= 16384
  union select castfunc from pg_catalog.pg_cast where oid >= 16384
)
select json_build_object(
  'names', (select coalesce(json_agg(distinct lower(proname::text)), '[]') from suspect),
  'reached',
    -- A name that is no plain word can't be looked for among the words of a statement.
    exists (select from suspect where proname !~ '^[A-Za-z_][A-Za-z0-9_]*$')
    -- What may call a suspect without naming it. Triggers and column defaults run in writes only.
    or exists (
      select from pg_catalog.pg_depend d join suspect s on s.oid = d.refobjid
      where d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        and d.classid not in ('pg_catalog.pg_proc'::pg_catalog.regclass,
                              'pg_catalog.pg_trigger'::pg_catalog.regclass,
                              'pg_catalog.pg_attrdef'::pg_catalog.regclass))
    or exists (
      select from called c join pg_catalog.pg_proc p on p.oid = c.oid
      where p.oid < 16384 and p.provolatile = 'v'
        and p.proname not in (select name from harmless)
        -- A READ ONLY transaction shows in the settings.
        or p.proname = 'current_setting')
    or exists (select from stored where tree ~ format(E':relid %s\\M', 'pg_catalog.pg_settings'::pg_catalog.regclass::oid)),
  'impure', (select coalesce(json_agg(distinct lower(proname::text)), '[]') from pg_catalog.pg_proc
             where oid >= 16384 and provolatile <> 'i')::jsonb
    -- Times with a zone of today's: in summer another one than in winter.
    || case when exists (select from pg_catalog.pg_attribute
                         where attrelid >= 16384 and atttypid = 'pg_catalog.timetz'::pg_catalog.regtype)
       then '["zone", "timezone"]' else '[]' end::jsonb,
  -- A view or the like that shows more than the state: clocks, who asks, the catalog (relations with
  -- small numbers), the place of a row (attributes with negative numbers), a sample; or that reads a text, which may
  -- be 'now'. Regular expressions are E'…', whatever standard_conforming_strings says.
  'impure_reached',
    exists (
      select from called c join pg_catalog.pg_proc p on p.oid = c.oid
      where p.provolatile <> 'i'
        and (p.oid >= 16384 or p.proname <> all (array[{state_only}]::name[])
             or p.prorettype = 'pg_catalog.timetz'::pg_catalog.regtype
             or 'pg_catalog.timetz'::pg_catalog.regtype = any (p.proargtypes)))
    or exists (
      select from stored
      where tree ~ E'\\{SQLVALUEFUNCTION|\\{COERCEVIAIO|\\{ARRAYCOERCE|TABLESAMPLE|:varattno -|:relid [0-9]{1,4}\\M|:relid 1[0-5][0-9]{3}\\M'))
