-- What a bar is on: a device (its fingerprint) or a network, whose keyed hash stands in the same column.
alter table bars add column kind text not null default 'device';
create index bars_on_networks on bars (project_id) where kind = 'network';
