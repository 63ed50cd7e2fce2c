-- Found by the first or last characters of its key, never used, and in the order of expiry: each along an index.
-- Characters are compared one by one, whatever the language of the database. `unused` is a column of its own so that a start,
-- which changes the count of executions, changes no index.
alter table users
    add column key_forward text collate "C" not null default '',
    add column key_backward text collate "C" not null default '',
    add column unused boolean generated always as (executions = 0) stored;
update users set key_forward = key, key_backward = reverse(key);
create index users_by_key_start on users (project_id, key_forward);
create index users_by_key_end on users (project_id, key_backward);
create index users_unused on users (project_id, created_at, key) where unused;
create index users_by_expiry on users (project_id, coalesce(key_expires, 9223372036854775807), key);
