-- What the authority knows beside the kit's tables. `bastion` is an instance's resource, `binding` a binding's.

create table if not exists bastion (
    resource text primary key,
    -- The platform's id, for people who read the audit.
    id text not null,
    plan_id text not null,
    parameters text not null,
    tenant text,
    retired_at integer,
    next_serial integer not null default 1,
    krl_number integer not null default 0,
    -- Counters that only grow, for the meters.
    certificates integer not null default 0,
    session_seconds integer not null default 0,
    recorded_bytes integer not null default 0
) strict;

-- user: hosts trust it. host: users trust it. door: only the gateway trusts it.
create table if not exists ca (
    bastion text not null references bastion (resource),
    kind text not null check (kind in ('user', 'host', 'door')),
    generation integer not null,
    -- An OpenSSH line without a comment.
    public_key text not null unique,
    -- Sealed; null once it signs no more.
    private_key blob,
    primary key (bastion, kind, generation)
) strict;

create table if not exists access (
    binding text primary key,
    bastion text not null references bastion (resource),
    user_name text not null,
    key_id text not null,
    -- A JSON list of login names.
    principals text not null,
    target text,
    expires_at integer not null,
    revoked_at integer
) strict;

create index if not exists access_live on access (bastion, expires_at) where revoked_at is null;

create table if not exists certificate (
    bastion text not null references bastion (resource),
    serial integer not null check (serial > 0),
    kind text not null,
    generation integer not null,
    binding text not null,
    valid_before integer not null,
    revoked_at integer,
    primary key (bastion, serial)
) strict;

create index if not exists certificate_binding on certificate (binding);
create index if not exists certificate_signed on certificate (bastion, kind, generation, valid_before);

-- Each line holds the hash of the one before it, per bastion; '' is for logins that belong to none.
create table if not exists audit (
    number integer primary key autoincrement,
    bastion text not null,
    at integer not null,
    line text not null,
    previous blob not null,
    hash blob not null
) strict;

create index if not exists audit_bastion on audit (bastion, number);

-- The gateway's own: its host key, and the seed of the key that recordings are signed with. Sealed.
create table if not exists gateway_key (
    name text primary key,
    sealed blob not null
) strict;
