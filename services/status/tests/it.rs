//! The front door as real processes, and the status service against a real PostgreSQL.

#[path = "it/archive.rs"]
mod archive;
// The ledger's tests drive the same browser, and use more of it.
#[allow(dead_code, reason = "shared with the ledger's tests")]
#[path = "../../provchain/tests/it/pages_browser.rs"]
mod browser;
#[path = "it/front_door.rs"]
mod front_door;
#[path = "it/harness.rs"]
mod harness;
#[path = "it/history.rs"]
mod history;
#[path = "it/page.rs"]
mod page;
#[path = "it/store.rs"]
mod store;
