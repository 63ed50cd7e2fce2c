-- Times are Unix milliseconds. Ids are 32 characters of [A-Za-z0-9]. Hashes are raw bytes.

create table accounts (
    id text primary key,
    name text not null unique,
    tier text not null,
    expires_at bigint,
    created_at bigint not null,
    obfuscation_period_start bigint not null,
    obfuscations_used bigint not null default 0
);

create table tokens (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    name text not null,
    hash bytea not null unique,
    ip_allow text not null default '[]',
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);
create index tokens_of_account on tokens (account_id, created_at);

create table projects (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    name text not null,
    fingerprint_reset_cooldown bigint not null default 86400000,
    allow_fingerprint_resets boolean not null default true,
    delete_expired_users boolean not null default false,
    execution_webhook text,
    information_webhook text,
    blacklist_webhook text,
    executions_of_removed_scripts bigint not null default 0,
    created_at bigint not null
);
create index projects_of_account on projects (account_id, created_at, id);

create table scripts (
    id text primary key,
    project_id text not null references projects (id) on delete cascade,
    name text not null,
    free_for_all boolean not null default false,
    use_heartbeat boolean not null default true,
    kick_outdated boolean not null default false,
    require_sessions boolean not null default false,
    enabled boolean not null default false,
    total_executions bigint not null default 0,
    build bigint not null default 0,
    loader text,
    created_at bigint not null
);
create index scripts_of_project on scripts (project_id, created_at, id);

-- A published version of a script. scripts.build names the one being served; 0 is none.
create table builds (
    script_id text not null references scripts (id) on delete cascade,
    number bigint not null,
    payload bytea not null,
    profile text not null,
    source_bytes bigint not null,
    created_at bigint not null,
    primary key (script_id, number)
);

-- The protected loader made for one script. scripts.loader names the one being served; earlier ones stay valid while
-- their version is supported, for clients that fetched them just before.
create table loaders (
    id text primary key,
    script_id text not null references scripts (id) on delete cascade,
    version bigint not null,
    base_url text not null default '',
    source bytea not null,
    created_at bigint not null
);
create index loaders_of_script on loaders (script_id);

-- A user is a key of one project.
create table users (
    key text primary key,
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
    created_at bigint not null
);
create unique index users_discord on users (project_id, discord_id) where discord_id is not null;
create index users_of_project on users (project_id, created_at, key);
create index users_expiring on users (project_id, key_expires) where key_expires is not null;

-- Devices of blacklisted keys: barred from every key of the project while the row stands.
create table bars (
    project_id text not null references projects (id) on delete cascade,
    fingerprint bytea not null,
    user_key text not null references users (key) on delete cascade,
    expires_at bigint,
    primary key (project_id, fingerprint, user_key)
);
create index bars_of_user on bars (user_key);

-- One granted start each; its id is the instance's and follows from the loader and its nonce, so that a repeated nonce finds
-- the row there already. `stopped` is the refusal code that ended it for good.
create table executions (
    id text primary key,
    script_id text not null,
    user_key text,
    build bigint not null,
    executor text,
    started_at bigint not null,
    stopped text
);

-- Daily counters, kept for ever; they outlive their script, so they carry its project.
create table execution_days (
    project_id text not null references projects (id) on delete cascade,
    script_id text not null,
    day text not null,
    executor text not null,
    executions bigint not null,
    primary key (script_id, day, executor)
);
create index execution_days_of_project on execution_days (project_id, day);
