-- A build on its way to everybody. Steps are JSON: for each the share in basis points, and for how many minutes at least. While
-- `ended_at` is null it is open, and a script has at most one such; `next_at` is when it takes its next step by itself.
create table rollouts (
    id text primary key,
    script_id text not null references scripts (id) on delete cascade,
    build bigint not null,
    state text not null,
    steps text not null,
    step bigint not null,
    step_since bigint not null,
    next_at bigint,
    salt text not null,
    created_at bigint not null,
    ended_at bigint
);
create unique index open_rollouts on rollouts (script_id) where ended_at is null;
create index rollouts_of_script on rollouts (script_id, created_at, id);
create index rollouts_due on rollouts (next_at) where next_at is not null;

-- Builds that are to be published later; with steps (as above), as a rollout.
create table scheduled_builds (
    script_id text not null references scripts (id) on delete cascade,
    build bigint not null,
    channel text not null,
    steps text,
    publish_at bigint not null,
    primary key (script_id, build)
);
create index scheduled_builds_due on scheduled_builds (publish_at);
