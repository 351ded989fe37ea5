//! Prefixes as arithmetic: parse, print, compare, halve.
//!
//! Pure. It deliberately knows nothing of what is free or taken; see [`free_space`](super::free_space). Invariant: the bits of a
//! prefix behind its length are zero.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// The version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// IPv4: 32 bits.
    V4,
    /// IPv6: 128 bits.
    V6,
}

impl Version {
    /// The length of an address in bits.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// 4 or 6.
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// An address of this version. IPv4 addresses are the numbers below 2^32.
    pub fn address(self, value: u128) -> IpAddr {
        match self {
            // The upper bits of an IPv4 address are always zero: prefixes are only made from parsed ones.
            Self::V4 => IpAddr::V4(Ipv4Addr::from(value as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from(value)),
        }
    }
}

/// An aligned block of addresses: `10.0.0.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    version: Version,
    first: u128,
    length: u8,
}

/// Why a text is not a prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not an address with a length behind a slash.
    #[error("`{0}` is not a prefix such as 10.1.0.0/24 or fd00::/64")]
    Malformed(String),
    /// Bits behind the length are set.
    #[error("`{0}` has bits set behind its length: its prefix is {1}")]
    HostBits(String, Prefix),
}

impl Prefix {
    /// The block of that length which holds the address.
    pub fn containing(version: Version, address: u128, length: u8) -> Self {
        let length = length.min(version.bits());
        Self { version, first: address & !mask(version, length), length }
    }

    /// The version of its addresses.
    pub fn version(self) -> Version {
        self.version
    }

    /// How many leading bits are fixed.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The lowest address.
    pub fn first(self) -> u128 {
        self.first
    }

    /// The highest address.
    pub fn last(self) -> u128 {
        self.first | mask(self.version, self.length)
    }

    /// Whether all of `other` lies in it.
    pub fn contains(self, other: Self) -> bool {
        self.version == other.version
            && self.length <= other.length
            && other.first & !mask(self.version, self.length) == self.first
    }

    /// What both hold: of two blocks that touch, one always lies in the other.
    pub fn intersection(self, other: Self) -> Option<Self> {
        if self.contains(other) {
            Some(other)
        } else if other.contains(self) {
            Some(self)
        } else {
            None
        }
    }

    /// The lower and upper half, unless it is a single address.
    pub fn halves(self) -> Option<(Self, Self)> {
        (self.length < self.version.bits()).then(|| {
            let length = self.length + 1;
            let upper = self.first | (mask(self.version, self.length) ^ mask(self.version, length));
            (Self { length, ..self }, Self { length, first: upper, ..self })
        })
    }

    /// How many addresses it holds; for all of IPv6, one less than that.
    pub fn size(self) -> u128 {
        (self.last() - self.first).saturating_add(1)
    }

    /// The other half of the block of which it is a half, unless it is everything.
    pub fn buddy(self) -> Option<Self> {
        let (lower, upper) = self.parent()?.halves()?;
        Some(if self == lower { upper } else { lower })
    }

    /// The block of which it is a half, unless it is everything.
    pub fn parent(self) -> Option<Self> {
        self.length.checked_sub(1).map(|length| Self::containing(self.version, self.first, length))
    }
}

/// The bits behind the length, set.
fn mask(version: Version, length: u8) -> u128 {
    let host_bits = u32::from(version.bits() - length.min(version.bits()));
    if host_bits >= 128 { u128::MAX } else { (1 << host_bits) - 1 }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.version.address(self.first), self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let net: IpNet = text.parse().map_err(|_| ParseError::Malformed(text.to_owned()))?;
        let (version, address) = match net {
            IpNet::V4(net) => (Version::V4, u128::from(u32::from(net.addr()))),
            IpNet::V6(net) => (Version::V6, u128::from(net.addr())),
        };
        let prefix = Self::containing(version, address, net.prefix_len());
        if prefix.first == address { Ok(prefix) } else { Err(ParseError::HostBits(text.to_owned(), prefix)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check_parse(text: &str, first: u128, length: u8) {
        let parsed = prefix(text);
        assert_eq!((parsed.first(), parsed.length(), parsed.to_string().as_str()), (first, length, text));
    }

    #[test]
    fn prefixes_are_read_and_written_in_both_versions() {
        check_parse("10.0.0.0/8", 10 << 24, 8);
        check_parse("0.0.0.0/0", 0, 0);
        check_parse("255.255.255.255/32", u128::from(u32::MAX), 32);
        check_parse("fd00::/64", 0xfd00 << 112, 64);
        check_parse("::/0", 0, 0);
        assert_eq!(prefix("::/0").last(), u128::MAX);
        assert_eq!(prefix("10.0.0.0/24").last(), (10 << 24) + 255);
    }

    #[test]
    fn host_bits_and_nonsense_are_refused_with_what_was_meant() {
        let error = "10.0.0.7/24".parse::<Prefix>().unwrap_err();
        assert_eq!(error, ParseError::HostBits("10.0.0.7/24".into(), prefix("10.0.0.0/24")));
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "fd00::/129", "ten/8"] {
            assert_eq!(text.parse::<Prefix>().unwrap_err(), ParseError::Malformed(text.into()));
        }
    }
}
