-- Whether a script's copies tell of errors, and whether a loader has the part that does.
alter table scripts add column report_errors boolean not null default false;
alter table loaders add column reports_errors boolean not null default false;

-- From places in a build's protected text to those in its source: base64 of compressed bytes, sealed under the master key.
create table line_maps (
    id text primary key,
    script_id text not null,
    build bigint not null,
    map bytea not null,
    foreign key (script_id, build) references builds (script_id, number) on delete cascade
);
create unique index line_maps_of_build on line_maps (script_id, build);

-- Errors of a script that are one: of one build, in one place, with one message but for numbers and the like. `kin` is the same for
-- what seems to be the same error in other builds; all of one kin stand alike. `executors` is JSON, from name to number.
create table error_groups (
    id text primary key,
    script_id text not null references scripts (id) on delete cascade,
    build bigint not null,
    place text not null,
    kin bytea not null,
    signature bytea not null,
    kind text not null,
    message text not null,
    file text,
    line bigint,
    function text,
    state text not null,
    resolved_build bigint,
    instances bigint not null,
    keys bigint not null,
    executors text not null,
    first_seen bigint not null,
    last_seen bigint not null,
    spiked_at bigint,
    regressed_at bigint
);
create unique index error_groups_by_signature on error_groups (script_id, build, signature);
create index error_groups_by_kin on error_groups (script_id, kin);
create index error_groups_by_time on error_groups (script_id, last_seen, id);
create index error_groups_by_age on error_groups (last_seen);

-- Which copies and keys had an error, as the beginning of keyed hashes, so that each counts once.
create table error_witnesses (
    group_id text not null references error_groups (id) on delete cascade,
    witness bytea not null,
    seen_at bigint not null,
    primary key (group_id, witness)
);
create index error_witnesses_by_age on error_witnesses (seen_at);

-- Copies that had an error, by the hour (since 1970).
create table error_hours (
    group_id text not null references error_groups (id) on delete cascade,
    hour bigint not null,
    instances bigint not null,
    primary key (group_id, hour)
);

-- How often the starts of a rollout were compared, since when they are counted, and what the numbers were that halted it, as JSON.
alter table rollouts add column looks bigint not null default 0;
alter table rollouts add column counted_since bigint;
alter table rollouts add column halted_because text;
create index rollouts_compared on rollouts (looks) where ended_at is null;

-- The first start of each key or device (a keyed hash) with a rollout's build and with the one it is compared with, at which step,
-- and how it went: `ok`, `error`, or null where nothing was heard of it.
create table rollout_starts (
    instance text primary key,
    rollout_id text not null references rollouts (id) on delete cascade,
    is_new boolean not null,
    basis_points bigint not null,
    holder bytea not null,
    started_at bigint not null,
    outcome text,
    group_id text
);
create unique index rollout_starts_by_holder on rollout_starts (rollout_id, is_new, holder);
create index rollout_starts_by_time on rollout_starts (rollout_id, is_new, started_at);
