-- Copies of a key that started until then (Unix milliseconds) were stopped for good, with every token of theirs.
alter table users add column instances_since bigint;
