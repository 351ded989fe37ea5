//! What an SFTP session does, read from what passes: which files are opened, removed, renamed, and how many bytes they give.
//!
//! It reads the requests of SFTP version 3 as OpenSSH speaks it, and of the answers only how much data they hold. It
//! deliberately refuses nothing and keeps no content; names are as the client gave them, unresolved. Input that is no SFTP
//! is said to be none, once, and not looked at any more.

/// What is kept of a packet to read it: names are shorter.
const HEAD: usize = 16 << 10;
/// The largest packet of OpenSSH.
const PACKET: usize = 256 << 10;
/// How much of a name is shown.
const NAME: usize = 1024;

const OPEN: u8 = 3;
const WRITE: u8 = 6;
const SETSTAT: u8 = 9;
const OPENDIR: u8 = 11;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const RENAME: u8 = 18;
const SYMLINK: u8 = 20;
const DATA: u8 = 103;
const EXTENDED: u8 = 200;

/// Reads one direction.
#[derive(Debug, Default)]
pub(super) struct Inspector {
    head: Vec<u8>,
    skip: usize,
    content: u64,
    lost: bool,
}

impl Inspector {
    /// Takes what passed, and says what happened.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut marks = Vec::new();
        while !bytes.is_empty() && !self.lost {
            let step = if self.skip > 0 { self.skip } else { self.wanted() - self.head.len() };
            let (taken, rest) = bytes.split_at(step.min(bytes.len()));
            bytes = rest;
            if self.skip > 0 {
                self.skip -= taken.len();
                continue;
            }
            self.head.extend_from_slice(taken);
            if self.head.len() == 4 && !(1..=PACKET).contains(&self.length()) {
                self.lost = true;
                marks.push("sftp: what passes is not SFTP, and is not read any more".to_owned());
            } else if self.head.len() == self.wanted() {
                marks.extend(self.packet());
                self.skip = self.length() + 4 - self.head.len();
                self.head.clear();
            }
        }
        marks
    }

    /// The bytes of files that passed.
    pub(super) const fn content(&self) -> u64 {
        self.content
    }

    fn length(&self) -> usize {
        Fields(&self.head).number().map_or(0, |length| length as usize)
    }

    /// How much of the packet is kept; its length, until that is there.
    fn wanted(&self) -> usize {
        match self.head.len() < 4 {
            true => 4,
            false => 4 + self.length().min(HEAD),
        }
    }

    /// Reads the packet whose head is there.
    fn packet(&mut self) -> Option<String> {
        let mut fields = Fields(self.head.get(4..)?);
        let kind = fields.byte()?;
        fields.number()?;
        match kind {
            OPEN => {
                let (name, flags) = (fields.name()?, fields.number()?);
                let how = match (flags & 1 != 0, flags & 2 != 0) {
                    (true, true) => "to read and write",
                    (false, true) => "to write",
                    _ => "to read",
                };
                Some(format!("sftp open {name} {how}"))
            }
            OPENDIR => Some(format!("sftp list {}", fields.name()?)),
            SETSTAT => Some(format!("sftp change attributes of {}", fields.name()?)),
            REMOVE => Some(format!("sftp remove {}", fields.name()?)),
            MKDIR => Some(format!("sftp make directory {}", fields.name()?)),
            RMDIR => Some(format!("sftp remove directory {}", fields.name()?)),
            RENAME => Some(format!("sftp rename {} to {}", fields.name()?, fields.name()?)),
            // OpenSSH gives the two the other way round than the draft says; both are shown.
            SYMLINK => Some(format!("sftp link {} and {}", fields.name()?, fields.name()?)),
            EXTENDED => match fields.bytes()? {
                b"posix-rename@openssh.com" => Some(format!("sftp rename {} to {}", fields.name()?, fields.name()?)),
                b"hardlink@openssh.com" => Some(format!("sftp link {} and {}", fields.name()?, fields.name()?)),
                b"lsetstat@openssh.com" => Some(format!("sftp change attributes of {}", fields.name()?)),
                _ => None,
            },
            WRITE => {
                fields.bytes()?;
                fields.number().and(fields.number())?;
                self.content += u64::from(fields.number()?);
                None
            }
            DATA => {
                self.content += u64::from(fields.number()?);
                None
            }
            _ => None,
        }
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length as usize)
    }

    /// A name as it can be shown: no line breaks, no control characters.
    fn name(&mut self) -> Option<String> {
        let name = String::from_utf8_lossy(self.bytes()?).into_owned();
        Some(name.chars().take(NAME).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
    }

    fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
        text(&[&[kind, 0, 0, 0, 1], &fields.concat()[..]].concat())
    }

    fn conversation() -> (Vec<u8>, Vec<&'static str>) {
        let number = |number: u32| number.to_be_bytes();
        let packets = [
            packet(1, &[]),
            packet(OPEN, &[&text(b"/tmp/a\nb"), &number(0x1a), &number(0)]),
            packet(WRITE, &[&text(b"handle"), &[0; 8], &text(&[b'x'; 30_000])]),
            packet(WRITE, &[&text(b"handle"), &[0; 8], &text(&[b'y'; 12])]),
            packet(OPEN, &[&text(b"motd"), &number(1), &number(0)]),
            packet(RENAME, &[&text(b"a"), &text(b"b")]),
            packet(EXTENDED, &[&text(b"posix-rename@openssh.com"), &text(b"c"), &text(b"d")]),
            packet(REMOVE, &[&text(b"d")]),
        ];
        let marks = vec![
            "sftp open /tmp/a\u{fffd}b to write",
            "sftp open motd to read",
            "sftp rename a to b",
            "sftp rename c to d",
            "sftp remove d",
        ];
        (packets.concat(), marks)
    }

    proptest! {
        #[test]
        fn requests_are_read_however_they_are_cut(cut in 1_usize..5_000) {
            let (bytes, marks) = conversation();
            let mut inspector = Inspector::default();
            let read: Vec<_> = bytes.chunks(cut).flat_map(|piece| inspector.feed(piece)).collect();
            prop_assert_eq!(read, marks);
            prop_assert_eq!(inspector.content(), 30_012);
        }

        #[test]
        fn anything_at_all_is_read_without_harm(bytes: Vec<u8>, cut in 1_usize..9) {
            let mut inspector = Inspector::default();
            let marks: Vec<_> = bytes.chunks(cut).flat_map(|piece| inspector.feed(piece)).collect();
            prop_assert!(inspector.head.len() <= HEAD + 4);
            prop_assert!(marks.len() <= bytes.len());
        }
    }

    #[test]
    fn what_is_no_sftp_is_said_once() {
        let mut inspector = Inspector::default();
        assert_eq!(inspector.feed(b"GET / HTTP/1.1\r\n").len(), 1);
        assert!(inspector.feed(b"GET / HTTP/1.1\r\n").is_empty());
    }
}
