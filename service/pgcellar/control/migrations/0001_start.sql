-- environments: the sandboxes there are, so that a service finds them again after a restart.
create table sandboxes (
    name text primary key,
    owner text not null,
    kind text not null,
    status text not null,
    state jsonb not null,
    created timestamptz default now(),
    last_used timestamptz default now()
);

-- snapshots: the index of the materialised states of every sandbox.
create table snapshots (
    sandbox text not null,
    state text not null,
    parent text,
    database text not null,
    status text not null check (status in ('pending', 'ready', 'dropping')),
    bytes bigint not null default 0,
    cost_ms double precision not null default 0,
    hits bigint not null default 0,
    cell text not null default '',
    session jsonb not null default '{}',
    created timestamptz not null default now(),
    last_used timestamptz not null default now(),
    primary key (sandbox, state)
);

-- runner: what the catalog of a state says about functions, views and the like.
create table facts (
    state text primary key,
    body jsonb not null,
    used timestamptz not null default now()
);

-- runner: what uncertain statements were seen to do on a state.
create table learned (
    state text not null,
    statement text not null,
    effect text not null,
    used timestamptz not null default now(),
    primary key (state, statement)
);

-- runner: results of reads that are pure functions of their key.
create table outcomes (
    key text primary key,
    state text not null,
    body bytea not null,
    bytes bigint not null,
    ms double precision not null,
    used timestamptz not null default now()
);

-- runner: the chain of cells each notebook was last run with.
create table chains (
    notebook text primary key,
    body jsonb not null,
    used timestamptz not null default now()
);
