-- What a script serves besides its current build, as JSON, for a start to find in one column; null: none of its keys is pinned.
alter table scripts add column plan text;

-- The build of each channel but `stable`, whose is scripts.build.
create table channels (
    script_id text not null references scripts (id) on delete cascade,
    name text not null,
    build bigint not null,
    primary key (script_id, name)
);

-- Which build of a script a key is given: that of a channel, and until the pin's end (null: none) a certain one.
create table pins (
    user_id text not null references users (id) on delete cascade,
    script_id text not null references scripts (id) on delete cascade,
    channel text,
    build bigint,
    expires_at bigint,
    created_at bigint not null,
    primary key (user_id, script_id)
);
create index pins_of_script on pins (script_id, created_at, user_id);
