-- What a build is to people: what it is called, what is new in it, who published it. Hashes are SHA-256; those of builds from
-- before are not known. A build that was yanked is never served again.
alter table builds add column label text;
alter table builds add column notes text;
alter table builds add column source_hash bytea;
alter table builds add column payload_hash bytea;
alter table builds add column publisher_kind text;
alter table builds add column publisher_id text;
alter table builds add column publisher_name text;
alter table builds add column yanked_at bigint;
