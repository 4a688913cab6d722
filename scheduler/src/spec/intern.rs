//! One pattern for all jobs of one text.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use croner::Cron;

use super::fields;
use crate::Error;

/// Patterns in use, by text. A pattern that nobody uses any more leaves its text behind until there
/// are twice as many.
#[derive(Default)]
struct Patterns {
    known: HashMap<Box<str>, Weak<Cron>>,
    sweep_at: usize,
}

static PATTERNS: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);

/// The pattern of this text, read if it is new.
pub(super) fn pattern(text: &str) -> Result<Arc<Cron>, Error> {
    // Nothing panics while it is locked; and if, a map is a map.
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = patterns.known.get(text).and_then(Weak::upgrade) {
        return Ok(known);
    }
    let refused = |reason| Error::Spec { text: text.to_owned(), reason };
    let cron = Arc::new(fields::parse(text).map_err(refused)?);
    patterns.keep(text, &cron);
    Ok(cron)
}

impl Patterns {
    fn keep(&mut self, text: &str, cron: &Arc<Cron>) {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, cron| cron.strong_count() > 0);
            self.sweep_at = 2 * self.known.len() + 64;
        }
        self.known.insert(text.into(), Arc::downgrade(cron));
    }
}
