-- How many of a key's starts were in a host whose functions were replaced.
alter table key_uses add column hooked bigint not null default 0;
