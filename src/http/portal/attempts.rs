//! Sign-ins that a browser has begun at the identity provider and not finished: each has a secret of its own, from which its state, nonce
//! and verifier follow, and says where somebody goes on. A few may be under way at once, one in each tab.
//!
//! They are kept by the browser alone, in one cookie. Invariant: each is good for one return, whatever comes of it, and for a short while.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Time;
use crate::secret::Secret;

/// Seconds that somebody may be away.
pub(super) const AWAY_SECONDS: i64 = 15 * 60;
/// Seconds that clocks of processes may differ by.
const SKEW_SECONDS: i64 = 60;
/// How many are under way in one browser; one more ends the oldest.
const ATTEMPTS_MAX: usize = 4;
/// Characters of an address that is kept; whoever wanted to go to a longer one begins at the first page. A cookie has 4096 at most.
const WHITHER_MAX: usize = 600;
/// Characters of a secret.
const SECRET_LEN: usize = 43;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// What state, nonce and verifier follow from.
    pub(super) secret: Secret<String>,
    begun_at: i64,
    /// Where they go on.
    pub(super) whither: String,
}

/// All of a browser, the latest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Vec<Attempt>);

impl Attempts {
    /// Those that a cookie holds, without what is none or was begun too long ago.
    pub(super) fn read(cookie: &str, now: Time) -> Self {
        let read = cookie.split('.').take(ATTEMPTS_MAX).filter_map(Attempt::read);
        // Whoever answers the return may be another process than the one that it began with, with a clock of its own.
        let lately =
            |attempt: &Attempt| (-SKEW_SECONDS..AWAY_SECONDS).contains(&now.seconds().saturating_sub(attempt.begun_at));
        Self(read.filter(lately).collect())
    }

    /// Those, and one more.
    pub(super) fn with(&self, secret: Secret<String>, whither: &str, now: Time) -> Self {
        let whither = if whither.len() > WHITHER_MAX { "/" } else { whither };
        let one = Attempt { secret, begun_at: now.seconds(), whither: whither.to_owned() };
        Self(std::iter::once(one).chain(self.0.iter().cloned()).take(ATTEMPTS_MAX).collect())
    }

    /// The one that is meant, and those without it.
    pub(super) fn take(&self, meant: impl Fn(&Secret<String>) -> bool) -> (Option<Attempt>, Self) {
        let (mut found, left) = self.0.iter().cloned().partition::<Vec<_>, _>(|attempt| meant(&attempt.secret));
        (found.pop(), Self(left))
    }

    /// As a cookie holds them; nothing where there are none.
    pub(super) fn written(&self) -> String {
        self.0.iter().map(Attempt::written).collect::<Vec<_>>().join(".")
    }
}

impl Attempt {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (secret, begun_at, whither) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let decent = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let ours = secret.len() == SECRET_LEN && secret.bytes().all(decent);
        let whither = String::from_utf8(URL_SAFE_NO_PAD.decode(whither).ok()?).ok()?;
        ours.then(|| Self { secret: Secret::new(secret.to_owned()), begun_at, whither })
    }

    fn written(&self) -> String {
        format!("{}:{}:{}", self.secret.expose(), self.begun_at, URL_SAFE_NO_PAD.encode(&self.whither))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(sign: char) -> Secret<String> {
        Secret::new(sign.to_string().repeat(SECRET_LEN))
    }

    fn at(seconds: i64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn letters(attempts: &Attempts) -> String {
        attempts.0.iter().filter_map(|attempt| attempt.secret.expose().chars().next()).collect()
    }

    #[test]
    fn a_browser_keeps_the_latest_few_and_each_is_taken_once() {
        let mut all = Attempts::default();
        for sign in 'a'..='f' {
            all = Attempts::read(&all.with(secret(sign), "/catalog?q=ä", at(1000)).written(), at(1001));
        }
        assert_eq!(letters(&all), "fedc");
        let (found, left) = all.take(|kept| kept.expose().starts_with('d'));
        assert_eq!((found.unwrap().whither.as_str(), letters(&left).as_str()), ("/catalog?q=ä", "fec"));
        assert!(left.take(|kept| kept.expose().starts_with('d')).0.is_none());
        assert!(all.written().len() < 4096);
    }

    #[test]
    fn what_is_old_long_or_none_of_ours_is_not_kept() {
        let one = Attempts::default().with(secret('a'), &"/".repeat(WHITHER_MAX + 1), at(1000));
        assert_eq!(one.0[0].whither, "/");
        let kept = one.written();
        assert_eq!(letters(&Attempts::read(&kept, at(1000 + AWAY_SECONDS - 1))), "a");
        assert_eq!(letters(&Attempts::read(&kept, at(999))), "a", "clocks differ");
        for (cookie, now) in [
            (kept.as_str(), 1000 + AWAY_SECONDS),
            (kept.as_str(), 1000 - SKEW_SECONDS - 1),
            ("", 1000),
            ("a:1000:Lw", 1000),
            (&kept.replace("1000", "soon"), 1000),
            (&kept.replace("Lw", "*"), 1000),
        ] {
            assert_eq!(letters(&Attempts::read(cookie, at(now))), "", "{cookie} at {now}");
        }
    }

    #[test]
    fn the_longest_cookie_is_one_that_browsers_keep() {
        let mut all = Attempts::default();
        for sign in 'a'..='d' {
            all = all.with(secret(sign), &"/".repeat(WHITHER_MAX), at(4_000_000_000));
        }
        assert!(all.written().len() < 3900, "{}", all.written().len());
    }
}
