-- Keys of accounts with the Luraph service, sealed under the installation's master key.
create table luraph_keys (
    account_id text primary key references accounts (id) on delete cascade,
    sealed bytea not null
);

-- The options a project's jobs there have, as a JSON object.
alter table projects add column luraph_options text not null default '{}';
