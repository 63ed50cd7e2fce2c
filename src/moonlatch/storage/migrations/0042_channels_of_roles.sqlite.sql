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
create trigger new_role_channels_are_told after insert on discord_channels
begin
    update users set role_channels = new.channels where project_id = new.project_id and discord_id = new.discord_id;
end;
create trigger changed_role_channels_are_told after update on discord_channels
begin
    update users set role_channels = new.channels where project_id = new.project_id and discord_id = new.discord_id;
end;
create trigger removed_role_channels_are_told after delete on discord_channels
begin
    update users set role_channels = null where project_id = old.project_id and discord_id = old.discord_id;
end;
create trigger new_users_are_on_channels after insert on users
when new.discord_id is not null and exists (select 1 from discord_channels where project_id = new.project_id and discord_id = new.discord_id)
begin
    update users set role_channels = (select channels from discord_channels where project_id = new.project_id and discord_id = new.discord_id)
    where id = new.id;
end;
create trigger changed_users_are_on_channels after update of discord_id on users
when old.discord_id is not new.discord_id
    and (old.role_channels is not null or exists (select 1 from discord_channels where project_id = new.project_id and discord_id = new.discord_id))
begin
    update users set role_channels = (select channels from discord_channels where project_id = new.project_id and discord_id = new.discord_id)
    where id = new.id;
end;
create trigger role_channels_of_removed_links_go after delete on discord_links
begin
    delete from discord_channels where project_id = old.project_id;
end;
