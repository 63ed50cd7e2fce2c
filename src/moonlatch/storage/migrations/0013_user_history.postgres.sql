-- What became of a user's starts. Whose a start was is told by the user's id, never by the key; both hashes are keyed.
alter table executions add column user_id text;
alter table executions add column fingerprint bytea;
alter table executions add column ip bytea;
-- The code of the refusal that ended it, and when that was or, without one, when its last session closed.
alter table executions add column ended text;
alter table executions add column ended_at bigint;

-- Every start writes it, so it holds as much of the id as tells users apart nearly always: half of the cost of the whole.
create index executions_of_user on executions (substr(user_id, 1, 8), started_at) where user_id is not null;
-- Copies that were stopped for good keep their row; what it tells of their user goes with age all the same.
create index executions_telling_of_users on executions (started_at) where stopped is not null and user_id is not null;

-- A removed user leaves no trace, however the row went.
create function executions_forget_users() returns trigger language plpgsql as $$
begin
    update executions set user_id = null, fingerprint = null, ip = null
        where substr(user_id, 1, 8) = substr(old.id, 1, 8) and user_id between old.id and old.id;
    return null;
end $$;
create trigger executions_forget_users after delete on users
    for each row execute function executions_forget_users();

-- Refusals that a key was answered with. Those of one day with the same code, for the same script, device and moment are
-- one row: `refused_at` is the last of them, `first_at` the first. No fingerprint is an empty one.
create table refusals (
    user_id text not null references users (id) on delete cascade,
    day bigint not null,
    code text not null,
    moment text not null,
    script_id text not null,
    fingerprint bytea not null,
    ip bytea,
    executor text,
    first_at bigint not null,
    refused_at bigint not null,
    times bigint not null,
    primary key (user_id, day, code, moment, script_id, fingerprint)
);
create index refusals_by_age on refusals (refused_at);
