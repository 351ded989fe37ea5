//! The portal, page by page, as a browser without scripts sees it; `chromium` has what only a real one can show.

mod catalog;
mod changes;
mod market;
mod orders;
mod pages;
mod people;
mod refusals;
mod services;
mod sessions;
