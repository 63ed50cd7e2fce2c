-- How a script is protected. Null means: as the project has it (engine), or the server (profile), or wherever the source
-- runs (target).
alter table scripts add column profile text;
alter table scripts add column target text;
alter table scripts add column engine text;

alter table projects add column engine text not null default 'embedded';

-- What a build was made with.
alter table builds add column target text;
alter table builds add column engine text not null default 'embedded';
