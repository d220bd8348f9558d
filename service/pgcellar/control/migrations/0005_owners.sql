-- runner: what one owner's runs learned is nobody else's. What there is belongs to the one user
-- that a service had so far, whose name only the service knows: it is learned again.
truncate facts, learned, rolls, gsets, outcomes, chains, page_results, page_slices;
alter table facts add owner text not null, drop constraint facts_pkey,
    add primary key (owner, state);
alter table learned add owner text not null, drop constraint learned_pkey,
    add primary key (owner, state, statement);
alter table rolls add owner text not null, drop constraint rolls_pkey,
    add primary key (owner, state, statement);
alter table gsets add owner text not null, drop constraint gsets_pkey,
    add primary key (owner, state, statement);
alter table outcomes add owner text not null, drop constraint outcomes_pkey,
    add primary key (owner, key);
alter table chains add owner text not null, drop constraint chains_pkey,
    add primary key (owner, notebook);
