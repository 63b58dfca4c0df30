//! GStreamer pipelines → [`AccessUnit`]s.
//!
//! Takes a URI, a file or a folder; gives compressed access units in decoding order with the segment that they belong
//! to. Never decodes.

mod access_unit;
mod credit;
mod ledger;

pub use access_unit::{AccessUnit, StreamName, VideoFormat};
pub use credit::{ByteBudget, ByteCredit, CreditError};
pub use ledger::{DropReason, Fate, Ledger, LedgerSnapshot, Receipt, SkipReason};
