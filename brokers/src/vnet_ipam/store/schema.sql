-- The tables of vnet-ipam, beside the kit's. Addresses are 16 bytes, big-endian, so that they compare as numbers in both
-- versions of IP. The database itself refuses overlaps: nothing that this program does wrong can hand out an address twice.
-- What refers to the kit's rows can neither come after their end nor outlive them.

create table if not exists setting (
    name text primary key,
    value text not null
) strict;

create table if not exists network (
    resource text primary key references kit_instance (resource),
    routing_domain text not null,
    ip_version integer not null check (ip_version in (4, 6)),
    -- Where more is taken from when it grows.
    pool text not null,
    -- The size that was asked for, as a prefix length; the prefixes together are at least as large.
    length integer not null,
    status text not null check (status in ('reserved', 'confirmed', 'expired')),
    reserved_until integer,
    -- The prefixes that an expired reservation held, the first one first, with blanks between them.
    lapsed text,
    check ((status = 'reserved') = (reserved_until is not null)),
    check ((status = 'expired') = (lapsed is not null))
) strict, without rowid;

create index if not exists network_reserved on network (reserved_until) where reserved_until is not null;

-- What is not free: of a network, resting after one, somebody else's (external), or a network that waits for its owner.
create table if not exists block (
    routing_domain text not null,
    ip_version integer not null check (ip_version in (4, 6)),
    first blob not null check (length(first) = 16),
    last blob not null check (length(last) = 16 and last >= first),
    length integer not null,
    kind text not null check (kind in ('network', 'quarantine', 'external', 'waiting')),
    network text references network (resource),
    -- Which of the network's prefixes it is, from 0.
    number integer,
    quarantined_until integer,
    -- Of what was imported.
    name text,
    tenant text,
    description text,
    primary key (routing_domain, ip_version, first),
    unique (network, number),
    check ((kind = 'network') = (network is not null) and (kind = 'network') = (number is not null)),
    check ((kind = 'quarantine') = (quarantined_until is not null)),
    check ((kind in ('external', 'waiting')) = (name is not null))
) strict, without rowid;

create index if not exists block_in_quarantine on block (quarantined_until) where quarantined_until is not null;
create unique index if not exists block_imported on block (routing_domain, name) where name is not null;

-- Rows of one routing domain never overlap, so the one that begins last before the end of the new one is the only candidate.
create trigger if not exists block_never_overlaps before insert on block
when (
    select last from block
    where routing_domain = new.routing_domain and ip_version = new.ip_version and first <= new.last
    order by first desc limit 1
) >= new.first
begin
    select raise(abort, 'prefixes of a routing domain never overlap');
end;

create trigger if not exists block_never_moves before update of routing_domain, ip_version, first, last, length on block
begin
    select raise(abort, 'a prefix never moves');
end;

-- What became taken or free, in order: keeps the free space in memory of several processes right, and is the history that
-- forecasts are made from.
create table if not exists block_log (
    seq integer primary key autoincrement,
    at integer not null,
    routing_domain text not null,
    ip_version integer not null,
    first blob not null,
    length integer not null,
    taken integer not null check (taken in (0, 1)),
    -- Whether it was imported: that is not growth.
    imported integer not null check (imported in (0, 1))
) strict;

create index if not exists block_log_by_time on block_log (routing_domain, at);

create table if not exists subnet (
    network text not null references network (resource) on delete cascade,
    name text not null,
    first blob not null check (length(first) = 16),
    last blob not null check (length(last) = 16 and last >= first),
    length integer not null,
    primary key (network, name)
) strict, without rowid;

create trigger if not exists subnet_never_overlaps before insert on subnet
when exists (
    select 1 from subnet where network = new.network and first <= new.last and last >= new.first
) or not exists (
    select 1 from block where network = new.network and first <= new.first and last >= new.last
)
begin
    select raise(abort, 'subnets lie in their network and never overlap');
end;

create trigger if not exists subnet_never_moves before update of first, last, length on subnet
begin
    select raise(abort, 'a subnet never moves');
end;

-- An address that a binding reserves. `host` counts from `base`, the beginning of its subnet or of the network's prefix.
create table if not exists address (
    binding text primary key references kit_binding (resource),
    network text not null references network (resource),
    subnet text,
    base blob not null check (length(base) = 16),
    host integer not null,
    address blob not null check (length(address) = 16),
    -- The length of the range that it is on-link in.
    length integer not null,
    hostname text,
    unique (network, address)
) strict, without rowid;

create index if not exists address_by_host on address (network, base, host);

-- Networks that are gone here and shall go at the driver when their prefixes may be used again.
create table if not exists resting (
    resource text primary key,
    until integer not null,
    -- Being removed, or it is not known whether that ended.
    removing integer not null default 0 check (removing in (0, 1))
) strict, without rowid;
