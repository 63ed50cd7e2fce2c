-- A user has an id beside its key: the key is a secret, and what is written about a user must not hold it.
alter table users add column id text not null default '';
update users set id = lower(hex(randomblob(16)));
create unique index users_by_id on users (id);
