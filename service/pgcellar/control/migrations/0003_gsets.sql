-- runner: what a query in a state gave to the variables of \gset.
create table gsets (
    state text not null,
    statement text not null,
    body jsonb not null,
    used timestamptz not null default now(),
    primary key (state, statement)
);
