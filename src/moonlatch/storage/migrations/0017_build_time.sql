-- What worker processes have spent on the account's updates in its period, those that failed included.
alter table accounts add column build_ms_used bigint not null default 0;
