//! cronx-flamegraph
