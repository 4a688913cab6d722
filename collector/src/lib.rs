//! cronx-collector
