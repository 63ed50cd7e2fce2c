-- Which channels whose Discord role puts a key on. `channels` of a link is a JSON object: the channel of a role, by the role's id.
alter table discord_links add column channels text not null default '{}';
alter table discord_links add column members_due_at bigint not null default 0;
alter table discord_links add column members_problem text;
create index discord_links_of_members on discord_links (members_due_at) where channels <> '{}';

-- Of a project's server, the members with such a role, whether or not they have a key: their channels, that of the highest role first.
create table discord_channels (
    project_id text not null references projects (id) on delete cascade,
    discord_id text not null,
    channels text not null,
    primary key (project_id, discord_id)
);
-- The same in the row of the member's key, which a start reads anyway.
alter table users add column role_channels text;
create function role_channels_are_told() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        update users set role_channels = null where project_id = old.project_id and discord_id = old.discord_id;
    else
        update users set role_channels = new.channels where project_id = new.project_id and discord_id = new.discord_id;
    end if;
    return null;
end $$;
create trigger role_channels_are_told after insert or update or delete on discord_channels
    for each row execute function role_channels_are_told();
create function users_are_on_channels() returns trigger language plpgsql as $$
begin
    new.role_channels := (select channels from discord_channels where project_id = new.project_id and discord_id = new.discord_id);
    return new;
end $$;
create trigger new_users_are_on_channels before insert on users
    for each row when (new.discord_id is not null) execute function users_are_on_channels();
create trigger changed_users_are_on_channels before update of discord_id on users
    for each row when (old.discord_id is distinct from new.discord_id) execute function users_are_on_channels();
create function role_channels_of_links_go() returns trigger language plpgsql as $$
begin
    delete from discord_channels where project_id = old.project_id;
    return null;
end $$;
create trigger role_channels_of_removed_links_go after delete on discord_links
    for each row execute function role_channels_of_links_go();
