-- Pages at which visitors earn keys of a project. Durations in milliseconds; `slug` is where the page stands.
create table ad_systems (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    project_id text not null references projects (id) on delete cascade,
    name text not null,
    slug text not null unique,
    enabled boolean not null,
    key_duration bigint not null,
    max_keys bigint not null,
    allow_extending boolean not null,
    max_duration bigint not null,
    network_daily_keys bigint not null,
    device_daily_keys bigint not null,
    created_at bigint not null
);
create index ad_systems_of_project on ad_systems (project_id, created_at);
create index ad_systems_of_account on ad_systems (account_id, created_at);

-- Ways through a system: those of one `number` stand in for each other, the oldest first. `settings` is a JSON object; `secrets`
-- is another one, sealed under the master key. A postback's path is found by its hash.
create table ad_steps (
    id text primary key,
    system_id text not null references ad_systems (id) on delete cascade,
    number bigint not null,
    provider text not null,
    settings text not null,
    secrets bytea not null,
    postback_hash bytea not null unique,
    minimum_seconds bigint not null,
    enabled boolean not null,
    down_until bigint,
    down_told_at bigint,
    hurried_at bigint,
    created_at bigint not null
);
create index ad_steps_of_system on ad_steps (system_id, number, created_at);

-- A browser's way to one key. `browser`, `network` and `address` are keyed hashes; `steps` says how many are done.
create table ad_attempts (
    id text primary key,
    system_id text not null references ad_systems (id) on delete cascade,
    browser bytea not null,
    network bytea not null,
    address bytea not null,
    extends text,
    steps bigint not null,
    passes bigint not null,
    began_at bigint not null,
    ends_at bigint not null,
    closed_at bigint
);
create unique index ad_attempts_open on ad_attempts (system_id, browser) where closed_at is null;
create index ad_attempts_of_system on ad_attempts (system_id);
create index ad_attempts_by_age on ad_attempts (began_at);

-- One try of one step, under the hash of its callback, which is good once.
create table ad_passes (
    callback_hash bytea primary key,
    attempt_id text not null references ad_attempts (id) on delete cascade,
    step_id text not null references ad_steps (id) on delete cascade,
    number bigint not null,
    left_at bigint not null,
    proven_at bigint,
    returned_at bigint,
    refused_at bigint,
    done_at bigint
);
create index ad_passes_of_attempt on ad_passes (attempt_id, left_at);
create index ad_passes_of_step on ad_passes (step_id, left_at);
create index ad_passes_done on ad_passes (step_id, done_at) where done_at is not null;

-- What providers gave as proof, as hashes: each counts once.
create table ad_proofs (
    hash bytea primary key,
    used_at bigint not null
);
create index ad_proofs_by_age on ad_proofs (used_at);

-- Which browser got which key, also when the key is gone: limits count them.
create table ad_grants (
    id text primary key,
    system_id text not null references ad_systems (id) on delete cascade,
    user_id text not null,
    browser bytea not null,
    network bytea not null,
    address bytea not null,
    made_at bigint not null
);
create index ad_grants_of_browser on ad_grants (system_id, browser, made_at);
create index ad_grants_of_address on ad_grants (system_id, address, made_at);
create index ad_grants_of_network on ad_grants (system_id, network, made_at);
create index ad_grants_of_user on ad_grants (user_id);
create index ad_grants_by_age on ad_grants (made_at);

-- The network that a key must be started in for the first time: a keyed hash behind one byte for its family.
alter table users add column locked_to bytea;
create index users_locked_on_device on users (project_id, fingerprint) where locked_to is not null;
