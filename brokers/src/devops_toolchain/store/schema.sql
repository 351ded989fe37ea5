-- What the driver `embedded` keeps beside the kit's tables. `resource` is the kit's id of the instance or of the binding.

create table if not exists repository (
    resource text primary key,
    -- The part of its address that people see.
    slug text not null unique,
    -- What was last ordered, as the driver reads it at each push.
    name text not null,
    branch text not null,
    protected integer not null,
    allow_force_push integer not null,
    linear_history integer not null,
    required_status integer not null,
    push_role text not null,
    builds integer not null,
    minutes_month integer,
    -- 1 once it is retired: nobody gets in.
    archived integer not null default 0,
    -- 1 from the beginning of a push until what it did has been looked at.
    pushed integer not null default 0,
    tokens_issued integer not null default 0,
    ci_seconds integer not null default 0,
    created_at integer not null
) strict;

create index if not exists repository_pushed on repository (resource) where pushed = 1;

create table if not exists token (
    resource text primary key,
    repository text not null references repository (resource),
    username text not null unique,
    -- SHA-256 of the token; the token itself is nowhere.
    hash blob not null,
    role text not null,
    expires_at integer not null
) strict;

-- Where each branch was when pushes were last looked at.
create table if not exists branch (
    repository text not null references repository (resource),
    name text not null,
    revision text not null,
    primary key (repository, name)
) strict;

-- One build of each commit. pending: to be asked for. running: the CI server has it under `request`.
create table if not exists build (
    number integer primary key,
    repository text not null references repository (resource),
    revision text not null,
    branch text not null,
    state text not null check (state in ('pending', 'running', 'success', 'failure', 'exception')),
    reason text,
    request integer,
    url text,
    queued_at integer not null,
    -- When it is next looked at, how often the CI server could not be reached in a row, and when it must be over.
    next_at integer not null,
    attempts integer not null default 0,
    deadline integer,
    started_at integer,
    finished_at integer,
    unique (repository, revision)
) strict;

create index if not exists build_open on build (next_at) where state in ('pending', 'running');

create table if not exists webhook (
    resource text primary key,
    repository text not null references repository (resource),
    url text not null,
    -- Sealed.
    secret blob not null
) strict;

-- Events that a web hook has not taken yet.
create table if not exists delivery (
    number integer primary key,
    id text not null,
    webhook text not null references webhook (resource),
    body text not null,
    attempts integer not null default 0,
    next_at integer not null
) strict;

create index if not exists delivery_due on delivery (next_at);

-- The drivers `forgejo` and `gitea` only: users that deploy tokens belong to. 1 in `ended`: deleted there.
create table if not exists remote_token (
    resource text primary key,
    repository text not null,
    username text not null unique,
    expires_at integer not null,
    ended integer not null default 0
) strict;

create index if not exists remote_token_due on remote_token (expires_at) where ended = 0;
