-- How many devices a key may be bound to: of the project, and of keys that say so themselves.
alter table projects add column max_devices bigint not null default 1;
alter table users add column max_devices bigint;

-- Devices (keyed hashes) that a key is bound to beside users.fingerprint, which is the first.
create table key_devices (
    user_id text not null references users (id) on delete cascade,
    fingerprint bytea not null,
    bound_at bigint not null,
    primary key (user_id, fingerprint)
);

-- What a developer calls the devices of a key, bound or not.
create table device_names (
    user_id text not null references users (id) on delete cascade,
    fingerprint bytea not null,
    name text not null,
    primary key (user_id, fingerprint)
);
