-- profiles: what people prefer.
create table profiles (
    subject text primary key,
    preferences jsonb not null default '{}' check (pg_column_size(preferences) <= 65536),
    updated timestamptz not null default now()
);

-- profiles: classes; who knows the join code may become a member.
create table classes (
    id text primary key,
    name text not null,
    join_hash bytea unique,
    created timestamptz not null default now()
);

-- profiles: who teaches a class and who learns in it.
create table members (
    class text not null references classes on delete cascade,
    subject text not null,
    name text not null,
    role text not null check (role in ('teacher', 'student')),
    joined timestamptz not null default now(),
    primary key (class, subject)
);
create index on members (subject);

-- profiles: limits that differ from the defaults.
create table quotas (
    kind text not null check (kind in ('class', 'subject')),
    target text not null,
    name text not null,
    value double precision not null check (value >= 0),
    primary key (kind, target, name)
);
