//! The user's code, in the shapes that it comes in.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;

use crate::breaker::Breaker;
use crate::context::{Context, Start};

/// What user code says of itself at its end.
pub(crate) type Said = Result<(), String>;
/// User code at work.
pub(crate) type Doing = Pin<Box<dyn Future<Output = Said> + Send>>;

/// What a job does: a future, or code that blocks its thread.
pub struct Work(Kind);

/// Most of 100,000 jobs are behind nothing, and have no room for it.
enum Kind {
    Free(Code),
    Behind(Box<Behind>),
}

struct Behind {
    code: Code,
    breakers: Vec<Arc<Breaker>>,
}

pub(crate) enum Code {
    Future(Box<dyn Fn(Context) -> Doing + Send + Sync>),
    Starting(Box<dyn Fn(Context, Start) -> Doing + Send + Sync>),
    Blocking(Box<dyn Fn(Context) -> Said + Send + Sync>),
}

/// What user code may return: nothing, or a result whose error can be read.
pub trait Ending {
    /// The same in few words.
    fn said(self) -> Result<(), String>;
}

impl Ending for () {
    fn said(self) -> Said {
        Ok(())
    }
}

impl<E: Display> Ending for Result<(), E> {
    fn said(self) -> Said {
        self.map_err(|error| error.to_string())
    }
}

impl Work {
    /// Runs on the workers' threads; it must not block them.
    pub fn future<F, D>(f: F) -> Self
    where
        F: Fn(Context) -> D + Send + Sync + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        Self(Kind::Free(Code::Future(Box::new(move |context| {
            let doing = f(context);
            Box::pin(async move { doing.await.said() })
        }))))
    }

    /// The same, of code that has something to get ready before it is what the job is for: a program to be
    /// executed. It has started when it says so, and lateness counts up to there; one that never says so
    /// has not.
    pub fn starting<F, D>(f: F) -> Self
    where
        F: Fn(Context, Start) -> D + Send + Sync + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        Self(Kind::Free(Code::Starting(Box::new(move |context, start| {
            let doing = f(context, start);
            Box::pin(async move { doing.await.said() })
        }))))
    }

    /// Runs on a thread of its own, as long as it likes. It cannot be stopped, only told: see
    /// [`Context::is_stopped`].
    pub fn blocking<F, R>(f: F) -> Self
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Ending,
    {
        Self(Kind::Free(Code::Blocking(Box::new(move |context| f(context).said()))))
    }

    /// Behind these breakers: an attempt begins if every one of them lets it pass, and each is told how it
    /// ended. One that the job has for itself, or that others share which depend on the same. An attempt that is
    /// rejected is the last of its firing: the schedule brings the next.
    pub fn behind(self, breakers: impl IntoIterator<Item = Arc<Breaker>>) -> Self {
        let mut behind = match self.0 {
            Kind::Free(code) => Box::new(Behind { code, breakers: Vec::new() }),
            Kind::Behind(behind) => behind,
        };
        behind.breakers.extend(breakers);
        Self(Kind::Behind(behind))
    }

    pub(crate) fn code(&self) -> &Code {
        match &self.0 {
            Kind::Free(code) => code,
            Kind::Behind(behind) => &behind.code,
        }
    }

    /// What has to let it pass, each time.
    pub(crate) fn breakers(&self) -> &[Arc<Breaker>] {
        match &self.0 {
            Kind::Free(_) => &[],
            Kind::Behind(behind) => &behind.breakers,
        }
    }
}

/// A future that is made once.
pub(crate) type Shot = Box<dyn FnOnce(Context) -> Doing + Send>;

/// Makes it of a user's function.
pub(crate) fn shot<F, D>(f: F) -> Shot
where
    F: FnOnce(Context) -> D + Send + 'static,
    D: Future<Output: Ending> + Send + 'static,
{
    Box::new(move |context| {
        let doing = f(context);
        Box::pin(async move { doing.await.said() })
    })
}
