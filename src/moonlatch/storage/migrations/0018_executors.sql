-- Of a script and day so many names of executors are counted by themselves. One that takes another's place carries what was counted
-- in that place before, so that a name which is used a lot finds one, however many others are made up.
alter table execution_days add column displaced bigint not null default 0;
