-- Which key started an execution is not kept: nothing reads it, and a removed user must leave no trace.
alter table executions drop column user_key;

-- What is pruned by age. Copies that were stopped for good are no part of it: without their row they would be let in again.
create index executions_by_age on executions (started_at) where stopped is null;
