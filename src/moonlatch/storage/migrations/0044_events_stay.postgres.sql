-- Emptying the table removes events like removing each, and fires none of the triggers of rows.
create function events_are_not_emptied() returns trigger language plpgsql as $$
begin
    if exists (select 1 from events where at >= coalesce((select before from event_retention), 0)) then
        raise exception 'events are kept until their retention is over';
    end if;
    return null;
end $$;
create trigger events_are_not_emptied before truncate on events
    for each statement execute function events_are_not_emptied();
