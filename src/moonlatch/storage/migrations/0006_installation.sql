-- The one master key that this data belongs to, as a value that follows from it and tells nothing about it.
create table installation (
    id integer primary key check (id = 1),
    key_check bytea not null
);
