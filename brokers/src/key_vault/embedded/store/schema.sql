-- The vaults of the embedded driver. Nothing of a secret stands here in clear, not even its path; tokens and secret ids are
-- SHA-256 only.

create table if not exists vault (
    name text primary key,
    -- The vault's own keys, sealed with the broker's.
    data_key blob not null,
    -- {"max_versions", "delete_version_after", "cas_required", "bound_cidrs", "rps"}
    settings text not null,
    has_keys integer not null,
    -- Closed: nobody gets in any more, what is in it stays until it is destroyed.
    closed integer not null default 0,
    api_ops integer not null default 0,
    transit_ops integer not null default 0
) strict;

create table if not exists vault_secret (
    number integer primary key,
    vault text not null references vault (name) on delete cascade,
    path_mac blob not null,
    -- Sealed: its path, its metadata and that of its versions.
    record blob not null,
    -- When its last readable version ends by itself, in seconds since 1970; 0: there is none; null: it doesn't.
    ends_at integer,
    unique (vault, path_mac)
) strict;

create table if not exists vault_version (
    secret integer not null references vault_secret (number) on delete cascade,
    version integer not null,
    -- Sealed.
    body blob not null,
    primary key (secret, version)
) strict, without rowid;

-- What a folder holds, for lists: secrets, and further folders with the number of secrets below each.
create table if not exists vault_entry (
    vault text not null references vault (name) on delete cascade,
    folder_mac blob not null,
    entry_mac blob not null,
    -- Sealed; ends with / where it is a folder.
    entry blob not null,
    secrets integer not null,
    primary key (vault, folder_mac, entry_mac)
) strict, without rowid;

create table if not exists vault_key (
    vault text not null references vault (name) on delete cascade,
    name_mac blob not null,
    -- Sealed: all its versions.
    ring blob not null,
    primary key (vault, name_mac)
) strict, without rowid;

-- Who is let in.
create table if not exists vault_grantee (
    name text primary key,
    vault text not null references vault (name) on delete cascade,
    role_id text not null unique,
    -- {"role", "paths"}
    grants text not null,
    -- Of the tokens that it gets, in seconds.
    ttl integer not null
) strict;

create table if not exists vault_secret_id (
    hash blob primary key,
    accessor text not null,
    grantee text not null references vault_grantee (name) on delete cascade
) strict, without rowid;

create index if not exists vault_secret_id_grantee on vault_secret_id (grantee);

create table if not exists vault_token (
    hash blob primary key,
    accessor text not null,
    grantee text not null references vault_grantee (name) on delete cascade,
    -- What it came from, such as auth/approle/login.
    path text not null,
    created_at integer not null,
    expires_at integer not null,
    -- Beyond this it can't be renewed.
    ends_at integer not null
) strict, without rowid;

create index if not exists vault_token_grantee on vault_token (grantee);
create index if not exists vault_token_expires on vault_token (expires_at);

-- Answers that can be fetched once.
create table if not exists vault_wrapped (
    hash blob primary key,
    grantee text not null references vault_grantee (name) on delete cascade,
    creation_path text not null,
    -- Sealed.
    answer blob not null,
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;

create index if not exists vault_wrapped_grantee on vault_wrapped (grantee);
create index if not exists vault_wrapped_expires on vault_wrapped (expires_at);

-- How many bytes of secrets, keys and their names each vault holds, counted in the transaction that changes them.
create table if not exists vault_bytes (
    vault text primary key references vault (name) on delete cascade,
    bytes integer not null
) strict, without rowid;

create trigger if not exists vault_bytes_begin after insert on vault
begin
    insert into vault_bytes (vault, bytes) values (new.name, 0);
end;

create trigger if not exists vault_secret_adds after insert on vault_secret
begin
    update vault_bytes set bytes = bytes + length(new.path_mac) + length(new.record) where vault = new.vault;
end;

create trigger if not exists vault_secret_changes after update of record on vault_secret
begin
    update vault_bytes set bytes = bytes + length(new.record) - length(old.record) where vault = new.vault;
end;

-- Its versions go first, while it is still known which vault they are of.
create trigger if not exists vault_secret_frees before delete on vault_secret
begin
    delete from vault_version where secret = old.number;
    update vault_bytes set bytes = bytes - length(old.path_mac) - length(old.record) where vault = old.vault;
end;

create trigger if not exists vault_version_adds after insert on vault_version
begin
    update vault_bytes set bytes = bytes + length(new.body)
    where vault = (select vault from vault_secret where number = new.secret);
end;

create trigger if not exists vault_version_frees after delete on vault_version
begin
    update vault_bytes set bytes = bytes - length(old.body)
    where vault = (select vault from vault_secret where number = old.secret);
end;

create trigger if not exists vault_entry_adds after insert on vault_entry
begin
    update vault_bytes set bytes = bytes + length(new.folder_mac) + length(new.entry_mac) + length(new.entry)
    where vault = new.vault;
end;

create trigger if not exists vault_entry_frees after delete on vault_entry
begin
    update vault_bytes set bytes = bytes - length(old.folder_mac) - length(old.entry_mac) - length(old.entry)
    where vault = old.vault;
end;

create trigger if not exists vault_key_adds after insert on vault_key
begin
    update vault_bytes set bytes = bytes + length(new.name_mac) + length(new.ring) where vault = new.vault;
end;

create trigger if not exists vault_key_changes after update of ring on vault_key
begin
    update vault_bytes set bytes = bytes + length(new.ring) - length(old.ring) where vault = new.vault;
end;

create trigger if not exists vault_key_frees after delete on vault_key
begin
    update vault_bytes set bytes = bytes - length(old.name_mac) - length(old.ring) where vault = old.vault;
end;

-- What a file of an earlier version holds.
insert into vault_bytes (vault, bytes)
select name,
    coalesce((select sum(length(path_mac) + length(record)) from vault_secret where vault = name), 0)
    + coalesce((select sum(length(body)) from vault_version join vault_secret on number = secret where vault = name), 0)
    + coalesce((select sum(length(folder_mac) + length(entry_mac) + length(entry)) from vault_entry where vault = name), 0)
    + coalesce((select sum(length(name_mac) + length(ring)) from vault_key where vault = name), 0)
from vault where name not in (select vault from vault_bytes);
