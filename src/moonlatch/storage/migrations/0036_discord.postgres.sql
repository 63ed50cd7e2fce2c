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
create function roles_are_due(project text, ids text[]) returns void language plpgsql as $$
begin
    insert into discord_dues (account_id, guild_id, discord_id, due_at)
    select l.account_id, l.guild_id, d.id, 0 from discord_links l, (select distinct unnest(ids) as id) d
    where l.project_id = project and l.customer_role_id is not null and d.id is not null
    on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0;
end $$;
create function roles_of_users_are_due() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        perform roles_are_due(new.project_id, array[new.discord_id]);
    elsif tg_op = 'UPDATE' then
        perform roles_are_due(new.project_id, array[old.discord_id, new.discord_id]);
    else
        perform roles_are_due(old.project_id, array[old.discord_id]);
    end if;
    return null;
end $$;
create trigger roles_of_new_users_are_due after insert on users
    for each row when (new.discord_id is not null) execute function roles_of_users_are_due();
create trigger roles_of_changed_users_are_due after update of discord_id, key_expires, blacklisted, blacklist_expires on users
    for each row when (coalesce(old.discord_id, new.discord_id) is not null
    and (old.discord_id is distinct from new.discord_id or old.key_expires is distinct from new.key_expires or old.blacklisted is distinct from new.blacklisted or old.blacklist_expires is distinct from new.blacklist_expires))
    execute function roles_of_users_are_due();
create trigger roles_of_removed_users_are_due after delete on users
    for each row when (old.discord_id is not null) execute function roles_of_users_are_due();
create function roles_of_links_are_due() returns trigger language plpgsql as $$
begin
    insert into discord_dues (account_id, guild_id, discord_id, due_at)
    select g.account_id, g.guild_id, g.discord_id, 0 from discord_grants g
    where g.account_id = old.account_id and g.guild_id = old.guild_id group by g.account_id, g.guild_id, g.discord_id
    on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0;
    return null;
end $$;
create trigger roles_of_removed_links_are_due after delete on discord_links
    for each row execute function roles_of_links_are_due();
