-- A key's pins a second time, in its own row, which a start reads anyway: to find one in their own table took a start two more walks
-- down an index. For each a line: script, channel, build and when that ends, with a slash between them.
alter table users add column pins text;
update users set pins = (
    select group_concat(line, char(10)) from (
        select script_id || '/' || coalesce(channel, '') || '/' || coalesce(build, '') || '/' || coalesce(expires_at, '') as line
        from pins where user_id = users.id order by script_id
    )
) where id in (select user_id from pins);
create trigger new_pins_are_told after insert on pins
begin
    update users set pins = (
        select group_concat(line, char(10)) from (
            select script_id || '/' || coalesce(channel, '') || '/' || coalesce(build, '') || '/' || coalesce(expires_at, '') as line
            from pins where user_id = new.user_id order by script_id
        )
    ) where id = new.user_id;
end;
create trigger changed_pins_are_told after update on pins
begin
    update users set pins = (
        select group_concat(line, char(10)) from (
            select script_id || '/' || coalesce(channel, '') || '/' || coalesce(build, '') || '/' || coalesce(expires_at, '') as line
            from pins where user_id = new.user_id order by script_id
        )
    ) where id = new.user_id;
end;
create trigger removed_pins_are_told after delete on pins
begin
    update users set pins = (
        select group_concat(line, char(10)) from (
            select script_id || '/' || coalesce(channel, '') || '/' || coalesce(build, '') || '/' || coalesce(expires_at, '') as line
            from pins where user_id = old.user_id order by script_id
        )
    ) where id = old.user_id;
end;
