-- The installation's master keys, by what tells them from each other; the keys themselves are elsewhere. Times in Unix milliseconds:
-- since when a key is known, when it was first the current one, when a server last had it as that, when a copy that it or its
-- loader made was last given a token, when it was retired.
-- Loaders whose ids begin with no key's id are the first one's.
create table master_keys (
    id text primary key,
    key_check bytea not null,
    added_at bigint not null,
    used_from bigint,
    current_at bigint,
    copies_at bigint,
    retired_at bigint,
    is_first boolean not null default false
);
insert into master_keys (id, key_check, added_at, used_from, is_first)
    select lower(hex(substr(key_check, 1, 4))), key_check, 0, 0, true from installation;
-- What devices and addresses are hashed with, sealed: it outlives the master key that it came from.
alter table installation add column identity_key bytea;
