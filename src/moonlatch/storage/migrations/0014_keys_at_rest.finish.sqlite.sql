create table bars_of_users (
    project_id text not null references projects (id) on delete cascade,
    fingerprint bytea not null,
    user_id text not null references users (id) on delete cascade,
    expires_at bigint,
    primary key (project_id, fingerprint, user_id)
);
insert into bars_of_users (project_id, fingerprint, user_id, expires_at)
select b.project_id, b.fingerprint, u.id, b.expires_at from bars b join users u on u.key = b.user_key;
drop table bars;
alter table bars_of_users rename to bars;
create index bars_of_user on bars (user_id);

create table sealed_users (
    id text primary key,
    key_hash bytea not null unique,
    key_sealed bytea not null,
    start_code bytea not null,
    end_code bytea not null,
    project_id text not null references projects (id) on delete cascade,
    discord_id text,
    note text,
    key_expires bigint,
    key_days bigint,
    max_instances bigint,
    max_executions bigint,
    fingerprintless boolean not null default false,
    fingerprint bytea,
    ip bytea,
    executor text,
    executions bigint not null default 0,
    last_reset bigint,
    total_fingerprint_resets bigint not null default 0,
    blacklisted boolean not null default false,
    blacklist_reason text,
    blacklist_expires bigint,
    created_at bigint not null,
    expiry_set_at bigint not null default 0,
    unused boolean generated always as (executions = 0) virtual
);
insert into sealed_users (
    id, key_hash, key_sealed, start_code, end_code, project_id, discord_id, note, key_expires, key_days, max_instances,
    max_executions, fingerprintless, fingerprint, ip, executor, executions, last_reset, total_fingerprint_resets, blacklisted,
    blacklist_reason, blacklist_expires, created_at, expiry_set_at
)
select
    id, key_hash, key_sealed, start_code, end_code, project_id, discord_id, note, key_expires, key_days, max_instances,
    max_executions, fingerprintless, fingerprint, ip, executor, executions, last_reset, total_fingerprint_resets, blacklisted,
    blacklist_reason, blacklist_expires, created_at, expiry_set_at
from users order by created_at;
drop table users;
alter table sealed_users rename to users;
create unique index users_discord on users (project_id, discord_id) where discord_id is not null;
create index users_of_project on users (project_id, created_at, id);
create index users_expiring on users (project_id, key_expires) where key_expires is not null;
create index users_by_note on users (project_id, note, created_at, id) where note is not null;
create index users_by_key_start on users (project_id, start_code, id);
create index users_by_key_end on users (project_id, end_code, id);
create index users_unused on users (project_id, created_at, id) where unused;
create index users_by_expiry on users (project_id, coalesce(key_expires, 9223372036854775807), id);
-- The last one: of two indexes that SQLite takes for equally good it takes the one made later, and this one leaves fewer.
create index users_blacklisted on users (project_id, created_at, id) where blacklisted;
-- As before; it went with its table.
create trigger executions_forget_users after delete on users
begin
    update executions set user_id = null, fingerprint = null, ip = null
        where substr(user_id, 1, 8) = substr(old.id, 1, 8) and user_id between old.id and old.id;
end;

create table sealed_removed_users (
    project_id text not null references projects (id) on delete cascade,
    key_hash bytea not null,
    discord_id text,
    removed_at bigint not null,
    removed_by text not null,
    record text not null,
    primary key (project_id, key_hash)
);
insert into sealed_removed_users (project_id, key_hash, discord_id, removed_at, removed_by, record)
select project_id, key_hash, discord_id, removed_at, removed_by, sealed_record from removed_users;
drop table removed_users;
alter table sealed_removed_users rename to removed_users;
create index removed_users_of_project on removed_users (project_id, removed_at, key_hash);
create index removed_users_by_discord on removed_users (project_id, discord_id, removed_at) where discord_id is not null;
create index removed_users_by_age on removed_users (removed_at);

create table keyed_idempotency_records (
    account_id text not null references accounts (id) on delete cascade,
    key text not null,
    request_hash bytea not null,
    status bigint not null,
    reply bytea not null,
    created_at bigint not null,
    primary key (account_id, key)
) without rowid;
insert into keyed_idempotency_records (account_id, key, request_hash, status, reply, created_at)
select account_id, key, keyed_hash, status, reply, created_at from idempotency_records;
drop table idempotency_records;
alter table keyed_idempotency_records rename to idempotency_records;
create index idempotency_records_by_age on idempotency_records (created_at);
