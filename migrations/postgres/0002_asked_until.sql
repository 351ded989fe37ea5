-- Until when a repeat of the bind may still be on its way to the broker: nobody unbinds or asks again before.
alter table bindings add column asked_until bigint;
