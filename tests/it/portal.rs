//! The portal, page by page, as a browser without scripts sees it; `chromium` has what only a real one can show.

mod approvals;
mod catalog;
mod changes;
mod chromium;
mod market;
mod money;
mod offers;
mod operate;
mod orders;
mod pages;
mod people;
mod platforms;
mod providers;
mod refusals;
mod rules;
mod services;
mod sessions;
mod shares;
mod staff;
mod stories;
mod story;
