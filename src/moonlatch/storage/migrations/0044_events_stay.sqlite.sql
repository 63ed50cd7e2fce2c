-- "insert or replace" takes the place of an event, and fires neither the trigger of a change nor that of a removal.
create trigger events_are_not_replaced before insert on events
when exists (select 1 from events where id = new.id)
begin
    select raise(abort, 'events are never changed');
end;
