use std::io;

/// Why a Capture or a Report cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin as ours do.
    #[error("not a {expected} (it begins with other bytes)")]
    Foreign {
        /// What was expected: "cronx capture" or "cronx report".
        expected: &'static str,
    },
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// A newer cronx wrote it.
    #[error("written by a newer cronx (version {found}; this one reads up to {newest})")]
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest version this build reads.
        newest: u32,
    },
    /// An older cronx wrote it, in a form that is not read any more.
    #[error("written by an older cronx (version {found}; this one reads {newest})")]
    Older {
        /// The version of its records.
        found: u32,
        /// The version this build reads.
        newest: u32,
    },
    /// Torn before anything of use.
    #[error("torn before its first record: {what}")]
    Torn {
        /// Where it broke.
        what: &'static str,
    },
    /// A part decodes to something that is not ours.
    #[error("damaged {part}: {reason}")]
    Damaged {
        /// Which part.
        part: &'static str,
        /// The decoder's own words.
        reason: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
