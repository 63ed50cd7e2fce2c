-- Found by the first or last characters of its key, never used, and in the order of expiry: each along an index.
-- Both texts are written with the key, not generated: SQLite would make them anew at every start. Of a key's end there are
-- 64 characters, as many as a key has.
alter table users add column key_forward text not null default '';
alter table users add column key_backward text not null default '';
update users set key_forward = key, key_backward =
    substr(key, -1, 1) || substr(key, -2, 1) || substr(key, -3, 1) || substr(key, -4, 1) || substr(key, -5, 1)
    || substr(key, -6, 1) || substr(key, -7, 1) || substr(key, -8, 1) || substr(key, -9, 1) || substr(key,
    -10, 1) || substr(key, -11, 1) || substr(key, -12, 1) || substr(key, -13, 1) || substr(key, -14, 1) ||
    substr(key, -15, 1) || substr(key, -16, 1) || substr(key, -17, 1) || substr(key, -18, 1) || substr(key,
    -19, 1) || substr(key, -20, 1) || substr(key, -21, 1) || substr(key, -22, 1) || substr(key, -23, 1) ||
    substr(key, -24, 1) || substr(key, -25, 1) || substr(key, -26, 1) || substr(key, -27, 1) || substr(key,
    -28, 1) || substr(key, -29, 1) || substr(key, -30, 1) || substr(key, -31, 1) || substr(key, -32, 1) ||
    substr(key, -33, 1) || substr(key, -34, 1) || substr(key, -35, 1) || substr(key, -36, 1) || substr(key,
    -37, 1) || substr(key, -38, 1) || substr(key, -39, 1) || substr(key, -40, 1) || substr(key, -41, 1) ||
    substr(key, -42, 1) || substr(key, -43, 1) || substr(key, -44, 1) || substr(key, -45, 1) || substr(key,
    -46, 1) || substr(key, -47, 1) || substr(key, -48, 1) || substr(key, -49, 1) || substr(key, -50, 1) ||
    substr(key, -51, 1) || substr(key, -52, 1) || substr(key, -53, 1) || substr(key, -54, 1) || substr(key,
    -55, 1) || substr(key, -56, 1) || substr(key, -57, 1) || substr(key, -58, 1) || substr(key, -59, 1) ||
    substr(key, -60, 1) || substr(key, -61, 1) || substr(key, -62, 1) || substr(key, -63, 1) || substr(key,
    -64, 1);
alter table users add column unused boolean generated always as (executions = 0) virtual;
create index users_by_key_start on users (project_id, key_forward);
create index users_by_key_end on users (project_id, key_backward);
create index users_unused on users (project_id, created_at, key) where unused;
create index users_by_expiry on users (project_id, coalesce(key_expires, 9223372036854775807), key);
