//! The rules, pure: no async, no input or output, no clock, no randomness. Time and ids come in as arguments.

pub mod approval;
pub mod broker;
pub mod budget;
pub mod caller;
pub mod catalog;
pub mod cost;
pub mod decimal;
pub mod estimate;
pub mod event;
pub mod focus;
pub mod identity;
pub mod instance;
pub mod meter;
pub mod name;
pub mod operation;
pub mod period;
pub mod platform;
pub mod price;
pub mod quota;
pub mod rating;
pub mod reference;
pub mod stamp;
pub mod statement;
pub mod tariff;
pub mod tenant;
pub mod usage;
