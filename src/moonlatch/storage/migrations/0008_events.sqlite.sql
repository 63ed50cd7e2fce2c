-- Who did what, when. `changes` is a JSON object of [old, new] by field. Ids begin with the time, so they are in its order.
-- No reference to accounts and projects: what was done outlives them.
create table events (
    id text primary key,
    account_id text not null,
    project_id text,
    at bigint not null,
    kind text not null,
    actor_kind text not null,
    actor_id text not null,
    actor_name text not null,
    address text,
    request_id text,
    resource_kind text not null,
    resource_id text not null,
    resource_label text,
    changes text not null default '{}'
) without rowid;
create index events_of_account on events (account_id, id);
create index events_of_project on events (project_id, id) where project_id is not null;
create index events_of_resource on events (resource_id, id);
create index events_of_actor on events (actor_id, id);
create index events_of_kind on events (account_id, kind, id);

-- Events of before this time may be removed, and no others.
create table event_retention (
    id integer primary key check (id = 1),
    before bigint not null
);

-- An event may only lose what identifies its resource.
create trigger events_stay_as_they_are before update on events
when new.id <> old.id or new.account_id <> old.account_id or new.project_id is not old.project_id or new.at <> old.at
    or new.kind <> old.kind or new.actor_kind <> old.actor_kind or new.actor_id <> old.actor_id
    or new.actor_name <> old.actor_name or new.address is not old.address or new.request_id is not old.request_id
    or new.resource_kind <> old.resource_kind or new.resource_id <> old.resource_id
    or new.resource_label is not null or new.changes <> '{}'
begin
    select raise(abort, 'events are never changed');
end;
create trigger events_are_kept before delete on events
when old.at >= coalesce((select before from event_retention), 0)
begin
    select raise(abort, 'events are kept until their retention is over');
end;

-- Answers to calls with an idempotency key.
create table idempotency_records (
    account_id text not null references accounts (id) on delete cascade,
    key text not null,
    request_hash bytea not null,
    status bigint not null,
    reply bytea not null,
    created_at bigint not null,
    primary key (account_id, key)
) without rowid;
create index idempotency_records_by_age on idempotency_records (created_at);
