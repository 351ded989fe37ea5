-- The tables of vnet-ipam. Addresses are 16 bytes, big-endian, so that they compare as numbers in both versions of IP.
-- The database itself refuses overlaps: nothing that this program does wrong can hand out an address twice.

create table if not exists setting (
    name text primary key,
    value text not null
) strict;

create table if not exists instance (
    id text primary key,
    service_id text not null,
    plan_id text not null,
    organization_guid text not null,
    space_guid text not null,
    parameters text not null,
    tenant_id text,
    tenant_name text,
    created_at integer not null
) strict;

-- A prefix is in use by an instance, or rests in quarantine until a time.
create table if not exists prefix (
    routing_domain text not null,
    ip_version integer not null check (ip_version in (4, 6)),
    first blob not null check (length(first) = 16),
    last blob not null check (length(last) = 16 and last >= first),
    length integer not null,
    pool text not null,
    instance_id text unique references instance (id),
    quarantined_until integer,
    primary key (routing_domain, ip_version, first),
    check ((instance_id is null) <> (quarantined_until is null))
) strict, without rowid;

create index if not exists prefix_in_quarantine on prefix (quarantined_until) where quarantined_until is not null;

-- Rows of one routing domain never overlap, so the one that begins last before the end of the new one is the only candidate.
create trigger if not exists prefix_never_overlaps before insert on prefix
when (
    select last from prefix
    where routing_domain = new.routing_domain and ip_version = new.ip_version and first <= new.last
    order by first desc limit 1
) >= new.first
begin
    select raise(abort, 'prefixes of a routing domain never overlap');
end;

create trigger if not exists prefix_never_moves before update of routing_domain, ip_version, first, last, length on prefix
begin
    select raise(abort, 'a prefix never moves');
end;

create table if not exists subnet (
    instance_id text not null references instance (id) on delete cascade,
    name text not null,
    first blob not null check (length(first) = 16),
    last blob not null check (length(last) = 16 and last >= first),
    length integer not null,
    primary key (instance_id, name)
) strict, without rowid;

create trigger if not exists subnet_never_overlaps before insert on subnet
when exists (
    select 1 from subnet where instance_id = new.instance_id and first <= new.last and last >= new.first
) or not exists (
    select 1 from prefix where instance_id = new.instance_id and first <= new.first and last >= new.last
)
begin
    select raise(abort, 'subnets lie in their network and never overlap');
end;

create trigger if not exists subnet_never_moves before update of first, last, length on subnet
begin
    select raise(abort, 'a subnet never moves');
end;

-- An address that a binding reserves. `host` counts from the beginning of its subnet, or of the network where it has none.
create table if not exists address (
    instance_id text not null references instance (id) on delete cascade,
    binding_id text not null,
    subnet text,
    host integer not null,
    address blob not null check (length(address) = 16),
    hostname text,
    parameters text not null,
    primary key (instance_id, binding_id),
    unique (instance_id, address)
) strict, without rowid;

create index if not exists address_by_host on address (instance_id, subnet, host);
