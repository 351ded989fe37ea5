//! The page that a run writes: tables between two marker comments of docs/performance.md. What stands outside of them is
//! written by hand and stays, so that explanations of gaps outlive the figures they explain.

use std::path::Path;

use crate::Outcome;

/// A place in the page: the command that writes it, and what stands after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// All but usage.
    Figures,
    /// What `--only usage` writes, so that it can be measured by itself.
    Usage,
    /// What `--only portal` writes.
    Portal,
}

impl Block {
    fn markers(self) -> (&'static str, &'static str) {
        match self {
            Self::Figures => (
                "<!-- figures: written by `cargo bench --bench bench`; whatever is changed here by hand is lost -->",
                "<!-- end of the figures -->",
            ),
            Self::Usage => (
                "<!-- usage: written by `cargo bench --bench bench -- --only usage`; whatever is changed here by hand is lost -->",
                "<!-- end of usage -->",
            ),
            Self::Portal => (
                "<!-- portal: written by `cargo bench --bench bench -- --only portal`; whatever is changed here by hand is lost -->",
                "<!-- end of portal -->",
            ),
        }
    }
}

/// What a run has to say.
#[derive(Default)]
pub(crate) struct Page {
    body: String,
    targets: Vec<[String; 3]>,
}

/// Cells of a line of a table.
pub(crate) fn row<C: AsRef<str>>(cells: impl IntoIterator<Item = C>) -> Vec<String> {
    cells.into_iter().map(|cell| cell.as_ref().to_owned()).collect()
}

fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (index, cells) in rows.iter().enumerate() {
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
        if index == 0 {
            text.push_str(&format!("|{}\n", "---|".repeat(cells.len())));
        }
    }
    text
}

impl Page {
    /// Begins a section.
    pub(crate) fn heading(&mut self, text: &str) {
        self.body.push_str(&format!("### {text}\n\n"));
    }

    /// A paragraph.
    pub(crate) fn text(&mut self, text: String) {
        self.body.push_str(&format!("{text}\n\n"));
    }

    /// A table; the first row is its head.
    pub(crate) fn table(&mut self, rows: Vec<Vec<String>>) {
        self.body.push_str(&format!("{}\n", table(&rows)));
    }

    /// A target, what was measured, and whether that reaches it.
    pub(crate) fn target(&mut self, target: String, measured: String, reached: bool) {
        self.targets.push([target, measured, if reached { "reached".into() } else { "**not reached**".into() }]);
    }

    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// All of it, on that machine.
    pub(crate) fn finish(self, machine: &[(&'static str, String)]) -> String {
        let mut rows = vec![row(["target", "measured", ""])];
        rows.extend(self.targets.iter().map(row));
        let mut facts = vec![row(["", ""])];
        facts.extend(machine.iter().map(|(name, fact)| row([*name, fact])));
        format!("### Targets\n\n{}\n{}### The machine\n\n{}", table(&rows), self.body, table(&facts))
    }
}

/// Puts the figures into the page in place of those before.
pub(crate) fn replace(path: &Path, block: Block, figures: &str) -> Outcome<()> {
    let (begin, end) = block.markers();
    let text = std::fs::read_to_string(path)?;
    let missing = || format!("{} holds no line `{begin}` with `{end}` after it", path.display());
    let (before, rest) = text.split_once(begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    std::fs::write(path, format!("{before}{begin}\n\n{figures}\n{end}{after}"))?;
    Ok(())
}
