-- Names of processes that share this database. Leases of a process that is silent for ten seconds are void.
create table processes (
    id text primary key,
    started_at bigint not null,
    heartbeat_at bigint not null
);

-- The database's own time in microseconds: leases never depend on a process's clock.
create view database_clock as select cast(unixepoch('subsec') * 1000000 as integer) as now;

-- Work that one process at a time does, such as numbering events.
create table leases (
    name text primary key,
    owner text not null
);

-- Counts changes of brokers, catalogs, platforms' visibility: what processes cache is as old as the version they read.
create table versions (
    name text primary key,
    version bigint not null
);
insert into versions (name, version) values ('catalog', 1), ('approval_rules', 1), ('visibility', 1);

create table stamp_keys (
    kid text primary key,
    private_key blob not null,
    public_key text not null,
    created_at bigint not null,
    signs_from bigint not null
);

create table tenants (
    id text primary key,
    name text not null,
    document text not null,
    -- Why it may order nothing for the time being; it may where absent.
    suspended text,
    -- How many quotas it has: an order reads it with the tenant, and looks for them only where there are some.
    quotas bigint not null default 0,
    version bigint not null,
    created_at bigint not null,
    deleted_at bigint
);
create unique index tenants_name on tenants (name) where deleted_at is null;

create table platforms (
    id text primary key,
    name text not null,
    kind text not null,
    default_tenant_id text references tenants (id),
    trust text,
    version bigint not null,
    created_at bigint not null,
    deleted_at bigint
);
create unique index platforms_name on platforms (name) where deleted_at is null;

create table brokers (
    id text primary key,
    name text not null,
    url text not null,
    settings text not null,
    secrets blob not null,
    status text not null,
    catalog text,
    etag text,
    findings text not null,
    fetched_at bigint,
    check_at bigint not null,
    version bigint not null,
    created_at bigint not null,
    deleted_at bigint,
    provider text
);
create unique index brokers_name on brokers (name) where deleted_at is null;

create table offerings (
    id text primary key,
    broker_id text not null references brokers (id),
    backend_id text not null,
    name text not null,
    state text not null,
    document text not null,
    findings text not null,
    position bigint not null
);
create unique index offerings_name on offerings (name) where state = 'available';
create index offerings_broker on offerings (broker_id);

create table plans (
    id text primary key,
    offering_id text not null references offerings (id),
    backend_id text not null,
    name text not null,
    state text not null,
    document text not null,
    position bigint not null
);
create index plans_offering on plans (offering_id);

create table credentials (
    username text primary key,
    owner_kind text not null,
    owner_id text not null,
    secret_hash text not null,
    created_at bigint not null
);
create index credentials_owner on credentials (owner_kind, owner_id);

-- `shape` is the list of the identity's key names: few on each platform, so that a request knows which keys to look for.
create table identities (
    platform_id text not null references platforms (id),
    match_key text not null,
    shape text not null,
    tenant_id text not null references tenants (id),
    primary key (platform_id, match_key)
);
create index identities_tenant on identities (tenant_id);
create index identities_shape on identities (platform_id, shape);

create table unmapped_identities (
    platform_id text not null references platforms (id),
    match_key text not null,
    seen bigint not null,
    first_seen_at bigint not null,
    last_seen_at bigint not null,
    primary key (platform_id, match_key)
);

create table instances (
    id text primary key,
    platform_id text not null references platforms (id),
    platform_instance_id text not null,
    current bigint not null,
    name text,
    tenant_id text not null references tenants (id),
    broker_id text not null references brokers (id),
    offering_id text not null references offerings (id),
    plan_id text not null references plans (id),
    state text not null,
    attributes blob not null,
    answer text not null,
    operation_id text,
    event_sequence bigint not null,
    version bigint not null,
    created_at bigint not null,
    ready_at bigint,
    gone_at bigint,
    -- Until when a request that makes it, and whose answer was lost, may still reach the broker: deleted before, it is deleted again.
    late_until bigint,
    -- Whether quotas may count something for it.
    reserved bigint not null default 0,
    updated_at bigint not null
);
create unique index instances_current on instances (platform_id, platform_instance_id) where current = 1;
create index instances_tenant on instances (tenant_id, id);
create index instances_broker on instances (broker_id, id);
create index instances_state on instances (state, id);
-- For lists of what is there, however much is gone.
create index instances_standing on instances (id) where state <> 'gone';
create index instances_tenant_standing on instances (tenant_id, id) where state <> 'gone';

create table bindings (
    id text primary key,
    instance_id text not null references instances (id),
    platform_binding_id text not null,
    current bigint not null,
    state text not null,
    attributes blob not null,
    answer blob,
    answer_until bigint,
    -- Until when a repeat of the bind may still be on its way to the broker: nobody unbinds or asks again before.
    asked_until bigint,
    -- Until when a request that makes it, and whose answer was lost, may still reach the broker: deleted before, it is deleted again.
    late_until bigint,
    operation_id text,
    version bigint not null,
    created_at bigint not null,
    ready_at bigint,
    gone_at bigint
);
create unique index bindings_current on bindings (instance_id, platform_binding_id) where current = 1;

create table operations (
    id text primary key,
    kind text not null,
    state text not null,
    phase text not null,
    instance_id text not null references instances (id),
    binding_id text references bindings (id),
    broker_id text not null references brokers (id),
    accepts_incomplete bigint not null,
    told text not null,
    maybe_sent bigint not null,
    request blob not null,
    target blob,
    backend_operation text,
    attempts bigint not null,
    final_not_before bigint,
    give_up_at bigint not null,
    next_at bigint not null,
    lease_owner text,
    lease_token text,
    answer text,
    description text,
    warnings text,
    correlation_id text not null,
    traceparent text,
    actor text not null,
    created_at bigint not null,
    finished_at bigint
);
create index operations_due on operations (next_at) where state = 'in_progress';
create index operations_instance on operations (instance_id, created_at);
create index operations_binding on operations (binding_id, created_at);

-- What instances were told of other instances in their parameters. An update that brings one is `since_operation_id`, one that takes
-- it away `until_operation_id`: whether it counts follows from how they ended, so that an outcome is written without this table.
create table instance_references (
    instance_id text not null references instances (id),
    parameter text not null,
    target_id text not null references instances (id),
    since_operation_id text references operations (id),
    until_operation_id text references operations (id),
    primary key (instance_id, parameter, target_id)
);
create index instance_references_target on instance_references (target_id);

-- Those that may count at the broker: whoever refers is not known to be gone, and an update that is under way, or was given up
-- without knowing what it did, keeps both what it brings and what it takes away.
create view live_references as
    select r.instance_id, r.parameter, r.target_id from instance_references r
    join instances i on i.id = r.instance_id
    left join operations s on s.id = r.since_operation_id
    left join operations u on u.id = r.until_operation_id
    where i.gone_at is null
    and (r.until_operation_id is null or u.state <> 'succeeded')
    and (r.since_operation_id is null or s.state in ('in_progress', 'succeeded') or (s.state = 'failed'
        and (s.phase = 'unresolved' or s.maybe_sent = 1 or (s.phase = 'polling' and s.finished_at >= s.give_up_at))));

-- Who has to agree to which orders.
create table approval_rules (
    name text primary key,
    document text not null,
    created_at bigint not null
);

-- One for each group of people that has to agree to an order. Names, approvers and what asked for it are as they were then.
create table approvals (
    id text primary key,
    operation_id text not null references operations (id),
    instance_id text not null references instances (id),
    tenant_id text not null references tenants (id),
    kind text not null,
    offering text not null,
    plan text not null,
    previous_plan text,
    requested_by text not null,
    -- The user of Bourse who ordered, where that is known.
    requested_user text,
    causes text not null,
    approvers text not null,
    state text not null,
    reason text,
    decided_by text,
    created_at bigint not null,
    expires_at bigint not null,
    decided_at bigint
);
create index approvals_operation on approvals (operation_id);
create index approvals_pending on approvals (expires_at) where state = 'pending';

create table events (
    position integer primary key autoincrement,
    id text not null unique,
    sequence bigint,
    type text not null,
    subject text not null,
    tenant_id text,
    -- Whose people see it, besides the tenant's.
    broker_id text,
    instance_id text,
    recorded_at bigint not null,
    document text not null
);
create unique index events_sequence on events (sequence);
create index events_unnumbered on events (position) where sequence is null;
create index events_tenant on events (tenant_id, sequence);
create index events_broker on events (broker_id, sequence) where broker_id is not null;
create index events_type on events (type, sequence);
create index events_tenant_type on events (tenant_id, type, sequence);
create index events_broker_type on events (broker_id, type, sequence) where broker_id is not null;
create index events_instance on events (instance_id, position) where instance_id is not null;

create table sinks (
    name text primary key,
    delivered bigint not null,
    attempts bigint not null,
    next_at bigint not null,
    error text
);

create table dead_letters (
    sink text not null,
    event_id text not null,
    sequence bigint not null,
    attempts bigint not null,
    error text not null,
    at bigint not null,
    redeliver bigint not null,
    primary key (sink, event_id)
);
create index dead_letters_sequence on dead_letters (sequence, sink);
create index dead_letters_redeliver on dead_letters (sink, sequence) where redeliver = 1;

create table spans (
    id text primary key,
    instance_id text not null references instances (id),
    broker_id text not null,
    offering_id text not null,
    plan_id text not null,
    platform_id text not null,
    -- As they were called when it was opened.
    offering text not null,
    plan text not null,
    tenant_id text not null,
    tenant text not null,
    -- Whether a provision began with it.
    setup bigint not null,
    started_at bigint not null,
    ended_at bigint,
    opened_by text not null,
    closed_by text,
    -- When its end was written, which may be later than the end itself.
    closed_at bigint
);
create unique index spans_open on spans (instance_id) where ended_at is null;
create unique index spans_opened_by on spans (opened_by);
create index spans_tenant on spans (tenant_id, started_at);
create index spans_tenant_instance on spans (tenant_id, instance_id, started_at);
create index spans_instance on spans (instance_id, started_at);

-- What was said about a tenant from when on: charges before a change keep what was said before it.
create table tenant_versions (
    tenant_id text not null references tenants (id),
    since bigint not null,
    document text not null,
    primary key (tenant_id, since)
);

-- What is measured of an instance, in one way. A plan that declares a meter otherwise from some day on begins another series.
create table usage_series (
    id integer primary key autoincrement,
    instance_id text not null references instances (id),
    meter text not null,
    kind text not null,
    aggregation text not null,
    unit text not null,
    -- The dimension whose values are counted; empty where none is.
    unique_by text not null,
    unique (instance_id, meter, kind, aggregation, unit, unique_by)
);

-- Who reports: the source of a broker's events. A name may be another broker's one day, and its ids are its own.
create table usage_sources (
    id integer primary key autoincrement,
    broker_id text not null references brokers (id),
    source text not null,
    unique (broker_id, source)
);

-- Readings, as they arrived; none is ever changed or removed. `at` is the instant that a reading belongs to: the start of its window,
-- or its time. `corrects` names an event of the same source whose quantity is this one instead, or that is void where there is none.
create table usage_events (
    position integer primary key autoincrement,
    source_id bigint not null references usage_sources (id),
    event_id text not null,
    content blob not null,
    series_id bigint not null references usage_series (id),
    at bigint not null,
    ended_at bigint,
    quantity text,
    reset_id text,
    dimensions text,
    corrects text,
    recorded_at bigint not null
);
create unique index usage_events_key on usage_events (source_id, event_id);
create index usage_events_series on usage_events (series_id, at, source_id, event_id);
create index usage_events_corrects on usage_events (source_id, corrects) where corrects is not null;
create index usage_events_recorded on usage_events (series_id, recorded_at, at);
create index usage_events_corrections on usage_events (series_id, recorded_at) where corrects is not null;

-- Events whose key another one has taken with another content.
create table usage_conflicts (
    position integer primary key autoincrement,
    source_id bigint not null references usage_sources (id),
    event_id text not null,
    content blob not null,
    document text not null,
    recorded_at bigint not null,
    unique (source_id, event_id, content)
);

-- Brokers that are asked for usage: up to when they were, and when they are to be asked again.
create table usage_pulls (
    broker_id text primary key references brokers (id),
    since bigint not null,
    next_at bigint not null
);

create table price_books (
    id text primary key,
    currency text not null,
    effective_from bigint not null,
    document text not null,
    created_at bigint not null,
    created_by text not null
);

-- A month of a tenant that is closed: what was known of it at `horizon`, for ever the same bytes.
create table statements (
    tenant_id text not null references tenants (id),
    period text not null,
    horizon bigint not null,
    -- What a list shows of it.
    currency text,
    total text,
    document text not null,
    digest text not null,
    closed_at bigint not null,
    primary key (tenant_id, period)
);

create table budgets (
    name text primary key,
    document text not null,
    version bigint not null,
    created_at bigint not null
);

-- Thresholds that were reached, so that each is told once in a period.
create table budget_notices (
    budget text not null,
    period text not null,
    threshold text not null,
    at bigint not null,
    primary key (budget, period, threshold)
);

-- Where what is charged for and what is there are not the same, and series that fell silent.
create table billing_cases (
    id text primary key,
    kind text not null,
    instance_id text not null references instances (id),
    detail text not null,
    opened_at bigint not null,
    closed_at bigint
);
create unique index billing_cases_open on billing_cases (instance_id, kind, detail) where closed_at is null;

-- Who changed what. `sequence`, `previous` and `hash` are given later, to committed rows only: docs/adr/0013-audit.md.
create table audit (
    position integer primary key autoincrement,
    id text not null unique,
    at bigint not null,
    actor text not null,
    origin text not null,
    action text not null,
    subject text not null,
    old_document text,
    new_document text,
    detail text not null,
    sequence bigint,
    previous text,
    hash text
);
create unique index audit_sequence on audit (sequence);
create index audit_unnumbered on audit (position) where sequence is null;
create index audit_subject on audit (subject, sequence);
create index audit_actor on audit (actor, sequence);

-- What was signed of the audit, and the keys that signed it. Public halves stay for ever; a private half is empty once another signs.
create table audit_heads (
    position bigint primary key,
    hash text not null,
    at bigint not null,
    signature text not null,
    kid text not null
);
create table audit_keys (
    kid text primary key,
    private_key blob not null,
    public_key text not null,
    created_at bigint not null
);

-- Quotas, in millionths: what a tenant may have of something at most, and has. `told_at`: when it was last told that an order exceeded it.
create table quotas (
    name text primary key,
    tenant_id text not null references tenants (id),
    document text not null,
    most bigint not null,
    used bigint not null,
    told_at bigint,
    version bigint not null,
    created_at bigint not null
);
create index quotas_tenant on quotas (tenant_id, name);

-- What a quota counts for an instance. While an update is under way `wanted` is what it leads to, and `back` what counts again where
-- it fails. `unmeasured`: nothing says how much it is.
create table quota_uses (
    quota text not null references quotas (name),
    instance_id text not null references instances (id),
    amount bigint not null,
    back bigint,
    wanted bigint,
    unmeasured bigint not null,
    primary key (quota, instance_id)
);
create index quota_uses_instance on quota_uses (instance_id, quota);

-- What is said about plans' parameters, for all tenants (then `tenant` is empty) or for one.
create table plan_parameters (
    offering text not null,
    plan text not null,
    tenant text not null,
    document text not null,
    created_at bigint not null,
    primary key (offering, plan, tenant)
);

-- Rules in Cedar that refuse orders, or warn of them.
create table policies (
    name text primary key,
    document text not null,
    created_at bigint not null
);

-- Who may do what. Members are those of the tenants' documents, where a caller's name and groups are looked for.
create table tenant_members (
    tenant_id text not null references tenants (id),
    kind text not null,
    name text not null,
    role text not null,
    primary key (tenant_id, kind, name, role)
);
create index tenant_members_name on tenant_members (kind, name);

create table users (
    name text primary key,
    groups text not null,
    version bigint not null,
    created_at bigint not null
);

-- What platforms call a user.
create table user_identities (
    platform_id text not null references platforms (id),
    platform_user text not null,
    user_name text not null references users (name),
    primary key (platform_id, platform_user)
);
create index user_identities_user on user_identities (user_name);

create table service_accounts (
    name text primary key,
    roles text not null,
    token_hash text not null unique,
    created_by text not null,
    created_at bigint not null,
    token_at bigint not null
);

-- Who may order a plan; of one without a row everybody may. `visible_to` has the tenants and platforms of a restricted one.
create table plan_visibility (
    plan_id text primary key,
    access text not null,
    updated_at bigint not null
);

-- How far offerings have come; one without a row is published. `visible_to` has the pilots of a draft.
create table offering_lifecycles (
    offering_id text primary key,
    stage text not null,
    sunset bigint,
    successor_id text,
    updated_at bigint not null
);

create table visible_to (
    item_id text not null,
    kind text not null,
    who_id text not null,
    primary key (item_id, kind, who_id)
);
create index visible_to_who on visible_to (who_id);

-- Tenants that are taken down, or were: their instances first, dependents before what they depend on, then the tenant itself.
create table offboardings (
    id text primary key,
    tenant_id text not null references tenants (id),
    tenant text not null,
    state text not null,
    reason text not null,
    requested_by text not null,
    created_at bigint not null,
    finished_at bigint,
    next_at bigint not null,
    attempts bigint not null,
    error text
);
create unique index offboardings_running on offboardings (tenant_id) where state = 'running';
create index offboardings_due on offboardings (next_at) where state = 'running';
create index offboardings_tenant on offboardings (tenant, created_at);

-- What was tried of an instance of a tenant that is taken down. `operation_id` is its deletion, as long as its end is not looked at.
create table offboarding_steps (
    offboarding_id text not null references offboardings (id),
    instance_id text not null references instances (id),
    operation_id text,
    attempts bigint not null,
    error text,
    next_at bigint not null,
    primary key (offboarding_id, instance_id)
);

-- Instances whose brokers are still to be told what changed about their tenant, and take that (`allow_context_updates`). `operation_id`
-- is the operation that tells it, as long as its end is not looked at; without `next_at` it was given up.
create table context_updates (
    instance_id text primary key references instances (id),
    tenant_id text not null references tenants (id),
    since bigint not null,
    operation_id text,
    attempts bigint not null,
    error text,
    next_at bigint
);
create index context_updates_due on context_updates (next_at) where next_at is not null;
create index context_updates_tenant on context_updates (tenant_id, instance_id);

-- Who besides a tenant's members may read an instance, or get at its credentials, and until when.
create table instance_grants (
    instance_id text not null references instances (id),
    user_name text not null,
    role text not null,
    expires_at bigint not null,
    granted_by text not null,
    created_at bigint not null,
    primary key (instance_id, user_name)
);
create index instance_grants_user on instance_grants (user_name);

-- Who is signed in at the portal: of the secret that their browser keeps, only the hash. What they may do is found out at each request.
create table sessions (
    id_hash text primary key,
    kind text not null,
    name text not null,
    groups text not null,
    created_at bigint not null,
    seen_at bigint not null,
    expires_at bigint not null
);
create index sessions_end on sessions (expires_at);
create index sessions_person on sessions (kind, name, created_at);

-- Runs of the conformance suite against brokers. `request` and `report` are sealed: parameters stand in them. `owner` is the process that
-- runs it; `digest` says which form of the offering was judged.
create table conformance_runs (
    id text primary key,
    broker_id text not null references brokers (id),
    offering_id text not null,
    offering text not null,
    service_id text not null,
    state text not null,
    digest text not null,
    catalog_version bigint not null,
    requested_by text not null,
    requested_at bigint not null,
    owner text,
    claimed_at bigint,
    started_at bigint,
    finished_at bigint,
    request blob not null,
    report blob,
    outcome text,
    failed bigint,
    reason text
);
create unique index conformance_runs_one on conformance_runs (broker_id) where state in ('waiting', 'running', 'cleaning');
create index conformance_runs_broker on conformance_runs (broker_id, requested_at);
create index conformance_runs_under_way on conformance_runs (state) where state in ('waiting', 'running', 'cleaning');

-- What a run may have made at the broker, written down before it is sent; gone with the end of the run.
create table conformance_made (
    run_id text not null references conformance_runs (id),
    instance text not null,
    binding text not null,
    plan_id text not null,
    primary key (run_id, instance, binding)
);

-- Prices that providers propose for their own offerings, until somebody of finance has said yes or no. `books` are the ids of the price
-- books that came of it.
create table price_proposals (
    id text primary key,
    broker_id text not null references brokers (id),
    state text not null,
    document text not null,
    proposed_by text not null,
    proposed_at bigint not null,
    decided_by text,
    decided_at bigint,
    reason text,
    books text
);
create unique index price_proposals_one on price_proposals (broker_id) where state = 'pending';
create index price_proposals_broker on price_proposals (broker_id, id);

-- Offerings that were submitted for publication. `digest` is of what was submitted, `checks` what was found of it.
create table offering_reviews (
    id text primary key,
    offering_id text not null references offerings (id),
    broker_id text not null references brokers (id),
    offering text not null,
    state text not null,
    digest text not null,
    checks text not null,
    note text,
    submitted_by text not null,
    submitted_at bigint not null,
    decided_by text,
    decided_at bigint,
    reason text
);
create unique index offering_reviews_one on offering_reviews (offering_id) where state = 'submitted';
create index offering_reviews_offering on offering_reviews (offering_id, id);
create index offering_reviews_broker on offering_reviews (broker_id, state);
