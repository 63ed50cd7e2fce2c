-- Where a project's events are handed over to. `url`, `secret` and `previous_secret` are sealed under the master key; `events` is a
-- JSON array of kinds, null for all. One with a `field` is what the project's setting of that name says.
create table endpoints (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    project_id text not null references projects (id) on delete cascade,
    name text not null,
    field text,
    kind text not null,
    url bytea not null,
    shown_url text not null,
    events text,
    executions text not null,
    executions_until bigint not null,
    secret bytea not null,
    previous_secret bytea,
    previous_until bigint,
    enabled boolean not null,
    disabled_because text,
    failing_since bigint,
    created_at bigint not null
);
create index endpoints_of_project on endpoints (project_id, created_at);
create index endpoints_of_account on endpoints (account_id);
create unique index endpoints_of_field on endpoints (project_id, field) where field is not null;
create index endpoints_telling_starts on endpoints (executions_until) where enabled and executions <> 'none';

-- What an endpoint is to get, or got: an event, or the `body` of what is none. `next_at` is when it is tried next, or until when
-- whoever claimed it has for that; null when it was delivered or given up. Ids begin with the time.
create table deliveries (
    id text primary key,
    endpoint_id text not null references endpoints (id) on delete cascade,
    event_id text,
    kind text not null,
    body text,
    created_at bigint not null,
    next_at bigint,
    claimed_by text,
    step bigint not null default 0,
    attempts bigint not null default 0,
    delivered_at bigint
);
create index deliveries_waiting on deliveries (endpoint_id, next_at) where next_at is not null;
create index deliveries_of_endpoint on deliveries (endpoint_id, id);
create index deliveries_by_age on deliveries (created_at) where next_at is null;

create table delivery_attempts (
    delivery_id text not null references deliveries (id) on delete cascade,
    number bigint not null,
    at bigint not null,
    milliseconds bigint not null,
    status bigint,
    error text,
    answer text,
    primary key (delivery_id, number)
);

-- An outbox: written in the event's own transaction, whoever leaves it. Of projects without endpoints it reads one index.
create function events_are_handed_over() returns trigger language plpgsql as $$
begin
    insert into deliveries (id, endpoint_id, event_id, kind, created_at, next_at)
    select new.id || '-' || substr(e.id, 1, 16), e.id, new.id, new.kind, new.at, new.at from endpoints e
    where e.project_id = new.project_id and e.enabled and (e.events is null or e.events like '%"' || new.kind || '"%');
    return null;
end $$;
create trigger events_are_handed_over after insert on events
    for each row when (new.project_id is not null) execute function events_are_handed_over();
