-- Keys of users stand here as a keyed hash and sealed, never in clear. Between this and 0014_keys_at_rest.finish.sqlite.sql the
-- rows that are there are rewritten with the master key, some at a time (storage/key_sealing.py).
alter table users add column key_hash bytea;
alter table users add column key_sealed bytea;
alter table users add column start_code bytea;
alter table users add column end_code bytea;
create index users_in_clear on users (id) where key_hash is null;

alter table removed_users add column key_hash bytea;
alter table removed_users add column sealed_record text;
create index removed_users_in_clear on removed_users (project_id, key) where key_hash is null;

-- A request may name keys, and a hash that anybody can make tells short ones.
alter table idempotency_records add column keyed_hash bytea;
create index idempotency_records_in_clear on idempotency_records (account_id, key) where keyed_hash is null;
