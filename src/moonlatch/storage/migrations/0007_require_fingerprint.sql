-- Projects that are there already go on as they did: a key whose host names no device is simply not bound. New ones are made
-- with true.
alter table projects add column require_fingerprint boolean not null default false;
