//! A broker's answer: a line with status and, if any, seconds of `Retry-After`; an empty line; the body.

use std::fmt::Debug;

use osb::client::{Failure, decode};
use osb::{Accepted, Bound, Deprovisioned, Provisioned, Unbound, Updated, WireResponse};
use serde_json::Value;

use super::head_and_rest;

/// A known limit: serde_json, where it keeps numbers as they are written, reads an object of this one key as a number.
const DISGUISE: &[u8] = b"$serde_json::private::Number";

/// Each of the ten endpoints reads it: a verdict, never a panic; what is taken in is given out unchanged; and nothing that OSB gives
/// no meaning is success or refusal.
pub fn answer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, body) = head_and_rest(&text);
    let mut numbers = head.split(' ').map(str::parse);
    let Some(Ok(status)) = numbers.next() else { return };
    let retry_after_seconds = numbers.next().and_then(Result::ok).map(u64::from);
    let response = WireResponse { status, retry_after_seconds, etag: None, body: body.to_owned().into() };
    let given = serde_json::from_str::<Value>(body).ok();
    let check = |read: Result<Value, Failure>, good: &[u16]| judge(read, good, &response, given.as_ref());

    check(
        decode::provision(&response).map(|read| match read {
            Provisioned::Created(body) | Provisioned::Existed(body) | Provisioned::Accepted(body) => value(&body),
        }),
        &[200, 201, 202],
    );
    check(
        decode::update(&response).map(|read| match read {
            Updated::Done(body) | Updated::Accepted(body) => value(&body),
        }),
        &[200, 202],
    );
    check(
        decode::bind(&response).map(|read| match read {
            Bound::Created(body) | Bound::Existed(body) => value(&body),
            Bound::Accepted(body) => accepted(&body),
        }),
        &[200, 201, 202],
    );
    check(
        decode::deprovision(&response).map(|read| match read {
            Deprovisioned::Done(body) => Value::Object(body),
            Deprovisioned::Accepted(body) => accepted(&body),
        }),
        &[200, 202],
    );
    check(
        decode::unbind(&response).map(|read| match read {
            Unbound::Done(body) => Value::Object(body),
            Unbound::Accepted(body) => accepted(&body),
        }),
        &[200, 202],
    );
    check(decode::fetch_instance(&response).map(|body| value(&body)), &[200]);
    check(decode::fetch_binding(&response).map(|body| value(&body)), &[200]);
    check(decode::last_operation(&response).map(|body| value(&body)), &[200]);
    check(decode::catalog(&response).map(|document| value(&document.parse().expect("read before"))), &[200]);
}

fn value(body: &impl serde::Serialize) -> Value {
    serde_json::to_value(body).expect("what was read can be written")
}

fn accepted(body: &Accepted) -> Value {
    value(body)
}

fn judge(read: Result<Value, Failure>, good: &[u16], response: &WireResponse, given: Option<&Value>) {
    let status = response.status;
    match read {
        Ok(read) => {
            assert!(good.contains(&status), "{status} is no success here");
            if response.body.windows(DISGUISE.len()).any(|bytes| bytes == DISGUISE) {
                return;
            }
            let mut given = given.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let mut read = read;
            // AMB-06: an empty word counts as absent, where it is one to poll with.
            for side in [&mut read, &mut given] {
                if side.get("operation").is_some_and(|word| word == "") {
                    side.as_object_mut().map(|fields| fields.shift_remove("operation"));
                }
            }
            assert_eq!(read, given, "not given out as it came in");
        }
        Err(Failure::Rejected(error)) => {
            assert!(matches!(status, 400 | 404 | 409 | 410 | 422), "{status} is no refusal");
            told(&error, status);
        }
        Err(Failure::Protocol { error }) => {
            assert!((400..500).contains(&status), "{status} is no misfit");
            told(&error, status);
        }
        Err(Failure::Unknown { error, reason }) => {
            assert!(!matches!(status, 400..=499), "{status} is not unknown but {reason:?}");
            error.inspect(|error| told(error, status));
        }
        Err(other @ Failure::NotSent { .. }) => panic!("an answer came, and yet {other:?}"),
    }
}

fn told(error: &(impl Debug + Clone + Into<osb::Error>), status: u16) {
    let error: osb::Error = error.clone().into();
    assert_eq!(error.status, status);
    let _ = (error.code().map(str::len), error.description().map(str::len), error.is_reserved());
}
