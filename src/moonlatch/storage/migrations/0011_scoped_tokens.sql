-- What a token may do: a JSON list of permissions and one of project ids. Null is everything there is, as for earlier tokens.
alter table tokens add column permissions text;
alter table tokens add column projects text;

-- How a person tells it from others, and whether anybody still uses it.
alter table tokens add column prefix text not null default '';
alter table tokens add column last_used_at bigint;
alter table tokens add column last_used_from text;
