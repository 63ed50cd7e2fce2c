-- A removal by expiry counts from when the expiry was set and the project's switch was turned on, too; 0 is long ago.
alter table users add column expiry_set_at bigint not null default 0;
alter table projects add column delete_expired_users_since bigint not null default 0;

-- Removed users, whole (`record` is JSON), for as long as they can be brought back.
create table removed_users (
    project_id text not null references projects (id) on delete cascade,
    key text not null,
    discord_id text,
    removed_at bigint not null,
    removed_by text not null,
    record text not null,
    primary key (project_id, key)
);
create index removed_users_of_project on removed_users (project_id, removed_at, key);
create index removed_users_by_discord on removed_users (project_id, discord_id, removed_at) where discord_id is not null;
create index removed_users_by_age on removed_users (removed_at);

-- A Discord id has one spelling, its digits. Where two users would get the same one, or it has no digits, it stays.
update users set discord_id = trim(replace(replace(replace(discord_id, '<@!', ''), '<@', ''), '>', ''))
where trim(replace(replace(replace(discord_id, '<@!', ''), '<@', ''), '>', '')) <> discord_id
    and trim(replace(replace(replace(discord_id, '<@!', ''), '<@', ''), '>', '')) <> ''
    and trim(trim(replace(replace(replace(discord_id, '<@!', ''), '<@', ''), '>', '')), '0123456789') = ''
    and not exists (
        select 1 from users other where other.project_id = users.project_id and other.key <> users.key
            and trim(replace(replace(replace(other.discord_id, '<@!', ''), '<@', ''), '>', ''))
                = trim(replace(replace(replace(users.discord_id, '<@!', ''), '<@', ''), '>', ''))
    );
