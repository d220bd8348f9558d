"""Roles, taken on over several cells; what is granted to them; the database itself."""

from __future__ import annotations

from tests.statements.author import Author, Kind

ROLES = ("r_one", "r_two")


def create_role(author: Author) -> str:
    name = author.pick(ROLES)
    if name in author.model.roles:
        return grant(author)
    author.model.roles.add(name)
    granted = "".join(f"; grant select on {t} to {name}" for t in sorted(author.model.tables))
    options = author.pick(("", " nologin", " login password 'x' connection limit 3", " createrole"))
    return f"create role {name}{options}; grant create, usage on schema public to {name}{granted}"


def grant(author: Author) -> str:
    name = author.pick(sorted(author.model.roles))
    if not author.model.tables:
        return f"comment on role {name} is 'somebody'"
    table = author.table()
    return author.pick(
        (
            f"grant select, insert on {table} to {name}",
            f"grant update (n), select on {table} to {name} with grant option",
            f"revoke all on {table} from {name} cascade",
            f"revoke insert on {table} from {name} cascade",
            f"grant all on all tables in schema public to {name}",
            f"alter default privileges grant select, insert on tables to {name}",
            f"alter default privileges revoke select on tables from {name}",
            f"alter default privileges in schema public grant execute on functions to {name}",
            f"alter role {name} set work_mem = '{author.number(2, 9)}MB'",
            f"alter role {name} {author.pick(('login', 'nologin', 'connection limit 5'))}",
            f"comment on role {name} is 'somebody {author.number(1, 9)}'",
            f"select has_table_privilege('{name}', '{table}', 'select, insert')",
            "grant r_one to r_two" if len(author.model.roles) == 2 else "select 2 as two",
            "revoke r_one from r_two" if len(author.model.roles) == 2 else "select 3 as three",
        )
    )


def look_at_roles(author: Author) -> str:
    return author.pick(
        (
            "select rolname, rolcanlogin, rolconfig, rolconnlimit from pg_roles"
            " where rolname in ('r_one', 'r_two') order by 1",
            "select r.rolname, m.rolname from pg_auth_members a join pg_roles r on r.oid = roleid"
            " join pg_roles m on m.oid = member where r.rolname in ('r_one', 'r_two')"
            " order by 1, 2",
            "select tablename, tableowner from pg_tables where schemaname = 'public' order by 1",
            "select current_user, session_user",
        )
    )


def set_role(author: Author) -> str:
    author.model.role = author.pick(sorted(author.model.roles))
    return author.pick(("set role ", "set role ", "set session role ")) + author.model.role


def as_role(author: Author) -> str:
    """Something that a role may do that is granted little."""
    role, number = author.model.role, author.fresh()
    choices = [
        f"create table own{number} (x integer); insert into own{number} values ({number})",
        f"create view mine{number} as select {number} as x; select x from mine{number}",
        "select current_user, session_user",
        "select 6 * 7 as answer",
        "set work_mem = '14MB'",
        "select count(*) from pg_class where relowner = current_user::regrole",
    ]
    if "f_def" in author.model.others:
        choices += ["select f_def()"] * 2
    if author.model.tables:
        table = author.table()
        choices += [f"select has_table_privilege('{table}', 'select, insert') as may"] * 2
        choices.append(f"select count(*) from {table}")
        choices.append(f"table {table} order by id, n, s")
    if role == "r_one" and "f_rows" in author.model.others:
        choices += ["select id, who from owned order by id"] * 2
    return author.pick(choices)


def reset_role(author: Author) -> str:
    author.model.role = None
    return author.pick(("reset role", "set role none"))


def definer(author: Author) -> str:
    """A function that runs with its owner's rights."""
    author.model.others.add("f_def")
    return (
        "create table if not exists log (entry text); create or replace function f_def()"
        " returns bigint language sql security definer set search_path = public"
        " as $$ insert into log values ('by ' || current_user); select count(*) from log $$;"
        f" {author.pick(('select f_def()', 'revoke execute on function f_def() from r_two'))}"
        if "r_two" in author.model.roles
        else "create table if not exists log (entry text); create or replace function f_def()"
        " returns bigint language sql security definer set search_path = public"
        " as 'select count(*) from log'"
    )


def row_security(author: Author) -> str:
    """Rows that a role does not see."""
    number = author.fresh()
    create = author.once(
        "f_rows",
        "create table owned (id integer, who text); alter table owned enable row level security;"
        " create policy own on owned using (who = current_user); insert into owned values"
        " (1, 'r_one'), (2, 'r_two'); grant select, insert on owned to public",
    )
    return create or author.pick(
        (
            f"insert into owned values ({number}, 'r_one')",
            "set role r_one; select id from owned order by id; reset role"
            if "r_one" in author.model.roles
            else "select id from owned order by id",
            f"alter table owned {author.pick(('', 'no '))}force row level security",
            "alter policy own on owned using (who = current_user or id % 2 = 0)",
        )
    )


def drop_role(author: Author) -> str:
    name = author.pick(sorted(author.model.roles))
    author.model.roles.discard(name)
    first = author.pick(("", f"reassign owned by {name} to pgcellar; "))
    return f"{first}drop owned by {name} cascade; drop role {name}"


def database(author: Author) -> str:
    """Something of the database itself."""
    name = author.pick((*sorted(author.model.roles), "public", "pgcellar"))
    return author.pick(
        (
            "alter database pgcellar set work_mem = '11MB'",
            'alter database pgcellar set search_path = extra, public, "$user"',
            "alter database pgcellar reset all",
            "alter role pgcellar in database pgcellar set work_mem = '12MB'",
            "do $$ begin execute format('comment on database %I is %L',"
            " current_database(), 'ours'); end $$",
            f"grant create on database pgcellar to {name}",
            f"revoke temp on database pgcellar from {name}",
            "select setrole::regrole, setconfig from pg_db_role_setting"
            " join pg_database on oid = setdatabase where datname = current_database()",
            "select datacl::text[], shobj_description(oid, 'pg_database') from pg_database"
            " where datname = current_database()",
        )
    )


KINDS = (
    Kind(3, create_role),
    Kind(5, grant, "role"),
    Kind(2, look_at_roles),
    Kind(9, set_role, "role"),
    Kind(1, definer),
    Kind(1, row_security),
    Kind(1, drop_role, "role"),
    Kind(3, database),
)
#: What comes while a role is taken on.
AS_ROLE = (
    Kind(6, as_role),
    Kind(4, reset_role),
    Kind(1, look_at_roles),
)
