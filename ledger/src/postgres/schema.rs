//! The schema of the ledger.

use crate::server::postgres::Schema;

/// Made where it is not, and refused where it is another's.
pub(super) const SCHEMA: Schema = Schema {
    name: "cronx",
    mark: "ledger",
    version: 1,
    lock: 0x6372_6e78,
    tables: include_str!("schema.sql"),
};
