-- What a search path may put before the catalog: whoever comes upon one of these fails. Left out is
-- what the server itself comes upon in pg_get_viewdef, and types that it would have to qualify.
create function evil.fail() returns bool language plpgsql as 'begin raise exception ''shadowed''; end';
create function evil.eq(oid, oid) returns bool language sql as 'select evil.fail()';
create function evil.eq(name, name) returns bool language sql as 'select evil.fail()';
create function evil.eq(name, text) returns bool language sql as 'select evil.fail()';
create function evil.eq("char", "char") returns bool language sql as 'select evil.fail()';
create function evil.eq(text, text) returns bool language sql as 'select evil.fail()';
create function evil.eq(int2, int2) returns bool language sql as 'select evil.fail()';
create function evil.eq(int4, int4) returns bool language sql as 'select evil.fail()';
create function evil.cat(text, text) returns text language sql as 'select evil.fail()::text';
create function evil.cat(anynonarray, text) returns text language sql as 'select evil.fail()::text';
create operator evil.= (leftarg = name, rightarg = text, function = evil.eq);
create operator evil.= (leftarg = "char", rightarg = "char", function = evil.eq);
create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
create operator evil.= (leftarg = int2, rightarg = int2, function = evil.eq);
create operator evil.= (leftarg = int4, rightarg = int4, function = evil.eq);
create operator evil.<> (leftarg = oid, rightarg = oid, function = evil.eq);
create operator evil.<> (leftarg = name, rightarg = text, function = evil.eq);
create operator evil.<> (leftarg = "char", rightarg = "char", function = evil.eq);
create operator evil.> (leftarg = int2, rightarg = int2, function = evil.eq);
create operator evil.~ (leftarg = name, rightarg = text, function = evil.eq);
create operator evil.!~ (leftarg = name, rightarg = text, function = evil.eq);
create operator evil.~ (leftarg = text, rightarg = text, function = evil.eq);
create operator evil.|| (leftarg = text, rightarg = text, function = evil.cat);
create operator evil.|| (leftarg = anynonarray, rightarg = text, function = evil.cat);
create domain evil.regclass as pg_catalog.regclass check (evil.fail());
create domain evil.regproc as pg_catalog.regproc check (evil.fail());
create domain evil.regprocedure as pg_catalog.regprocedure check (evil.fail());
create domain evil.regoperator as pg_catalog.regoperator check (evil.fail());
create domain evil.regdictionary as pg_catalog.regdictionary check (evil.fail());
create table evil.pg_class (oid pg_catalog.oid); create table evil.pg_namespace (oid pg_catalog.oid);
create table evil.pg_attribute (oid pg_catalog.oid); create table evil.pg_type (oid pg_catalog.oid);
create table evil.pg_roles (oid pg_catalog.oid); create table evil.pg_proc (oid pg_catalog.oid);
create table evil.pg_settings (oid pg_catalog.oid); create table evil.pg_index (oid pg_catalog.oid);
do $$
declare
  made record;
begin
  for made in
    select distinct p.proname, p.proargtypes, p.pronargs,
      pg_catalog.array_to_string(array(select pg_catalog.format_type(t, null)
        from pg_catalog.unnest(p.proargtypes) t), ', ') as arguments
    from pg_catalog.pg_proc p
    where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and p.prokind = 'f'
      and (p.proname ~ '^(pg_get_|pg_.*_is_visible|obj_desc|shobj|col_desc|quote_|array_to_string|format)'
        or p.proname in ('current_setting', 'current_database', 'lower', 'unnest', 'cardinality',
          'pg_table_size', 'pg_size_pretty', 'substr', 'rtrim', 'pg_encoding_to_char'))
      and p.proretset = false and p.provariadic = 0
      and not (p.proargtypes::pg_catalog.oid[] && array['internal'::pg_catalog.regtype, '"any"'::pg_catalog.regtype, 'cstring'::pg_catalog.regtype]::pg_catalog.oid[])
  loop
    execute pg_catalog.format(
      'create function evil.%I(%s) returns pg_catalog.text language sql as ''select evil.fail()::pg_catalog.text''',
      made.proname, made.arguments);
  end loop;
end $$;
