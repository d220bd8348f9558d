-- audit: who did what. Three roles that nobody logs in as: `pgcellar_audit` owns the tables;
-- `pgcellar_audit_writer`, which the service takes on to write, may insert and read;
-- `pgcellar_audit_keeper` may call `audit.expire`. Roles belong to the whole server, where another
-- database, or an administrator, may have made them already.
do $$
declare
    wanted text;
begin
    foreach wanted in array
        array['pgcellar_audit', 'pgcellar_audit_writer', 'pgcellar_audit_keeper']
    loop
        begin
            if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
                execute format('create role %I nologin', wanted);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
        if not pg_catalog.pg_has_role(current_user, wanted, 'member') then
            execute format('grant %I to current_user', wanted);
        end if;
    end loop;
end
$$;

create schema audit authorization pgcellar_audit;
set local role pgcellar_audit;

-- Each hash is SHA-256 of the one before and the record's canonical JSON; see `audit/chain.py`.
-- `day` is when a record was written (UTC), `at` when the act happened.
create table audit.records (
    day date not null,
    seq bigint not null,
    id uuid not null unique,
    at timestamptz not null,
    subject text not null,
    name text not null,
    kind text not null,
    action text not null,
    target text not null,
    outcome text not null,
    address text not null,
    token text,
    details json not null,
    resources json not null,
    previous bytea not null,
    hash bytea not null,
    primary key (day, seq)
);
create index on audit.records (subject, day, seq);
create index on audit.records using brin (at);

-- How a day ended. Its hash is what the next day begins with, and stays when the records go.
create table audit.closings (
    day date primary key,
    records bigint not null,
    opening bytea not null,
    last bytea not null,
    hash bytea not null
);

-- The days whose records were given up.
create table audit.expirations (
    day date primary key references audit.closings,
    expired timestamptz not null default now()
);

create function audit.refuse() returns trigger language plpgsql as $$
begin
    raise exception 'The audit log is only ever added to.'
        using errcode = 'insufficient_privilege';
end
$$;

create function audit.refuse_unexpired() returns trigger language plpgsql as $$
begin
    if exists (select from gone where not exists
            (select from audit.expirations as e where e.day = gone.day)) then
        raise exception 'The audit log is only ever added to.'
            using errcode = 'insufficient_privilege';
    end if;
    return null;
end
$$;

create trigger refuse_change before update or truncate on audit.records
    for each statement execute function audit.refuse();
create trigger refuse_removal after delete on audit.records
    referencing old table as gone
    for each statement execute function audit.refuse_unexpired();
create trigger refuse before update or delete or truncate on audit.closings
    for each statement execute function audit.refuse();
create trigger refuse before update or delete or truncate on audit.expirations
    for each statement execute function audit.refuse();
alter table audit.records enable always trigger refuse_change;
alter table audit.records enable always trigger refuse_removal;
alter table audit.closings enable always trigger refuse;
alter table audit.expirations enable always trigger refuse;

-- Gives up the records of whole closed days before a date: never the newest week, whoever asks.
create function audit.expire(before date) returns table (expired date, removed bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    for expired in
        select c.day from audit.closings as c
        where c.day < least(before, (now() at time zone 'UTC')::date - 7)
          and not exists (select from audit.expirations as e where e.day = c.day)
        order by c.day
    loop
        insert into audit.expirations (day) values (expired);
        delete from audit.records as r where r.day = expired;
        get diagnostics removed = row_count;
        return next;
    end loop;
end
$$;

revoke all on function audit.expire(date) from public;
grant usage on schema audit to pgcellar_audit_writer, pgcellar_audit_keeper;
grant insert, select on audit.records, audit.closings to pgcellar_audit_writer;
grant select on audit.expirations to pgcellar_audit_writer;
grant execute on function audit.expire(date) to pgcellar_audit_keeper;
reset role;
