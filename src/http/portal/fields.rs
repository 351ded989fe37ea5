//! What a form sends: names and values, within limits, and only from a form that this hub gave to this very browser.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest};

use super::visit::Visit;
use crate::app;
use crate::http::error::Failure;
use crate::http::input::Raw;

/// Fields of one form.
const FIELDS_MAX: usize = 2000;
const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a form in the order of the page, `csrf` taken out. A handler that changes something takes this, so that no other site
/// can have it done; a test tries each.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of a name, without blanks around it; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).unwrap_or_default().trim()
    }

    /// The first value of a name as it was sent.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub fn all(&self) -> &[(String, String)] {
        &self.0
    }

    fn read(body: &[u8]) -> Result<Self, Failure> {
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|_| Failure::malformed("the form could not be read: load the page again"))?;
        if fields.len() > FIELDS_MAX {
            return Err(Failure::malformed(format!("the form has more than {FIELDS_MAX} fields")));
        }
        if fields.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Failure::malformed("the form holds a character that no text may hold (U+0000)"));
        }
        Ok(Self(fields))
    }
}

impl FromRequest for Fields {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_form = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM));
        let visit = Visit::extract(request).into_inner();
        let raw = Raw::<{ crate::http::input::BODY_MAX }>::from_request(request, payload);
        Box::pin(async move {
            let (visit, raw) = (visit?, raw.await?);
            if !is_form {
                return Err(Failure::malformed(format!("send a form ({FORM})")));
            }
            let mut fields = Self::read(&raw.0)?;
            if !visit.gave(fields.text("csrf")) {
                let message = "this form was made for another session: load the page again and send it once more";
                return Err(app::Error::Forbidden(message.to_owned()).into());
            }
            fields.0.retain(|(name, _)| name != "csrf");
            Ok(fields)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_name_counts_and_blanks_around_it_do_not() {
        let fields = Fields::read(b"a=+1+&a=2&b=%C3%A4").unwrap();
        assert_eq!(
            (fields.text("a"), fields.raw("a"), fields.text("b"), fields.text("c")),
            ("1", Some(" 1 "), "ä", "")
        );
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert!(Fields::read(b"a=%00").is_err());
        assert!(Fields::read("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
    }
}
