//! The user's code, in the shapes that it comes in.

use std::fmt::Display;
use std::pin::Pin;

use crate::context::{Context, Start};

/// What user code says of itself at its end.
pub(crate) type Said = Result<(), String>;
/// User code at work.
pub(crate) type Doing = Pin<Box<dyn Future<Output = Said> + Send>>;

/// What a job does: a future, or code that blocks its thread.
pub struct Work(pub(crate) Kind);

pub(crate) enum Kind {
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
        Self(Kind::Future(Box::new(move |context| {
            let doing = f(context);
            Box::pin(async move { doing.await.said() })
        })))
    }

    /// The same, of code that has something to get ready before it is what the job is for: a program to be
    /// executed. It has started when it says so, and lateness counts up to there; one that never says so
    /// has not.
    pub fn starting<F, D>(f: F) -> Self
    where
        F: Fn(Context, Start) -> D + Send + Sync + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        Self(Kind::Starting(Box::new(move |context, start| {
            let doing = f(context, start);
            Box::pin(async move { doing.await.said() })
        })))
    }

    /// Runs on a thread of its own, as long as it likes. It cannot be stopped, only told: see
    /// [`Context::is_stopped`].
    pub fn blocking<F, R>(f: F) -> Self
    where
        F: Fn(Context) -> R + Send + Sync + 'static,
        R: Ending,
    {
        Self(Kind::Blocking(Box::new(move |context| f(context).said())))
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
