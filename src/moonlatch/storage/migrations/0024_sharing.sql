-- What a project takes for a shared key, as JSON of what differs from the defaults.
alter table projects add column sharing text not null default '{}';

-- A key on hold starts no more: by which rule, since when, and until when (Unix milliseconds; null: until somebody releases it).
alter table users add column held_by text;
alter table users add column held_at bigint;
alter table users add column held_until bigint;
-- What the key was used for until then is forgiven.
alter table users add column forgiven_until bigint;
create index users_held on users (project_id, created_at, id) where held_by is not null;

-- What was said of a key: each rule once a day (days since 1970), and again when it has other consequences.
create table key_signals (
    user_id text not null references users (id) on delete cascade,
    day bigint not null,
    rule text not null,
    action text not null,
    primary key (user_id, day, rule, action)
);
create index key_signals_by_age on key_signals (day);
