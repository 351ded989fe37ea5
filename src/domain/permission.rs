//! The rules of who may do what: a [`Permission`] is granted to roles, each with a [`Reach`]; what a caller may reach by it is a
//! [`Sight`]. One table, [`Permission::grants`]; administrators have every permission.
//!
//! Invariant: what is out of a caller's sight does not exist for them; what they see and may not change is forbidden.

use std::collections::BTreeSet;

use super::caller::{Caller, Person};
use super::role::Role;

/// What a role may reach by a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything.
    All,
    /// What is made by the brokers that they answer for.
    OwnBrokers,
    /// What is for the tenants that they belong to in that role.
    OwnTenants,
}

/// What a route takes. Which roles have it: [`Permission::grants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing, not even credentials.
    Open,
    /// To be a person or a service account.
    SignedIn,
    /// To be an administrator.
    Admin,
    /// To be a broker with credentials of its own, or an administrator.
    Broker,
    /// Brokers.
    SeeBrokers,
    /// Changes to brokers that are there.
    ChangeBrokers,
    /// A broker that is new, by a name that one may use.
    RegisterBrokers,
    /// Brokers that come and go, and what of them is published.
    ManageBrokers,
    /// Offerings that are to be published, and what was found of them.
    SeeReviews,
    /// An offering for publication.
    SubmitOfferings,
    /// What can be ordered, what it costs, and what it would.
    SeeOfferings,
    /// Platforms.
    SeePlatforms,
    /// Changes to platforms.
    ManagePlatforms,
    /// Tenants.
    SeeTenants,
    /// Changes to tenants.
    ManageTenants,
    /// Who is in a tenant.
    ManageMembers,
    /// Instances of a tenant, by name.
    SeeOrders,
    /// Orders for a tenant, and the credentials of what was ordered.
    Order,
    /// One instance by name; whoever was granted it sees it, too.
    ReadOrder,
    /// A binding with its credentials; whoever was granted them gets at them, too.
    ReadBinding,
    /// Instances and what is under way on them.
    SeeInstances,
    /// Instances, and those that somebody was granted.
    ReadInstances,
    /// Grants of instances to colleagues.
    ShareInstances,
    /// Purges, adoptions, cancellations.
    ManageInstances,
    /// Price books to come, and simulations.
    ManagePrices,
    /// Prices that were proposed.
    SeePriceProposals,
    /// Prices that are proposed.
    ProposePrices,
    /// Costs and usage.
    SeeCosts,
    /// Statements.
    SeeStatements,
    /// All of the money: cases, closed months computed again, exports.
    SeeBooks,
    /// Budgets.
    SeeBudgets,
    /// Changes to budgets.
    ManageBudgets,
    /// Rules of approval.
    SeeApprovalRules,
    /// Changes to rules of approval.
    ManageApprovalRules,
    /// Quotas.
    SeeQuotas,
    /// Changes to quotas.
    ManageQuotas,
    /// Policies, and what is said about plans' parameters.
    SeePolicies,
    /// Changes to them, and trying them against what stands.
    ManagePolicies,
    /// Approvals; whoever is named as approver sees those.
    SeeApprovals,
    /// Yes or no to an order.
    DecideApprovals,
    /// Events.
    SeeEvents,
    /// What sinks did not take.
    SeeDeadLetters,
    /// Repeats of deliveries.
    ManageEvents,
    /// Who changed what.
    SeeAudit,
    /// Users and service accounts.
    SeePeople,
    /// Changes to users and service accounts.
    ManagePeople,
}

use Reach::{All, OwnBrokers, OwnTenants};
use Role::{Approver, Auditor, Finance, Operator, Provider, TenantMember, TenantOwner};

impl Permission {
    /// Which roles have it, besides administrators, and how far it reaches for them.
    pub fn grants(self) -> &'static [(Role, Reach)] {
        match self {
            Self::Open | Self::SignedIn | Self::Admin | Self::Broker | Self::ManagePeople => &[],
            Self::SeeBrokers => &[(Operator, All), (Finance, All), (Auditor, All), (Provider, OwnBrokers)],
            Self::ChangeBrokers | Self::RegisterBrokers | Self::SubmitOfferings => {
                &[(Operator, All), (Provider, OwnBrokers)]
            }
            Self::SeeReviews => &[(Operator, All), (Auditor, All), (Provider, OwnBrokers)],
            Self::SeePriceProposals => &[(Operator, All), (Finance, All), (Auditor, All), (Provider, OwnBrokers)],
            Self::ProposePrices => &[(Finance, All), (Provider, OwnBrokers)],
            Self::ManageBrokers
            | Self::ManagePlatforms
            | Self::ManageInstances
            | Self::ManageApprovalRules
            | Self::ManageQuotas
            | Self::ManagePolicies => &[(Operator, All)],
            Self::SeeOfferings => &[
                (Operator, All),
                (Finance, All),
                (Provider, All),
                (TenantOwner, All),
                (TenantMember, All),
                (Approver, All),
                (Auditor, All),
            ],
            Self::SeePlatforms => &[(Operator, All), (Auditor, All)],
            Self::SeeTenants => &[
                (Operator, All),
                (Finance, All),
                (Auditor, All),
                (TenantOwner, OwnTenants),
                (TenantMember, OwnTenants),
            ],
            Self::ManageTenants | Self::ManageEvents => &[(Operator, All)],
            Self::SeeOrders | Self::ReadOrder => &[
                (Operator, All),
                (Finance, All),
                (Auditor, All),
                (TenantOwner, OwnTenants),
                (TenantMember, OwnTenants),
            ],
            Self::Order | Self::ReadBinding => &[(TenantOwner, OwnTenants), (TenantMember, OwnTenants)],
            Self::ShareInstances | Self::ManageMembers => &[(Operator, All), (TenantOwner, OwnTenants)],
            Self::SeeInstances | Self::ReadInstances | Self::SeeCosts | Self::SeeEvents => &[
                (Operator, All),
                (Finance, All),
                (Auditor, All),
                (Provider, OwnBrokers),
                (TenantOwner, OwnTenants),
                (TenantMember, OwnTenants),
            ],
            Self::ManagePrices | Self::ManageBudgets => &[(Finance, All)],
            Self::SeeStatements | Self::SeeBudgets => {
                &[(Finance, All), (Auditor, All), (TenantOwner, OwnTenants), (TenantMember, OwnTenants)]
            }
            Self::SeeBooks => &[(Finance, All), (Auditor, All)],
            Self::SeeQuotas => {
                &[(Operator, All), (Auditor, All), (TenantOwner, OwnTenants), (TenantMember, OwnTenants)]
            }
            Self::SeePolicies => &[(Operator, All), (Auditor, All)],
            Self::SeeApprovalRules => &[(Operator, All), (Approver, All), (Auditor, All)],
            Self::SeeApprovals => &[
                (Operator, All),
                (Approver, All),
                (Auditor, All),
                (TenantOwner, OwnTenants),
                (TenantMember, OwnTenants),
            ],
            Self::DecideApprovals => &[(Approver, All)],
            Self::SeeDeadLetters => &[(Operator, All), (Finance, All), (Auditor, All)],
            Self::SeePeople | Self::SeeAudit => &[(Auditor, All)],
        }
    }

    /// What who has it not is told: which roles it takes.
    pub fn refusal(self) -> String {
        let mut roles = vec![Role::Administrator.as_str()];
        for (role, _) in self.grants() {
            roles.push(role.as_str());
        }
        format!("this takes one of the roles {}", roles.join(", "))
    }

    /// Whether it is enough to be named in a thing, whoever one is.
    pub fn by_name(self) -> bool {
        matches!(self, Self::SeeApprovals | Self::DecideApprovals)
    }

    /// Whether a grant of an instance is enough: [`super::grant`].
    pub fn by_grant(self) -> bool {
        matches!(self, Self::ReadOrder | Self::ReadBinding | Self::ReadInstances)
    }

    /// What seeing the same things takes.
    fn seen_by(self) -> Self {
        match self {
            Self::ChangeBrokers | Self::RegisterBrokers | Self::ManageBrokers => Self::SeeBrokers,
            Self::SubmitOfferings => Self::SeeReviews,
            Self::ProposePrices => Self::SeePriceProposals,
            Self::ManagePlatforms => Self::SeePlatforms,
            Self::ManageTenants | Self::ManageMembers => Self::SeeTenants,
            Self::Order | Self::ReadOrder | Self::ReadBinding => Self::SeeOrders,
            Self::ManageInstances | Self::ShareInstances | Self::ReadInstances => Self::SeeInstances,
            Self::ManageBudgets => Self::SeeBudgets,
            Self::ManageApprovalRules => Self::SeeApprovalRules,
            Self::ManageQuotas => Self::SeeQuotas,
            Self::ManagePolicies => Self::SeePolicies,
            Self::DecideApprovals => Self::SeeApprovals,
            Self::ManageEvents => Self::SeeDeadLetters,
            Self::ManagePeople => Self::SeePeople,
            other => other,
        }
    }

    /// What a caller may reach by it; `None` where it is not theirs at all.
    pub fn sight(self, caller: &Caller) -> Option<Sight> {
        let everything = || Some(Sight { may: Scope::everything(), sees: Scope::everything() });
        if caller.is_administrator() || self == Self::Open {
            return everything();
        }
        let Some(person) = caller.person() else {
            return if matches!(caller, Caller::Broker(_)) && self == Self::Broker { everything() } else { None };
        };
        if self == Self::SignedIn {
            return everything();
        }
        let may = self.scope(person, caller);
        if may.is_empty() {
            return None;
        }
        Some(Sight { may, sees: self.seen_by().scope(person, caller) })
    }

    fn scope(self, person: &Person, caller: &Caller) -> Scope {
        let mut scope = Scope::default();
        let roles = person.all_roles();
        for (role, reach) in self.grants().iter().filter(|(role, _)| roles.contains(role)) {
            match (reach, role) {
                (All, _) => scope.all = true,
                (OwnBrokers, _) => {
                    scope.brokers.extend(person.provides.keys().cloned());
                    scope.broker_names.extend(person.provides.values().chain(&person.awaits).cloned());
                }
                (OwnTenants, TenantOwner) => scope.tenants.extend(person.owns.keys().cloned()),
                (OwnTenants, _) => scope.tenants.extend(person.member_of.keys().cloned()),
            }
        }
        if self.by_name() {
            scope.name = caller.user().map(str::to_owned);
        }
        if self.by_grant() {
            scope.granted = caller.user().map(str::to_owned);
        }
        scope
    }
}

/// What somebody may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    all: bool,
    tenants: BTreeSet<String>,
    brokers: BTreeSet<String>,
    /// Names of those, and of brokers that are theirs as soon as they are registered.
    broker_names: BTreeSet<String>,
    name: Option<String>,
    granted: Option<String>,
}

impl Scope {
    fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        !self.all
            && self.tenants.is_empty()
            && self.broker_names.is_empty()
            && self.name.is_none()
            && self.granted.is_none()
    }

    fn covers(&self, thing: &Thing<'_>) -> bool {
        self.all
            || thing.tenant.is_some_and(|id| self.tenants.contains(id))
            || thing.broker.is_some_and(|id| self.brokers.contains(id))
            || self.name.as_ref().is_some_and(|name| thing.names.contains(name))
    }
}

/// What a thing belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thing<'a> {
    /// The id of the tenant that it is for.
    pub tenant: Option<&'a str>,
    /// The id of the broker that made it.
    pub broker: Option<&'a str>,
    /// The people who are named in it.
    pub names: &'a [String],
}

/// What a caller may do with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// What was asked for.
    Allowed,
    /// See it, and no more.
    Forbidden,
    /// Not even know that it exists.
    Hidden,
}

/// What a caller may reach by a permission, and what they see of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    may: Scope,
    sees: Scope,
}

impl Sight {
    /// Of what has no caller: a worker's, or a platform's for its own things.
    pub fn everything() -> Self {
        Self { may: Scope::everything(), sees: Scope::everything() }
    }

    /// What the caller may do with that.
    pub fn of(&self, thing: &Thing<'_>) -> Access {
        match (self.may.covers(thing), self.sees.covers(thing)) {
            (true, _) => Access::Allowed,
            (false, true) => Access::Forbidden,
            (false, false) => Access::Hidden,
        }
    }

    /// Whether nothing is out of reach.
    pub fn is_everything(&self) -> bool {
        self.may.all
    }

    /// The ids of tenants as `|id|id|`, for a list that is narrowed to them; `None` where it is not narrowed.
    pub fn tenants(&self) -> Option<String> {
        (!self.may.all).then(|| listed(&self.may.tenants))
    }

    /// Whether a broker of that name may be the caller's, be it registered or not.
    pub fn may_name_broker(&self, name: &str) -> bool {
        self.may.all || self.may.broker_names.contains(name)
    }

    /// Those ids, in order; `None` where more than they are in reach.
    pub fn only_tenants(&self) -> Option<&BTreeSet<String>> {
        (!self.may.all && self.may.brokers.is_empty()).then_some(&self.may.tenants)
    }

    /// The ids of tenants and of brokers in reach; `None` where all is.
    pub fn reach(&self) -> Option<(&BTreeSet<String>, &BTreeSet<String>)> {
        (!self.may.all).then_some((&self.may.tenants, &self.may.brokers))
    }

    /// The ids of brokers in the same way as [`Sight::tenants`].
    pub fn brokers(&self) -> Option<String> {
        (!self.may.all).then(|| listed(&self.may.brokers))
    }

    /// Whose grants are to be looked at for what is not in reach: nobody's where all is.
    pub fn granted(&self) -> Option<&str> {
        self.may.granted.as_deref().filter(|_| !self.may.all)
    }

    /// Whether it takes a grant to reach anything.
    pub fn is_only_granted(&self) -> bool {
        self.granted().is_some() && self.may.tenants.is_empty() && self.may.brokers.is_empty()
    }

    /// Who sees what they are named in, where a list is narrowed.
    pub fn name(&self) -> Option<&str> {
        self.may.name.as_deref().filter(|_| !self.may.all)
    }
}

fn listed(ids: &BTreeSet<String>) -> String {
    ids.iter().fold("|".to_owned(), |text, id| text + id + "|")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ids(ids: &[&str]) -> BTreeMap<String, String> {
        ids.iter().map(|id| ((*id).to_owned(), format!("{id}-name"))).collect()
    }

    fn user(change: impl Fn(&mut Person)) -> Caller {
        let mut person = Person { name: "ada".to_owned(), ..Person::default() };
        change(&mut person);
        Caller::User(Box::new(person))
    }

    fn tenant(id: &str) -> Thing<'_> {
        Thing { tenant: Some(id), broker: Some("b"), names: &[] }
    }

    #[test]
    fn a_member_orders_for_the_own_tenant_and_knows_of_no_other() {
        let member = user(|person| person.member_of = ids(&["t"]));
        let sight = Permission::Order.sight(&member).unwrap();
        assert_eq!(sight.of(&tenant("t")), Access::Allowed);
        assert_eq!(sight.of(&tenant("u")), Access::Hidden);
        assert_eq!(sight.tenants().as_deref(), Some("|t|"));
        assert_eq!(sight.brokers().as_deref(), Some("|"));
        assert_eq!(Permission::ManageTenants.sight(&member), None);
    }

    #[test]
    fn what_is_seen_and_may_not_be_done_is_forbidden() {
        let both = user(|person| {
            person.member_of = ids(&["t"]);
            person.roles.insert(Auditor);
        });
        let sight = Permission::Order.sight(&both).unwrap();
        assert_eq!(sight.of(&tenant("t")), Access::Allowed);
        assert_eq!(sight.of(&tenant("u")), Access::Forbidden);
    }

    #[test]
    fn who_will_answer_for_a_broker_may_use_its_name_and_no_other_and_sees_none() {
        let provider = user(|person| person.awaits = BTreeSet::from(["acme".to_owned()]));
        let sight = Permission::RegisterBrokers.sight(&provider).unwrap();
        assert!(sight.may_name_broker("acme") && !sight.may_name_broker("other"));
        assert_eq!(Permission::SeeBrokers.sight(&provider).unwrap().brokers().as_deref(), Some("|"));
        assert_eq!(Permission::ManageBrokers.sight(&provider), None);
        let operator = user(|person| person.roles = BTreeSet::from([Operator]));
        assert!(Permission::RegisterBrokers.sight(&operator).unwrap().may_name_broker("other"));
    }

    #[test]
    fn what_roles_reach_adds_up() {
        let both = user(|person| {
            person.owns = ids(&["t"]);
            person.provides = ids(&["b"]);
        });
        let sight = Permission::SeeInstances.sight(&both).unwrap();
        assert_eq!(sight.of(&Thing { tenant: Some("u"), broker: Some("b"), names: &[] }), Access::Allowed);
        assert_eq!(sight.of(&Thing { tenant: Some("t"), broker: Some("c"), names: &[] }), Access::Allowed);
        assert_eq!(sight.of(&Thing { tenant: Some("u"), broker: Some("c"), names: &[] }), Access::Hidden);
    }

    #[test]
    fn whoever_is_named_sees_an_approval_and_nothing_else() {
        let nobody = user(|_| {});
        let names = ["ada".to_owned()];
        let sight = Permission::DecideApprovals.sight(&nobody).unwrap();
        assert_eq!(sight.of(&Thing { names: &names, ..tenant("t") }), Access::Allowed);
        assert_eq!(sight.of(&tenant("t")), Access::Hidden);
        assert_eq!(Permission::SeeInstances.sight(&nobody), None);
        assert!(Permission::SignedIn.sight(&nobody).is_some());
        assert_eq!(Permission::Admin.sight(&nobody), None);
        let shared = Permission::ReadInstances.sight(&nobody).unwrap();
        assert_eq!((shared.granted(), shared.is_only_granted()), (Some("ada"), true));
        assert_eq!(shared.of(&tenant("t")), Access::Hidden, "a grant is looked up where it is needed");
    }

    #[test]
    fn credentials_of_platforms_and_brokers_are_no_persons() {
        assert_eq!(Permission::SignedIn.sight(&Caller::Platform("p".into())), None);
        assert_eq!(Permission::Broker.sight(&Caller::Platform("p".into())), None);
        assert!(Permission::Broker.sight(&Caller::Broker("b".into())).is_some());
        assert_eq!(Permission::SeeBrokers.sight(&Caller::Broker("b".into())), None);
        let administrator = user(|person| person.roles = BTreeSet::from([Role::Administrator]));
        assert!(Permission::Admin.sight(&administrator).unwrap().is_everything());
    }
}
