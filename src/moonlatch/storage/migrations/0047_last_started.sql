-- When the latest start of a key was granted, by the clock of the process that granted it: a revocation of its copies reaches that far.
alter table users add column last_started_at bigint;
