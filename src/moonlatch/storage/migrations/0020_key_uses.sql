-- Where a key was used, by UTC day (days since 1970): keyed hashes and counts. No device or network is an empty one.
create table key_uses (
    user_id text not null references users (id) on delete cascade,
    day bigint not null,
    device bytea not null,
    network bytea not null,
    executor text not null,
    starts bigint not null,
    first_at bigint not null,
    last_at bigint not null,
    primary key (user_id, day, device, network, executor)
);
create index key_uses_by_age on key_uses (day);

-- How often it was, by hour (hours since 1970), and how often it was unbound from its device.
create table key_hours (
    user_id text not null references users (id) on delete cascade,
    hour bigint not null,
    starts bigint not null default 0,
    resets bigint not null default 0,
    primary key (user_id, hour)
);
create index key_hours_by_age on key_hours (hour);
