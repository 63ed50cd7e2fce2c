-- The overview reads a month of every script and program. Each row was looked up by itself behind the index of the key: in a table that is
-- kept in the key's order, those of a script lie beside each other.
create table execution_days_in_order (
    project_id text not null references projects (id) on delete cascade,
    script_id text not null,
    day text not null,
    executor text not null,
    executions bigint not null,
    displaced bigint not null default 0,
    primary key (script_id, day, executor)
) without rowid;
insert into execution_days_in_order (project_id, script_id, day, executor, executions, displaced)
    select project_id, script_id, day, executor, executions, displaced from execution_days order by script_id, day, executor;
drop table execution_days;
alter table execution_days_in_order rename to execution_days;
create index execution_days_of_project on execution_days (project_id, day);
