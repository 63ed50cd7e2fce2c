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
);
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
create function events_stay_as_they_are() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if (new.id, new.account_id, new.at, new.kind, new.actor_kind, new.actor_id, new.actor_name, new.resource_kind,
                new.resource_id)
            is distinct from (old.id, old.account_id, old.at, old.kind, old.actor_kind, old.actor_id, old.actor_name,
                old.resource_kind, old.resource_id)
            or new.project_id is distinct from old.project_id or new.address is distinct from old.address
            or new.request_id is distinct from old.request_id
            or new.resource_label is not null or new.changes <> '{}' then
            raise exception 'events are never changed';
        end if;
        return new;
    end if;
    if old.at >= coalesce((select before from event_retention), 0) then
        raise exception 'events are kept until their retention is over';
    end if;
    return old;
end $$;
create trigger events_stay_as_they_are before update or delete on events
    for each row execute function events_stay_as_they_are();

-- Answers to calls with an idempotency key.
create table idempotency_records (
    account_id text not null references accounts (id) on delete cascade,
    key text not null,
    request_hash bytea not null,
    status bigint not null,
    reply bytea not null,
    created_at bigint not null,
    primary key (account_id, key)
);
create index idempotency_records_by_age on idempotency_records (created_at);
