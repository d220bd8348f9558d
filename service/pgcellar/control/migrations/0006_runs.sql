-- runner: runs that were accepted, so that none is lost or doubled when a service ends.
create table runs (
    id text primary key,
    owner text not null,
    key text,
    digest text not null,
    notebook text not null,
    head text not null,
    request bytea not null,
    deadline double precision,
    status text not null default 'queued'
        check (status in ('queued', 'done', 'failed', 'cancelled')),
    attempt int not null default 1,
    created timestamptz not null default now(),
    finished timestamptz,
    state text,
    error jsonb,
    events bytea,
    unique (owner, key)
);
create index on runs (owner, created desc, id desc);
create index on runs (finished);
