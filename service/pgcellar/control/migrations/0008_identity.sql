-- control: what was done lately, counted by key in slots of time. Each service has its own keys.
create table windows (
    key text primary key,
    slots bigint[] not null,
    amounts double precision[] not null,
    expires timestamptz not null
);
create index on windows (expires);

-- identity: who there is. A subject is random, is never given to another, and stays when its
-- account is disabled.
create table accounts (
    subject text primary key,
    kind text not null check (kind in ('os', 'anonymous', 'registered', 'service')),
    name text not null,
    roles text[] not null default '{}',
    disabled boolean not null default false,
    created timestamptz not null default now(),
    last_seen timestamptz not null default now()
);

-- identity: how somebody shows who they are: a provider's name for them, and for our own provider
-- the hash of a password.
create table logins (
    provider text not null,
    external text not null,
    subject text not null references accounts,
    password text,
    created timestamptz not null default now(),
    primary key (provider, external)
);
create index on logins (subject);

-- identity: sessions and personal access tokens, each with the scopes that its tokens have.
create table grants (
    id text primary key,
    subject text not null references accounts,
    kind text not null check (kind in ('session', 'personal')),
    name text not null default '',
    scopes text[] not null,
    created timestamptz not null default now(),
    last_used timestamptz,
    expires timestamptz not null,
    revoked timestamptz
);
create index on grants (subject);
create index on grants (expires);

-- identity: the secrets of grants, as SHA-256. Of a session's, all but one are used.
create table secrets (
    hash bytea primary key,
    grant_id text not null references grants on delete cascade,
    created timestamptz not null default now(),
    used timestamptz
);
create index on secrets (grant_id);

-- identity: subjects and grants whose access tokens are refused until the last of them is expired.
create table refused (
    target text primary key,
    until timestamptz not null
);

-- identity: keys that sign access tokens. The private part is sealed with a key kept elsewhere.
create table signing_keys (
    kid text primary key,
    public jsonb not null,
    private bytea not null,
    created timestamptz not null default now(),
    retired timestamptz
);

-- identity: logins under way at an OpenID provider; each is used once.
create table flows (
    hash bytea primary key,
    provider text not null,
    verifier text not null,
    nonce text not null,
    subject text,
    expires timestamptz not null
);
