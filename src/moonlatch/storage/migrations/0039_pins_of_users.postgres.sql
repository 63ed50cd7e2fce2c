-- A key's pins a second time, in its own row, which a start reads anyway: to find one in their own table took a start two more walks
-- down an index. For each a line: script, channel, build and when that ends, with a slash between them.
alter table users add column pins text;
create function pins_of(pinned text) returns text language sql stable as $$
    select string_agg(
        script_id || '/' || coalesce(channel, '') || '/' || coalesce(cast(build as text), '') || '/' || coalesce(cast(expires_at as text), ''),
        e'\n' order by script_id collate "C"
    ) from pins where user_id = pinned
$$;
update users set pins = pins_of(id) where id in (select user_id from pins);
create function pins_are_told() returns trigger language plpgsql as $$
declare pinned text := case when tg_op = 'DELETE' then old.user_id else new.user_id end;
begin
    update users set pins = pins_of(pinned) where id = pinned;
    return null;
end $$;
create trigger pins_are_told after insert or update or delete on pins for each row execute function pins_are_told();
