-- How many copies a key of the project may run at once that says nothing itself; null is any number.
alter table projects add column max_instances bigint;
