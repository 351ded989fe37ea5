//! What a user sends on a channel, in order, on its way to the target.
//!
//! The user's side of the gateway must go on reading while the target is slow: what it has to read may be the permission to
//! send that the target's output waits for, and two sides that wait for each other wait for ever. So nothing here blocks for
//! longer than [`LONG_PAUSE`]. Instead a full flow is [`Sender::crowded`], the user is then given a window of [`TRICKLE`] bytes, and
//! reading goes on at a walk. Invariant: a flow never holds more than [`HARD`] bytes; a client that ignores its window is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::{Pty, Sig};
use tokio::sync::{Notify, mpsc};

/// The window that a user is given for each channel.
pub(super) const WINDOW: u32 = 1 << 20;
/// The window while a flow is crowded: the smallest after which russh still gives a new one.
pub(super) const TRICKLE: u32 = 2;
/// From here on a flow is crowded.
const SOFT: usize = 256 << 10;
/// From here on only a trickle can come: [`SOFT`], the window that was given before, the one that was given as it filled, and
/// what it costs to hold them.
const FULL: usize = SOFT + 2 * WINDOW as usize + (64 << 10);
/// From here on it is no honest client. What is between this and [`FULL`] is enough for two hours of trickle.
const HARD: usize = SOFT + 3 * WINDOW as usize;
/// How long a crowded flow holds its sender up.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a full one does.
const LONG_PAUSE: Duration = Duration::from_secs(1);
/// What an event costs beside its bytes.
const EVENT: usize = 128;

/// What a user sends on a channel.
#[derive(Debug)]
pub(super) enum Event {
    Data(Bytes),
    Env(String, String),
    Terminal(Terminal),
    Start(Start),
    Resize(Size),
    Signal(Sig),
    Eof,
    Close,
}

/// A terminal that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    pub(super) term: String,
    pub(super) size: Size,
    pub(super) modes: Vec<(Pty, u32)>,
}

/// The size of a terminal, in characters and in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What shall run on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Shell,
    Command(Vec<u8>),
    Sftp,
}

impl Event {
    fn cost(&self) -> usize {
        EVENT
            + match self {
                Self::Data(data) => data.len(),
                Self::Env(name, value) => name.len() + value.len(),
                Self::Terminal(terminal) => terminal.term.len() + 8 * terminal.modes.len(),
                Self::Start(Start::Command(command)) => command.len(),
                Self::Start(_) | Self::Resize(_) | Self::Signal(_) | Self::Eof | Self::Close => 0,
            }
    }
}

/// It holds more than an honest client can have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flooded;

#[derive(Debug, Default)]
struct Gauge {
    bytes: AtomicUsize,
    room: Notify,
}

/// The user's end.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    events: mpsc::UnboundedSender<Event>,
    gauge: Arc<Gauge>,
}

/// The target's end.
#[derive(Debug)]
pub(super) struct Receiver {
    events: mpsc::UnboundedReceiver<Event>,
    gauge: Arc<Gauge>,
}

/// A flow.
pub(super) fn flow() -> (Sender, Receiver) {
    // Bounded by the gauge, in bytes rather than in events.
    let (sender, receiver) = mpsc::unbounded_channel();
    let gauge = Arc::new(Gauge::default());
    (Sender { events: sender, gauge: Arc::clone(&gauge) }, Receiver { events: receiver, gauge })
}

impl Sender {
    /// Puts an event in, and waits a little where the flow is crowded. What nobody will take is dropped.
    pub(super) async fn push(&self, event: Event) -> Result<(), Flooded> {
        let cost = event.cost();
        let filled = self.gauge.bytes.fetch_add(cost, Ordering::SeqCst) + cost;
        if filled > HARD {
            return Err(Flooded);
        }
        if self.events.send(event).is_ok() && self.crowded() {
            // Whether there is room now or not: see above.
            let pause = if filled > FULL { LONG_PAUSE } else { PAUSE };
            drop(tokio::time::timeout(pause, self.gauge.room.notified()).await);
        }
        Ok(())
    }

    /// Whether nobody takes anything any more.
    pub(super) fn closed(&self) -> bool {
        self.events.is_closed()
    }

    /// Whether the user should send less.
    pub(super) fn crowded(&self) -> bool {
        !self.closed() && self.gauge.bytes.load(Ordering::SeqCst) > SOFT
    }
}

impl Receiver {
    /// The next event; `None` once the user's end is gone.
    pub(super) async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        let cost = event.cost();
        if self.gauge.bytes.fetch_sub(cost, Ordering::SeqCst) - cost <= SOFT {
            self.gauge.room.notify_one();
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowded_flow_slows_its_sender_and_a_flooded_one_ends_it() {
        let (sender, mut receiver) = flow();
        let chunk = Bytes::from(vec![0; 64 << 10]);
        let mut pushed = 0;
        while !sender.crowded() {
            sender.push(Event::Data(chunk.clone())).await.unwrap();
            pushed += 1;
        }
        assert_eq!(pushed, 4, "256 KiB and what it costs to hold them");
        let flooded = async { while sender.push(Event::Data(Bytes::from(vec![0; 1 << 20]))).await.is_ok() {} };
        flooded.await;
        for _ in 0..pushed {
            assert!(matches!(receiver.next().await, Some(Event::Data(data)) if data.len() == chunk.len()));
        }
        drop(receiver);
        assert!(!sender.crowded(), "nobody waits for what nobody takes");
    }

    #[tokio::test]
    async fn events_keep_their_order() {
        let (sender, mut receiver) = flow();
        sender.push(Event::Start(Start::Shell)).await.unwrap();
        sender.push(Event::Data(Bytes::from_static(b"ls\n"))).await.unwrap();
        sender.push(Event::Eof).await.unwrap();
        drop(sender);
        assert!(matches!(receiver.next().await, Some(Event::Start(Start::Shell))));
        assert!(matches!(receiver.next().await, Some(Event::Data(data)) if data == "ls\n"));
        assert!(matches!(receiver.next().await, Some(Event::Eof)));
        assert!(receiver.next().await.is_none());
    }
}
