-- Columns that are dropped stay in their rows until these are written anew, which CLUSTER does.
alter table bars add column user_id text;
update bars set user_id = u.id from users u where u.key = bars.user_key;
alter table bars drop column user_key;
alter table bars
    alter column user_id set not null,
    add primary key (project_id, fingerprint, user_id),
    add foreign key (user_id) references users (id) on delete cascade;
create index bars_of_user on bars (user_id);

drop index users_in_clear;
alter table users drop column key, drop column key_forward, drop column key_backward;
alter table users
    alter column key_hash set not null,
    alter column key_sealed set not null,
    alter column start_code set not null,
    alter column end_code set not null,
    add constraint users_key_hash_key unique (key_hash),
    add constraint users_pkey primary key using index users_by_id;
create index users_of_project on users (project_id, created_at, id);
create index users_by_note on users (project_id, note, created_at, id) where note is not null;
create index users_blacklisted on users (project_id, created_at, id) where blacklisted;
create index users_by_key_start on users (project_id, start_code, id);
create index users_by_key_end on users (project_id, end_code, id);
create index users_unused on users (project_id, created_at, id) where unused;
create index users_by_expiry on users (project_id, coalesce(key_expires, 9223372036854775807), id);

drop index removed_users_in_clear;
alter table removed_users drop column key, drop column record;
alter table removed_users rename column sealed_record to record;
alter table removed_users
    alter column key_hash set not null,
    alter column record set not null,
    add primary key (project_id, key_hash);
create index removed_users_of_project on removed_users (project_id, removed_at, key_hash);

drop index idempotency_records_in_clear;
alter table idempotency_records drop column request_hash;
alter table idempotency_records rename column keyed_hash to request_hash;
alter table idempotency_records alter column request_hash set not null;

cluster bars using bars_pkey;
alter table bars set without cluster;
cluster users using users_pkey;
alter table users set without cluster;
cluster removed_users using removed_users_pkey;
alter table removed_users set without cluster;
cluster idempotency_records using idempotency_records_pkey;
alter table idempotency_records set without cluster;
