-- So that a filtered page of a million users takes no longer than one of a thousand.
create index users_by_note on users (project_id, note, created_at, key) where note is not null;
create index users_blacklisted on users (project_id, created_at, key) where blacklisted;
