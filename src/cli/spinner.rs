//! A sign of life on standard error while the hub is asked or waited for, on a terminal only. It says nothing that matters.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::ProgressBar;

const FRAME: Duration = Duration::from_millis(120);

/// The sign, which is there while at least one [`Busy`] is.
#[derive(Debug, Default)]
pub(super) struct Spinner {
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    depth: usize,
    bar: Option<ProgressBar>,
}

/// Something is running.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a Spinner);

impl Spinner {
    /// Something begins. What began first says what is shown.
    pub(super) fn busy(&self, what: &str) -> Busy<'_> {
        if let Ok(mut shown) = self.shown.lock() {
            shown.depth += 1;
            if shown.bar.is_none() {
                let bar = ProgressBar::new_spinner().with_message(what.to_owned());
                bar.enable_steady_tick(FRAME);
                shown.bar = Some(bar);
            }
        }
        Busy(self)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Ok(mut shown) = self.0.shown.lock() {
            shown.depth = shown.depth.saturating_sub(1);
            if shown.depth == 0
                && let Some(bar) = shown.bar.take()
            {
                bar.finish_and_clear();
            }
        }
    }
}
