-- Lines of the source; not known of builds from before.
alter table builds add column source_lines bigint;
