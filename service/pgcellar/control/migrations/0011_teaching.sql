-- runner: how far each owner came in each notebook, for who teaches them. `furthest` is the number
-- of the last cell, counting from 1, that did not fail.
create table progress (
    owner text not null,
    notebook text not null,
    cell text not null,
    number int not null,
    cells int not null,
    furthest int not null,
    status text not null check (status in ('done', 'failed', 'cancelled')),
    sqlstate text,
    at timestamptz not null,
    primary key (owner, notebook)
);
create index on progress (owner, at desc);

-- profiles: limits that a teacher gave a member more of, for a while.
create table extensions (
    class text not null,
    subject text not null,
    name text not null,
    value double precision not null check (value >= 0),
    until timestamptz not null,
    primary key (class, subject, name),
    foreign key (class, subject) references members on delete cascade
);
create index on extensions (subject);
create index on extensions (until);
