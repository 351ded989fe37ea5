//! Search among offerings: which words lead to one, and how well. It forgives slips of the pen, knows beginnings of words, and takes
//! words for each other that the settings call the same.
//!
//! Invariant: every word of a query has to lead to the offering; and what holds a word as it was typed comes before what holds
//! something like it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::catalog::Offering;

/// Words of one search.
const WORDS_MAX: usize = 16;
/// Letters of a word that are looked at.
const LETTERS_MAX: usize = 64;
/// Words of one offering that are looked at.
const TERMS_MAX: usize = 400;

/// Words that lead to an offering.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    words: Vec<(String, u32)>,
    text: String,
}

impl Terms {
    /// Those of an offering: its names weigh most, then its tags and categories, then what is said about it.
    pub fn of(broker: &str, offering: &Offering) -> Self {
        let mut terms = Self::default();
        let document = &offering.document;
        let text = |document: &Value, place: &str| {
            document.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let list = |place: &str| {
            let listed = document.pointer(place).and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        };
        terms.add(&offering.name, 10);
        terms.add(&text(document, "/metadata/displayName"), 10);
        terms.add(&list("/tags"), 6);
        terms.add(&list("/metadata/synonyms"), 6);
        terms.add(&text(document, "/metadata/x-focus/service_category"), 4);
        terms.add(&text(document, "/metadata/x-focus/service_subcategory"), 4);
        terms.add(broker, 4);
        terms.add(&text(document, "/metadata/providerDisplayName"), 3);
        terms.add(&text(document, "/description"), 3);
        for plan in &offering.plans {
            terms.add(&plan.name, 2);
            terms.add(&text(&plan.document, "/metadata/displayName"), 2);
            terms.add(&text(&plan.document, "/description"), 2);
        }
        terms.add(&text(document, "/metadata/longDescription"), 1);
        terms
    }

    fn add(&mut self, text: &str, weight: u32) {
        let lower = text.to_lowercase();
        for word in words(&lower) {
            if self.words.len() >= TERMS_MAX {
                break;
            }
            if !self.words.iter().any(|(known, _)| known == word) {
                self.words.push((word.to_owned(), weight));
            }
        }
        self.text.push('\n');
        self.text.push_str(&lower);
    }

    fn fits(&self, word: &str) -> u32 {
        let mut best = if self.text.contains(word) { 5 } else { 0 };
        for (term, weight) in &self.words {
            let how = if term == word {
                10
            } else if term.starts_with(word) {
                7
            } else if best == 0 && is_near(word, term) {
                // Below every hit that holds the word itself.
                best = best.max(1 + weight / 4);
                continue;
            } else {
                continue;
            };
            best = best.max(5 + how * weight);
        }
        best
    }
}

/// What somebody searches for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Each word with those that mean the same.
    words: Vec<(String, Vec<String>)>,
}

impl Query {
    /// Reads what was typed. `synonyms` are lists of words that mean the same.
    pub fn new(text: &str, synonyms: &[String]) -> Self {
        let lower = text.to_lowercase();
        let same = |word: &str| {
            let lists = synonyms.iter().map(|list| list.to_lowercase());
            let mut found = BTreeSet::new();
            for list in lists.filter(|list| list.split_whitespace().any(|known| known == word)) {
                found.extend(list.split_whitespace().filter(|known| *known != word).map(str::to_owned));
            }
            found.into_iter().collect()
        };
        // As typed, so that a word with a sign in it leads to the text that holds it.
        let typed = lower.split_whitespace().take(WORDS_MAX);
        let words = typed.map(|word| word.chars().take(LETTERS_MAX).collect::<String>());
        Self { words: words.map(|word| (word.clone(), same(&word))).collect() }
    }

    /// Whether nothing was typed: everything is found then.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How well an offering fits; `None` where a word leads elsewhere. Greater is better.
    pub fn score(&self, terms: &Terms) -> Option<u32> {
        self.words.iter().try_fold(0_u32, |sum, (word, same)| {
            let direct = terms.fits(word);
            let other = same.iter().map(|word| terms.fits(word) / 2).max().unwrap_or_default();
            let best = direct.max(other);
            (best > 0).then(|| sum.saturating_add(best))
        })
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty() && word.len() <= LETTERS_MAX)
}

/// Whether one is a slip of the pen for the other: one letter wrong, missing, too many or out of order from four letters on, two from
/// eight. The first letter is nearly always right, so a word with another one is another word.
fn is_near(word: &str, term: &str) -> bool {
    let letters = word.chars().count();
    let allowed = match letters {
        0..4 => return false,
        4..8 => 1,
        _ => 2,
    };
    word.chars().next() == term.chars().next()
        && letters.abs_diff(term.chars().count()) <= allowed
        && strsim::osa_distance(word, term) <= allowed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::catalog::{Plan, State};

    fn offering(name: &str, document: Value) -> Terms {
        let plan = Plan {
            id: "2".to_owned(),
            backend_id: "2".to_owned(),
            name: "small".to_owned(),
            state: State::Available,
            document: json!({"name": "small", "description": "One core"}),
            position: 0,
        };
        let offering = Offering {
            id: "1".to_owned(),
            backend_id: "1".to_owned(),
            name: name.to_owned(),
            state: State::Available,
            document,
            findings: Vec::new(),
            position: 0,
            plans: vec![plan],
        };
        Terms::of("acme", &offering)
    }

    fn score(query: &str, terms: &Terms) -> Option<u32> {
        Query::new(query, &["vnet network subnet".to_owned()]).score(terms)
    }

    #[test]
    fn every_word_must_be_somewhere_in_any_case() {
        let terms = offering("postgres", json!({"description": "A relational Database", "tags": ["SQL"]}));
        for query in ["", "POSTGRES", "data relational", "sql acme", "one core small", "post"] {
            assert!(score(query, &terms).is_some(), "{query}");
        }
        for query in ["mysql", "sql mysql"] {
            assert_eq!(score(query, &terms), None, "{query}");
        }
    }

    #[test]
    fn slips_of_the_pen_are_forgiven_and_other_words_are_not() {
        let terms = offering("virtual-network", json!({"description": "An address space"}));
        for query in ["netwrok", "netwok", "virtaul network", "adress", "vrtual"] {
            assert!(score(query, &terms).is_some(), "{query}");
        }
        for query in ["nework-attached", "spice-girls", "ton", "setwork"] {
            assert_eq!(score(query, &terms), None, "{query}");
        }
    }

    #[test]
    fn words_that_mean_the_same_lead_there_too_but_not_first() {
        let (network, vnet) = (offering("network", json!({})), offering("vnet", json!({})));
        assert!(score("vnet", &network).is_some());
        assert!(score("vnet", &vnet) > score("vnet", &network));
    }

    #[test]
    fn a_name_comes_before_a_description_and_a_hit_before_something_like_it() {
        let named = offering("vault", json!({}));
        let described = offering("secrets", json!({"description": "like a vault"}));
        let near = offering("vaults-of-gold", json!({}));
        assert!(score("vault", &named) > score("vault", &described));
        assert!(score("valut", &near).is_none_or(|near| Some(near) < score("vault", &described)));
    }
}
