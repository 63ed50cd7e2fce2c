-- What scripts reach through the server by name: a webhook, which is posted to, or a function, which answers. The endpoint has the
-- address and the secret. `template` is JSON. It is the project's, or one script's.
create table remotes (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    project_id text not null references projects (id) on delete cascade,
    script_id text references scripts (id) on delete cascade,
    endpoint_id text not null references endpoints (id) on delete cascade,
    kind text not null,
    name text not null,
    template text,
    per_key bigint not null,
    per_instance bigint not null,
    timeout_seconds bigint not null,
    revision bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index remotes_by_owner on remotes (project_id, coalesce(script_id, ''), name);
create index remotes_of_account on remotes (account_id);
create index remotes_of_script on remotes (script_id) where script_id is not null;
create index remotes_of_endpoint on remotes (endpoint_id);
