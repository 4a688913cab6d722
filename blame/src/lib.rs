//! cronx-blame
