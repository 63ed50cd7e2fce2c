-- Whether each key's copies of a script are to differ, so that a leaked one names its key.
alter table scripts add column mark_copies boolean not null default false;

-- What the marked copies of a build are made of: base64 of compressed bytes, sealed under the master key. They stay when the build goes,
-- for leaks are found late.
create table templates (
    id text primary key,
    script_id text not null references scripts (id) on delete cascade,
    build bigint not null,
    places bigint not null,
    template bytea not null,
    created_at bigint not null
);
create unique index templates_of_build on templates (script_id, build);
