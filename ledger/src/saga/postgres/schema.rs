//! The schema of sagas.

use crate::server::postgres::Schema;

/// Made where it is not, and refused where it is another's.
pub(super) const SCHEMA: Schema = Schema {
    name: "cronx_saga",
    mark: "saga",
    version: 1,
    lock: 0x6372_6e78_7361,
    tables: include_str!("schema.sql"),
};
