-- What the kit keeps of every broker's instances and bindings, in the broker's own file.
-- `resource` is an id of the kit's own that is never used twice; `id` is the platform's and may come again after a deletion.

create table if not exists kit_instance (
    resource text primary key,
    id text not null unique,
    service_id text not null,
    plan_id text not null,
    organization_guid text not null,
    space_guid text not null,
    parameters text not null,
    tenant text,
    -- creating: being made, or it is not known how far that came. changing: an update is under way, or not known to have ended.
    phase text not null check (phase in ('creating', 'ready', 'changing', 'retiring')),
    -- Sealed.
    state blob,
    created_at integer not null,
    -- Until when its meters have been read, and how often.
    measured_at integer not null,
    measured integer not null default 0,
    -- When the janitor sees to it next: to its meters, or to a deletion that stopped half-way.
    look_at integer not null
) strict;

create index if not exists kit_instance_look on kit_instance (look_at);

create table if not exists kit_binding (
    resource text primary key,
    instance text not null references kit_instance (resource),
    id text not null,
    parameters text not null,
    predecessor text,
    user_name text,
    tenant text,
    phase text not null check (phase in ('issuing', 'ready', 'revoking')),
    -- Sealed: credentials and endpoints.
    issued blob,
    created_at integer not null,
    expires_at integer,
    renew_before integer,
    unique (instance, id),
    check ((phase = 'ready') <= (issued is not null))
) strict;

-- Retired instances whose data is still there.
create table if not exists kit_retained (
    resource text primary key,
    -- The instance as it was, state sealed.
    id text not null,
    service_id text not null,
    plan_id text not null,
    organization_guid text not null,
    space_guid text not null,
    parameters text not null,
    tenant text,
    state blob,
    created_at integer not null,
    measured integer not null,
    retired_at integer not null,
    purge_at integer not null,
    -- Destroying its data has begun: it can't be taken into use again.
    purging integer not null default 0 check (purging in (0, 1))
) strict;

create index if not exists kit_retained_due on kit_retained (purge_at);

-- Readings that the hub has not taken yet, in the order in which they were made. `refused` says why it did not want one.
create table if not exists kit_usage (
    number integer primary key,
    id text not null unique,
    event text not null,
    refused text
) strict;

create index if not exists kit_usage_open on kit_usage (number) where refused is null;
