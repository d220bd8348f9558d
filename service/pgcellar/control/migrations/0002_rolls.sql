-- runner: which execution a volatile statement in a state was frozen with.
create table rolls (
    state text not null,
    statement text not null,
    roll text not null,
    used timestamptz not null default now(),
    primary key (state, statement)
);
