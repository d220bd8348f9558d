-- snapshots: the states that people want kept, and their names for them. Of an owner and not of a
-- sandbox: a state that was lost with its sandbox is pinned again when it is made again.
create table pins (
    owner text not null,
    state text not null,
    created timestamptz not null default now(),
    primary key (owner, state)
);
create table tags (
    owner text not null,
    name text not null,
    state text not null,
    created timestamptz not null default now(),
    primary key (owner, name)
);
