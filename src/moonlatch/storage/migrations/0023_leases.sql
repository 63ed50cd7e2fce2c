-- For how many days a copy of the script starts without the server; 0: not at all.
alter table scripts add column offline_days bigint not null default 0;
-- Whether the loader has the part that keeps leases.
alter table loaders add column keeps_leases boolean not null default false;
-- When the last of the leases ends that were given to the key's device (Unix milliseconds); null where none was.
alter table users add column leased_until bigint;
