-- What scripts ask the server for by name. `value` is JSON, sealed under the master key. It is the project's, or that of one script or one key.
create table variables (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    project_id text not null references projects (id) on delete cascade,
    script_id text references scripts (id) on delete cascade,
    user_id text references users (id) on delete cascade,
    name text not null,
    value bytea not null,
    value_bytes bigint not null,
    cache_seconds bigint not null,
    revision bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index variables_by_owner on variables (project_id, coalesce(script_id, ''), coalesce(user_id, ''), name);
create index variables_of_account on variables (account_id);
create index variables_of_script on variables (script_id) where script_id is not null;
create index variables_of_user on variables (user_id) where user_id is not null;
