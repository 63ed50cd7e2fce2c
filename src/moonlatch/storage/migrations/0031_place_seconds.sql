-- For how long after its start a copy takes its place where nothing tells whether it still runs; 0: for one lease.
alter table scripts add column place_seconds bigint not null default 0;
