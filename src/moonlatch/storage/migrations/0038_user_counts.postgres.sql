-- How many users a project has, kept by every statement that adds or removes some: to count a million takes a tenth of a second.
-- In several rows, of which each connection has one, so that those who add users at the same time seldom wait for each other.
create table user_totals (
    project_id text not null references projects (id) on delete cascade,
    slot bigint not null,
    users bigint not null,
    primary key (project_id, slot)
);
insert into user_totals (project_id, slot, users) select project_id, 0, count(*) from users group by project_id;
-- A project that is gone takes its users along, and has nothing to be counted in.
create function users_are_counted() returns trigger language plpgsql as $$
begin
    insert into user_totals (project_id, slot, users)
    select c.project_id, pg_backend_pid() % 16, case when tg_op = 'INSERT' then count(*) else -count(*) end
    from changed c join projects p on p.id = c.project_id group by c.project_id
    on conflict (project_id, slot) do update set users = user_totals.users + excluded.users;
    return null;
end $$;
create trigger new_users_are_counted after insert on users
    referencing new table as changed for each statement execute function users_are_counted();
create trigger removed_users_are_counted after delete on users
    referencing old table as changed for each statement execute function users_are_counted();

-- With all that says whether somebody is blacklisted now, so that they are counted without their rows.
drop index users_blacklisted;
create index users_blacklisted on users (project_id, created_at, id, blacklist_expires) where blacklisted;
