//! How far a run is, on standard error, on a terminal only. It says nothing that matters.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use osb::conformance::Progress;

const FRAME: Duration = Duration::from_millis(120);

/// The bar.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar that is shown at once.
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0).with_message("the catalog");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {bar:20} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(FRAME);
        Self(bar)
    }

    /// Says something above the bar.
    pub(super) fn remark(&self, text: &str) {
        self.0.println(text);
    }
}

impl Progress for Bar {
    fn case(&self, name: &str, number: usize, of: usize) {
        self.0.set_length(u64::try_from(of).unwrap_or(u64::MAX));
        self.0.set_position(u64::try_from(number).unwrap_or(u64::MAX));
        self.0.set_message(name.to_owned());
    }

    fn cleaning_up(&self) {
        self.0.set_message("cleaning up");
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
