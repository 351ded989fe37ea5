//! What was typed into the form of a broker, and what a use case is given of it: a whole registration ([`Typed::new_broker`]), or only what
//! is another than before ([`Typed::change`]). It checks nothing but what could not be handed on.
//!
//! Invariant: what is secret comes from a browser and never goes back to one: [`Secret`] has no way onto a page.

use crate::app::registry::{BrokerChange, BrokerView, NewBroker};
use crate::domain::broker::{Credentials, PROVIDER_FIELDS, Rotation, Tls, UsagePull};
use crate::domain::catalog::Ids;
use crate::domain::stamp::StampSettings;
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::Wrong;
use crate::secret::Secret;

/// The value of `kind` that leaves credentials as they are stored.
pub(super) const KEEP: &str = "keep";

/// What stands in the fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    pub(super) name: String,
    pub(super) url: String,
    /// `basic`, `bearer`, `oauth2`, `none`, or [`KEEP`].
    pub(super) kind: String,
    pub(super) username: String,
    password: Secret<String>,
    token: Secret<String>,
    pub(super) token_url: String,
    pub(super) client_id: String,
    client_secret: Secret<String>,
    pub(super) scope: String,
    pub(super) ca: String,
    pub(super) client_cert: String,
    client_key: Secret<String>,
    pub(super) forget_tls: bool,
    pub(super) name_prefix: String,
    pub(super) passthrough: bool,
    pub(super) timeout_ms: String,
    pub(super) concurrency: String,
    pub(super) api_version: String,
    pub(super) rotation: String,
    pub(super) usage_every: String,
    pub(super) takeover: bool,
    pub(super) header: bool,
    pub(super) context: bool,
    /// It is told everything, also what comes to be known later.
    pub(super) everything: bool,
    /// What it is told, where not everything.
    pub(super) told: Vec<String>,
    /// Which version of the broker the form was made of.
    pub(super) version: String,
}

impl Typed {
    /// What a form for a new broker begins with.
    pub(super) fn blank(name: &str, operator: bool) -> Self {
        Self {
            name: name.to_owned(),
            kind: "basic".to_owned(),
            header: true,
            context: true,
            everything: operator,
            told: PROVIDER_FIELDS.map(str::to_owned).to_vec(),
            ..Self::default()
        }
    }

    /// What a form for a change begins with: how things stand.
    pub(super) fn of(view: &BrokerView) -> Self {
        let settings = &view.row.settings;
        let number = |number: Option<String>| number.unwrap_or_default();
        Self {
            name: view.row.name.clone(),
            url: view.row.url.clone(),
            kind: KEEP.to_owned(),
            name_prefix: settings.name_prefix.clone(),
            passthrough: settings.ids == Ids::Passthrough,
            timeout_ms: number(settings.timeout_ms.map(|number| number.to_string())),
            concurrency: number(settings.concurrency.map(|number| number.to_string())),
            api_version: settings.api_version.clone().unwrap_or_default(),
            rotation: settings.rotation.map(word).unwrap_or_default().to_owned(),
            usage_every: settings.usage_pull.as_ref().map(|pull| pull.every.clone()).unwrap_or_default(),
            takeover: settings.takeover,
            header: settings.stamp.header,
            context: settings.stamp.context,
            everything: settings.stamp.fields.is_none(),
            told: settings.stamp.fields.clone().unwrap_or_default(),
            version: view.row.version.to_string(),
            ..Self::default()
        }
    }

    /// What was sent.
    pub(super) fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        // A password may begin with a blank.
        let secret = |name: &str| Secret::new(fields.raw(name).unwrap_or_default().to_owned());
        let on = |name: &str| fields.raw(name).is_some();
        let told = fields.all().iter().filter(|(name, _)| name == "told").map(|(_, value)| value.clone());
        Self {
            name: text("name"),
            url: text("url"),
            kind: text("kind"),
            username: text("username"),
            password: secret("password"),
            token: secret("token"),
            token_url: text("token_url"),
            client_id: text("client_id"),
            client_secret: secret("client_secret"),
            scope: text("scope"),
            ca: text("ca"),
            client_cert: text("client_cert"),
            client_key: secret("client_key"),
            forget_tls: on("forget_tls"),
            name_prefix: text("name_prefix"),
            passthrough: on("passthrough"),
            timeout_ms: text("timeout_ms"),
            concurrency: text("concurrency"),
            api_version: text("api_version"),
            rotation: text("rotation"),
            usage_every: text("usage_every"),
            takeover: on("takeover"),
            header: on("header"),
            context: on("context"),
            everything: on("everything"),
            told: told.collect(),
            version: text("version"),
        }
    }

    /// The registration that it says.
    pub(super) fn new_broker(&self) -> Result<NewBroker, Wrong> {
        let Some(credentials) = self.credentials()? else {
            return Err(Wrong::field("kind", "Say how the hub shows the broker who it is"));
        };
        Ok(NewBroker {
            name: self.name.clone(),
            url: self.url.clone(),
            credentials,
            tls: self.tls(),
            name_prefix: self.name_prefix.clone(),
            ids: if self.passthrough { Ids::Passthrough } else { Ids::Mapped },
            timeout_ms: number("timeout_ms", &self.timeout_ms)?,
            concurrency: number("concurrency", &self.concurrency)?,
            api_version: given(&self.api_version),
            stamp: Some(self.stamp()),
            rotation: self.rotation(),
            takeover: self.takeover,
            usage_pull: self.usage_pull(),
        })
    }

    /// What of it is another than it stands; nothing where nothing is.
    pub(super) fn change(&self, view: &BrokerView) -> Result<Option<BrokerChange>, Wrong> {
        let (row, before) = (&view.row, &view.row.settings);
        let tls = if self.forget_tls { Some(None) } else { self.tls().map(Some) };
        let mut stamp = self.stamp();
        if same(stamp.fields.as_deref(), before.stamp.fields.as_deref()) {
            stamp.fields.clone_from(&before.stamp.fields);
        }
        let timeout_ms: Option<u64> = number("timeout_ms", &self.timeout_ms)?;
        let concurrency: Option<u32> = number("concurrency", &self.concurrency)?;
        let (api_version, usage_pull) = (given(&self.api_version), self.usage_pull());
        let change = BrokerChange {
            url: (self.url != row.url).then(|| self.url.clone()),
            credentials: self.credentials()?,
            tls,
            timeout_ms: (timeout_ms != before.timeout_ms).then_some(timeout_ms),
            concurrency: (concurrency != before.concurrency).then_some(concurrency),
            api_version: (api_version != before.api_version).then_some(api_version),
            stamp: (stamp != before.stamp).then_some(Some(stamp)),
            rotation: (self.rotation() != before.rotation).then_some(self.rotation()),
            takeover: (self.takeover != before.takeover).then_some(self.takeover),
            usage_pull: (usage_pull != before.usage_pull).then_some(usage_pull),
            ..BrokerChange::default()
        };
        let none = change.url.is_none()
            && change.credentials.is_none()
            && change.tls.is_none()
            && change.timeout_ms.is_none()
            && change.concurrency.is_none()
            && change.api_version.is_none()
            && change.stamp.is_none()
            && change.rotation.is_none()
            && change.takeover.is_none()
            && change.usage_pull.is_none();
        Ok((!none).then_some(change))
    }

    /// Credentials in place of those that are stored, where some were typed.
    fn credentials(&self) -> Result<Option<Credentials>, Wrong> {
        let secret = |id: &str, secret: &Secret<String>| match secret.expose().as_str() {
            "" => Err(Wrong::field(id, "This is missing: what is stored is never shown, so it has to be typed again")),
            text => Ok(text.to_owned()),
        };
        let text = |id: &str, text: &str| match text {
            "" => Err(Wrong::field(id, "This is missing")),
            text => Ok(text.to_owned()),
        };
        Ok(Some(match self.kind.as_str() {
            KEEP => return Ok(None),
            "basic" => Credentials::Basic {
                username: text("username", &self.username)?,
                password: secret("password", &self.password)?,
            },
            "bearer" => Credentials::Bearer { token: secret("token", &self.token)? },
            "oauth2" => Credentials::OAuth2 {
                token_url: text("token_url", &self.token_url)?,
                client_id: text("client_id", &self.client_id)?,
                client_secret: secret("client_secret", &self.client_secret)?,
                scope: given(&self.scope),
            },
            "none" => Credentials::None {},
            _ => return Err(Wrong::field("kind", "Say how the hub shows the broker who it is")),
        }))
    }

    fn tls(&self) -> Option<Tls> {
        let (ca, client_cert) = (given(&self.ca), given(&self.client_cert));
        let client_key = given(self.client_key.expose().trim());
        let any = ca.is_some() || client_cert.is_some() || client_key.is_some();
        any.then_some(Tls { ca, client_cert, client_key })
    }

    fn stamp(&self) -> StampSettings {
        let fields = (!self.everything).then(|| self.told.clone());
        StampSettings { header: self.header, context: self.context, fields }
    }

    fn rotation(&self) -> Option<Rotation> {
        [Rotation::Native, Rotation::Emulated].into_iter().find(|rotation| word(*rotation) == self.rotation)
    }

    fn usage_pull(&self) -> Option<UsagePull> {
        given(&self.usage_every).map(|every| UsagePull { every })
    }
}

/// The word of a rotation in the form.
fn word(rotation: Rotation) -> &'static str {
    match rotation {
        Rotation::Native => "native",
        Rotation::Emulated => "emulated",
    }
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn number<T: std::str::FromStr>(id: &str, text: &str) -> Result<Option<T>, Wrong> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Wrong::field(id, "This must be a whole number")),
    }
}

/// Whether two narrowings let the same through, in whatever order.
fn same(one: Option<&[String]>, other: Option<&[String]>) -> bool {
    let all = |fields: &[String]| fields.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    one.map(all) == other.map(all)
}
