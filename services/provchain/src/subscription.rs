//! Subscriptions to named queries: when they are due, where their events go, and what happens when a
//! receiver does not take them. The rules only; what acts on them is [`crate::server`].

mod controls;
mod destination;
mod retry;
mod schedule;
mod signature;

pub use self::controls::{Controls, ControlsError, When};
pub use self::destination::{DEST_BYTES_MAX, Destination, DestinationError, is_public};
pub use self::retry::pause_ms;
pub use self::schedule::{Schedule, ScheduleError};
pub use self::signature::{SIGNATURE_TOKEN_BYTES_MAX, sign};
