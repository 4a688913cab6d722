//! One attempt: user code from its first instruction to its end, whatever that is.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as Waker, Poll};
use std::time::Duration;

use super::announce;
use super::beginning::{self, Begun, Way};
use super::passed::Passed;
use super::{Beginning, Item, Pool};
use crate::Mono;
use crate::breaker::Record;
use crate::context::{Context, Start};
use crate::job::{Core, Phase};
use crate::request::{Again, Done, Order};
use crate::run::{Firing, Outcome, Run};
use crate::store::Permit;
use crate::work::{Code, Doing, Said, Shot};

/// Where and when user code began, and how it ended.
struct Ran {
    begun: Begun,
    outcome: Outcome,
}

/// Tells the shard that a firing is off the desk, whatever became of it: a store may panic too.
struct End<'a> {
    pool: &'a Pool,
    core: Arc<Core>,
    run: Run,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let again = || Again { firing: self.run.firing.clone(), earliest: self.run.earliest() };
        let again = self.run.again.then(|| Box::new(again()));
        self.pool.tell_shard(Done { core: Arc::clone(&self.core), again }, self.run.finished);
    }
}

/// Executes a firing, writes it down, and tells its shard; says whether anybody listened.
pub(super) async fn execute(pool: &Arc<Pool>, item: Item, free: Option<Mono>) -> bool {
    let Item { order: Order { core, firing, shot, cancelled }, enqueued } = item;
    let dequeued = pool.clock.mono();
    let way = Way { enqueued, free, dequeued, runner_tid: tid() };
    // Until it is known better: nothing of it began.
    let (started, finished, worker_tid, outcome) = (dequeued, dequeued, 0, Outcome::Cancelled);
    let (decisions, fence, again) = (Vec::new(), 0, false);
    let run = Run {
        firing,
        enqueued,
        dequeued,
        started,
        finished,
        worker_tid,
        outcome,
        decisions,
        fence,
        again,
    };
    let mut end = End { pool, core, run };
    let Run { firing, decisions, .. } = &mut end.run;
    let (ran, fence) = match permit(pool, firing).await {
        Err(outcome) => (Ran::not(pool, outcome), 0),
        Ok(fence) if cancelled => (Ran::not(pool, Outcome::Cancelled), fence),
        Ok(fence) => {
            (if_passed(pool, &end.core, (firing, fence), shot, way, decisions).await, fence)
        }
    };
    end.run.finished = pool.clock.mono();
    let Ran { begun: Begun { started, worker_tid, heard }, outcome } = ran;
    (end.run.started, end.run.worker_tid, end.run.outcome) = (started, worker_tid, outcome);
    end.run.fence = fence;
    end.run.again = is_tried_again(&end.core, &end.run);
    match &end.run.outcome {
        Outcome::Rejected(rejection) => announce::rejected(&end.run, rejection),
        _ if end.run.worker_tid != 0 => announce::finished(&end.run),
        _ => {}
    }
    pool.note(&end.core, &end.run).await;
    heard
}

/// What the shard will do about it, as long as it is not closed before.
fn is_tried_again(core: &Core, run: &Run) -> bool {
    let over = core.phase() == Phase::Cancelled || core.stops(run.firing.number);
    let retry = core.options().retry;
    run.outcome.is_tried_again(&retry) && !over && retry.delay(run.firing.attempt, 0).is_some()
}

/// Asks the store: the fence it may run under, or what became of it.
async fn permit(pool: &Pool, firing: &Firing) -> Result<u64, Outcome> {
    match pool.store.begin(firing).await {
        Ok(Permit::Granted(fence)) => Ok(fence),
        Ok(Permit::Refused) => Err(Outcome::Refused),
        Err(error) => {
            pool.store_errors.fetch_add(1, Ordering::Relaxed);
            Err(Outcome::Failed(format!("the store: {error}")))
        }
    }
}

/// The store has it by now: a firing that is rejected is decided, like one that runs.
async fn if_passed(
    pool: &Arc<Pool>,
    core: &Arc<Core>,
    (firing, fence): (&Firing, u64),
    shot: Option<Shot>,
    way: Way,
    decisions: &mut Vec<Record>,
) -> Ran {
    let passed = match Passed::ask(pool, core, firing.trace, decisions) {
        Ok(passed) => passed,
        Err(rejection) => return Ran::not(pool, Outcome::Rejected(rejection)),
    };
    let context = Context {
        core: Arc::clone(core),
        nominal: firing.nominal,
        attempt: firing.attempt,
        trace: firing.trace,
        number: firing.number,
        fence,
    };
    let ran = begin(pool, context, firing, shot, way).await;
    passed.tell(pool, &ran.outcome, ran.begun.started, decisions);
    ran
}

impl Ran {
    /// It never began.
    fn not(pool: &Pool, outcome: Outcome) -> Self {
        let begun = Begun { started: pool.clock.mono(), worker_tid: 0, heard: false };
        Self { begun, outcome }
    }
}

async fn begin(
    pool: &Arc<Pool>,
    context: Context,
    firing: &Firing,
    shot: Option<Shot>,
    way: Way,
) -> Ran {
    let core = Arc::clone(&context.core);
    if let Some(shot) = shot {
        let begun = beginning::begin(pool, firing, way);
        // Nothing tells it to stop, and it may take as long as it likes.
        let outcome = match catch_unwind(AssertUnwindSafe(|| shot(context))) {
            Ok(doing) => ended(Caught(Some(doing)).await),
            Err(panic) => Outcome::Panicked(message(&*panic)),
        };
        return Ran { begun, outcome };
    }
    let Some(named) = core.as_named() else { return Ran::not(pool, Outcome::Cancelled) };
    let stopped = context.clone();
    match named.work.code() {
        Code::Future(f) => {
            let begun = beginning::begin(pool, firing, way);
            Ran { begun, outcome: future(pool, || f(context), &stopped).await }
        }
        Code::Starting(f) => {
            let beginning = Arc::new(Beginning::new(pool, firing, way));
            let start = Start(Arc::clone(&beginning));
            let outcome = future(pool, || f(context, start), &stopped).await;
            match beginning.begun() {
                Some(begun) => Ran { begun, outcome },
                None => Ran::not(pool, outcome),
            }
        }
        Code::Blocking(_) => blocking(pool, context, firing.clone(), way).await,
    }
}

/// Until the first of: its end, its timeout, the word to stop.
async fn future(pool: &Pool, make: impl FnOnce() -> Doing, context: &Context) -> Outcome {
    let doing = match catch_unwind(AssertUnwindSafe(make)) {
        Ok(doing) => doing,
        Err(panic) => return Outcome::Panicked(message(&*panic)),
    };
    let core = &context.core;
    let Some(live) = core.live() else { return Outcome::Cancelled };
    let mut stop = pin!(live.stop.notified());
    stop.as_mut().enable();
    if context.is_stopped() {
        return Outcome::Cancelled;
    }
    tokio::select! {
        biased;
        said = Caught(Some(doing)) => ended(said),
        () = timeout(pool, core.options().timeout) => Outcome::TimedOut,
        () = stop => Outcome::Cancelled,
    }
}

async fn timeout(pool: &Pool, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => pool.clock.after(timeout).await,
        None => std::future::pending().await,
    }
}

fn ended(said: Result<Said, Box<dyn Any + Send>>) -> Outcome {
    match said {
        Ok(said) => outcome(said),
        Err(panic) => Outcome::Panicked(message(&*panic)),
    }
}

/// On a thread of its own. It ends when it ends: nobody can stop it.
async fn blocking(pool: &Arc<Pool>, context: Context, firing: Firing, way: Way) -> Ran {
    let at = Arc::clone(pool);
    let work = move || {
        let begun = beginning::begin(&at, &firing, way);
        let core = Arc::clone(&context.core);
        let Some(Code::Blocking(f)) = core.as_named().map(|named| named.work.code()) else {
            return Ran { begun, outcome: Outcome::Refused };
        };
        let asked = context.clone();
        let said = catch_unwind(AssertUnwindSafe(|| f(context)));
        let took = at.clock.mono().since(begun.started);
        let outcome = match said {
            Err(panic) => Outcome::Panicked(message(&*panic)),
            Ok(_) if asked.is_stopped() => Outcome::Cancelled,
            Ok(_) if core.options().timeout.is_some_and(|most| took > most) => Outcome::TimedOut,
            Ok(said) => outcome(said),
        };
        Ran { begun, outcome }
    };
    let ran = pool.handle.spawn_blocking(work).await;
    // Panics are caught above; what is left is a runtime that shuts down.
    ran.unwrap_or_else(|_| Ran::not(pool, Outcome::Cancelled))
}

fn outcome(said: Said) -> Outcome {
    match said {
        Ok(()) => Outcome::Succeeded,
        Err(why) => Outcome::Failed(why),
    }
}

/// A future whose panic is a value, even that of its end.
struct Caught(Option<Doing>);

impl Future for Caught {
    type Output = Result<Said, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Self::Output> {
        let Some(doing) = self.0.as_mut() else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| doing.as_mut().poll(waker))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        let doing = self.0.take();
        // What a panic would say here, nobody asked for: the run has its outcome.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(doing)));
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

/// The number of this thread, as the kernel's records have it.
pub(crate) fn tid() -> u32 {
    thread_local! {
        static TID: u32 = nix::unistd::gettid().as_raw() as u32;
    }
    TID.with(|tid| *tid)
}
