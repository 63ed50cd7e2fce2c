-- Until when a loader that was replaced may still start its script (Unix milliseconds); null is without an end.
alter table loaders add column valid_until bigint;
