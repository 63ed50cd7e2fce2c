-- Each account's application with Discord. `bot_token` is sealed under the master key, `commands` says which commands Discord
-- was told of last, null: it is to be told. `heard_at` is when something signed last came from there.
create table discord_applications (
    account_id text primary key references accounts (id) on delete cascade,
    application_id text not null unique,
    public_key bytea not null,
    name text not null,
    bot_token bytea not null,
    commands text,
    replaces_url boolean not null default false,
    problem text,
    heard_at bigint,
    created_at bigint not null
);

-- The Discord server of a project. `roles` is a JSON object: what somebody with a role of that server is here.
create table discord_links (
    project_id text primary key references projects (id) on delete cascade,
    account_id text not null,
    guild_id text not null,
    customer_role_id text,
    roles text not null,
    panel_title text,
    panel_text text,
    problem text,
    created_at bigint not null
);
create index discord_links_of_guild on discord_links (account_id, guild_id, created_at);

-- Roles that customers were given because of their keys.
create table discord_grants (
    account_id text not null references accounts (id) on delete cascade,
    guild_id text not null,
    discord_id text not null,
    role_id text not null,
    given_at bigint not null,
    primary key (account_id, guild_id, discord_id, role_id)
);

-- Whose roles are to be looked at, and when; whoever does so has until `due_at` for it. No reference: a row may be left by what
-- removes an account, and is dropped where no application is.
create table discord_dues (
    account_id text not null,
    guild_id text not null,
    discord_id text not null,
    due_at bigint not null,
    attempts bigint not null default 0,
    primary key (account_id, guild_id, discord_id)
);
create index discord_dues_waiting on discord_dues (account_id, due_at);

-- Interactions that were answered: none is answered twice.
create table discord_interactions (
    id text primary key,
    at bigint not null
);
create index discord_interactions_by_age on discord_interactions (at);

-- Written in the transaction of whatever changes a key, whoever makes it. Of projects without a customers' role it reads one index.
create trigger roles_of_new_users_are_due after insert on users
when new.discord_id is not null and exists (select 1 from discord_links where project_id = new.project_id and customer_role_id is not null)
begin
    insert into discord_dues (account_id, guild_id, discord_id, due_at)
    select l.account_id, l.guild_id, d.id, 0 from discord_links l, (select new.discord_id as id) d
    where l.project_id = new.project_id and l.customer_role_id is not null and d.id is not null
    on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0;
end;
create trigger roles_of_changed_users_are_due after update of discord_id, key_expires, blacklisted, blacklist_expires on users
when coalesce(old.discord_id, new.discord_id) is not null
    and (old.discord_id is not new.discord_id or old.key_expires is not new.key_expires or old.blacklisted is not new.blacklisted or old.blacklist_expires is not new.blacklist_expires)
    and exists (select 1 from discord_links where project_id = new.project_id and customer_role_id is not null)
begin
    insert into discord_dues (account_id, guild_id, discord_id, due_at)
    select l.account_id, l.guild_id, d.id, 0 from discord_links l, (select old.discord_id as id union select new.discord_id) d
    where l.project_id = new.project_id and l.customer_role_id is not null and d.id is not null
    on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0;
end;
create trigger roles_of_removed_users_are_due after delete on users
when old.discord_id is not null and exists (select 1 from discord_links where project_id = old.project_id and customer_role_id is not null)
begin
    insert into discord_dues (account_id, guild_id, discord_id, due_at)
    select l.account_id, l.guild_id, d.id, 0 from discord_links l, (select old.discord_id as id) d
    where l.project_id = old.project_id and l.customer_role_id is not null and d.id is not null
    on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0;
end;
create trigger roles_of_removed_links_are_due after delete on discord_links
begin
    insert into discord_dues (account_id, guild_id, discord_id, due_at)
    select g.account_id, g.guild_id, g.discord_id, 0 from discord_grants g
    where g.account_id = old.account_id and g.guild_id = old.guild_id group by g.account_id, g.guild_id, g.discord_id
    on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0;
end;
