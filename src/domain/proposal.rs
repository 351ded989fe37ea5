//! Prices that a provider proposes: what they say ([`ProposalDocument`]), how they stand ([`ProposalState`]), and which price books
//! come of them once somebody has agreed ([`ProposalDocument::books`]).
//!
//! A price book is whole, so a proposal becomes part of one: of a copy of the book that would be in force, and of each that is to come.
//! Invariant: rules of offerings that the proposal doesn't name are in the new books as they were.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::price::{BookDocument, PriceBook, Rule, in_force};
use crate::clock::Time;

/// How a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// It waits for somebody of finance.
    Pending,
    /// It is in the price books.
    Accepted,
    /// It was refused, with a reason.
    Refused,
    /// Another one of the same broker took its place.
    Superseded,
}

impl ProposalState {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Superseded => "superseded",
        }
    }

    /// Reads what [`ProposalState::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Refused, Self::Superseded]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// What a proposal says: all prices of the offerings that it names, from a time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceProposalDocument)]
pub struct ProposalDocument {
    /// ISO 4217, the hub's.
    pub currency: String,
    /// From when on; from when it is accepted where that is absent, or over by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Time>,
    /// All rules of the offerings that they name.
    pub rules: Vec<Rule>,
}

impl ProposalDocument {
    /// The offerings that it names.
    pub fn offerings(&self) -> BTreeSet<&str> {
        self.rules.iter().map(|rule| rule.offering.as_str()).collect()
    }

    /// As a book of its own, for what judges books. Nobody adds it.
    pub fn alone(&self, now: Time) -> BookDocument {
        BookDocument {
            currency: self.currency.clone(),
            effective_from: self.effective_from.unwrap_or(now),
            rules: self.rules.clone(),
        }
    }

    /// The books that come of it when it is accepted now: one from its time on, and one in the place of each that takes over later.
    pub fn books(&self, standing: &[PriceBook], now: Time) -> Vec<BookDocument> {
        let from = self.effective_from.map_or(now, |from| from.max(now));
        let later = standing.iter().map(|book| book.document.effective_from).filter(|at| *at > from);
        let times: BTreeSet<Time> = later.chain([from]).collect();
        times.into_iter().map(|at| self.merged(in_force(standing, at), at)).collect()
    }

    fn merged(&self, book: Option<&PriceBook>, effective_from: Time) -> BookDocument {
        let named = self.offerings();
        let others = book.into_iter().flat_map(|book| &book.document.rules);
        let others = others.filter(|rule| !named.contains(rule.offering.as_str()));
        let rules = others.chain(&self.rules).cloned().collect();
        BookDocument { currency: self.currency.clone(), effective_from, rules }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(offering: &str, amount: &str) -> Value {
        json!({"offering": offering, "model": "flat", "amount": amount, "per": "month"})
    }

    fn book(id: &str, from: i64, rules: Vec<Value>) -> PriceBook {
        let document = json!({"currency": "EUR", "effective_from": Time(from), "rules": rules});
        PriceBook { id: id.to_owned(), document: serde_json::from_value(document).unwrap(), created_at: Time(from) }
    }

    fn proposal(from: Option<i64>) -> ProposalDocument {
        let rules = vec![serde_json::from_value(rule("mine", "9")).unwrap()];
        ProposalDocument { currency: "EUR".to_owned(), effective_from: from.map(Time), rules }
    }

    /// From when on, and what each offering costs then.
    fn said(books: &[BookDocument]) -> Vec<(i64, Vec<String>)> {
        let price = |rule: &Rule| format!("{}={}", rule.offering, rule.amount.unwrap());
        books.iter().map(|book| (book.effective_from.0, book.rules.iter().map(price).collect())).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_it_does_not_name_stays_as_it_is_in_force_then_and_in_each_book_to_come() {
        let standing = [
            book("a", 10, vec![rule("mine", "1"), rule("other", "1")]),
            book("b", 50, vec![rule("mine", "2"), rule("other", "2")]),
            book("c", 50, vec![rule("other", "3")]),
        ];
        let made = proposal(Some(30)).books(&standing, Time(20));
        assert_eq!(
            said(&made),
            [(30, texts(&["other=1", "mine=9"])), (50, texts(&["other=3", "mine=9"]))],
            "of two books that begin together the one that was made last"
        );
        assert_eq!(said(&proposal(Some(60)).books(&standing, Time(20))), [(60, texts(&["other=3", "mine=9"]))]);
    }

    #[test]
    fn it_never_counts_from_before_it_was_accepted() {
        assert_eq!(said(&proposal(Some(5)).books(&[], Time(20))), [(20, texts(&["mine=9"]))]);
        assert_eq!(said(&proposal(None).books(&[], Time(20))), [(20, texts(&["mine=9"]))]);
    }
}
