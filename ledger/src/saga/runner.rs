//! Who does what is due.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ask::{Question, Reply};
use super::plan::{Definition, Step};
use super::rules::{Outcome, Refusal};
use super::state::{Attempt, Saga, Way};
use super::store::{Due, Sagas, Seeker};
use crate::Error;
use crate::claim::Fence;
use crate::key::{Key, SagaId};

/// How often a store that is not there is asked again, as long as the saga is ours.
const AGAIN: Duration = Duration::from_millis(100);

/// What a step answers in its own time.
pub type Doing<'a, T = Outcome> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the steps of a definition do. A future that is dropped was given up: its time was over, or the saga is
/// another's. A panic is an end without an answer.
pub trait Steps: Send + Sync + 'static {
    /// A step's action.
    fn act(&self, call: Call) -> Doing<'_>;

    /// Its compensation. The action may not have happened, and may never have been begun.
    fn undo(&self, call: Call) -> Doing<'_>;

    /// Whether its action happened, before an attempt at one whose outcome is unknown; only of steps that say
    /// that they can be asked.
    fn ask(&self, _: Call) -> Doing<'_, Happened> {
        Box::pin(std::future::ready(Happened::Unknown("it cannot be asked".to_owned())))
    }
}

/// Whether an action happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It did; what was said of it.
    Yes(String),
    /// It did not: it is tried again.
    No,
    /// Nobody knows yet.
    Unknown(String),
}

/// What a step is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Of which saga.
    pub id: SagaId,
    /// Which step.
    pub step: Arc<str>,
    /// What it is named by, for every attempt.
    pub key: Key,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Grows with every owner that the saga has had.
    pub fence: Fence,
    /// In the words of whoever began the saga.
    pub payload: Arc<str>,
}

/// How sagas are done.
#[derive(Clone)]
pub struct Options {
    /// How long an owner may be unheard of before others take what he has.
    pub lease: Duration,
    /// Whether every other owner is known to be gone, by a lock on the whole store: then nobody waits for a
    /// lease.
    pub sole: bool,
    /// Sagas at once.
    pub most: usize,
    /// How often others' sagas are looked for at least.
    pub poll: Duration,
    /// Is told what becomes of them.
    pub tell: Arc<dyn Fn(Told<'_>) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            sole: false,
            most: 64,
            poll: Duration::from_secs(1),
            tell: Arc::new(|_| ()),
        }
    }
}

/// What may be of interest.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// It has changed.
    Changed(&'a Saga),
    /// The store could not be asked.
    Failing(&'a Error),
}

/// Does the sagas of a store, beside others who do so too.
pub struct Runner {
    store: Arc<dyn Sagas>,
    owner: Arc<str>,
    options: Options,
    known: RwLock<HashMap<Arc<str>, Known>>,
    /// Those that we have in hand.
    busy: Mutex<HashSet<SagaId>>,
    /// Counts changes.
    changed: watch::Sender<u64>,
    /// Whether there may be something to do.
    nudged: Notify,
    is_stopped: AtomicBool,
}

#[derive(Clone)]
struct Known {
    definition: Arc<Definition>,
    steps: Arc<dyn Steps>,
}

impl Runner {
    /// `owner` must be a name that no other life of a process has had.
    pub fn new(store: Arc<dyn Sagas>, owner: Arc<str>, options: Options) -> Self {
        Self {
            store,
            owner,
            options,
            known: RwLock::default(),
            busy: Mutex::default(),
            changed: watch::channel(0).0,
            nudged: Notify::new(),
            is_stopped: AtomicBool::new(false),
        }
    }

    /// Sagas of this name are done so from now on.
    pub fn add(&self, definition: Definition, steps: Arc<dyn Steps>) {
        let known = Known { definition: Arc::new(definition), steps };
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(Arc::clone(known.definition.name()), known);
    }

    /// Sagas of this name are not done here any more, but for those in hand.
    pub fn remove(&self, name: &str) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Where they are.
    pub fn store(&self) -> &Arc<dyn Sagas> {
        &self.store
    }

    /// Begins a saga, or finds that it has begun.
    pub async fn begin(&self, id: SagaId, name: &str, payload: &str) -> Result<Reply, Error> {
        let unfit = || Error::Saga { name: name.to_owned(), reason: "nobody knows it".to_owned() };
        let known = self.known(name).ok_or_else(unfit)?;
        let reply = self.store.ask(id, known.definition.begin(payload)?).await?;
        self.nudged.notify_one();
        Ok(reply)
    }

    /// Waits until nothing more happens to it by itself, whoever does it.
    pub async fn end(&self, id: &SagaId) -> Result<Option<Saga>, Error> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            match self.store.get(id.clone()).await? {
                Some(saga) if !saga.state.is_terminal() => {}
                over => return Ok(over),
            }
            // Others' changes are seen by looking.
            let _ = timeout(self.options.poll, changed.changed()).await;
        }
    }

    /// Takes no saga from now on; those in hand go on to the end of what is at work.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.nudged.notify_one();
    }

    /// Does what is due until it is [stopped](Self::stop). Dropped before, it gives up what is at work.
    pub async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        while !self.is_stopped() {
            while tasks.try_join_next().is_some() {}
            let wait = match self.take(&mut tasks).await {
                Ok(wait) => wait,
                Err(error) => {
                    (self.options.tell)(Told::Failing(&error));
                    self.options.poll
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.nudged.notified() => {}
                // There is room for another.
                Some(_) = tasks.join_next(), if tasks.len() >= self.options.most => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Does all that is due now, one after the other, as far as it goes; how many sagas that were.
    pub async fn turn(&self) -> Result<usize, Error> {
        let Due { now, .. } = self.store.due(self.seeker(), self.options.most).await?;
        let count = now.len();
        for id in now {
            self.go_on(id).await;
        }
        Ok(count)
    }

    /// Takes what is due, as far as there is room; how long there will be nothing more.
    async fn take(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<Duration, Error> {
        let room = self.options.most.saturating_sub(tasks.len());
        if room == 0 {
            return Ok(self.options.poll);
        }
        let Due { now, next } = self.store.due(self.seeker(), self.options.most).await?;
        for id in now.into_iter().take(room) {
            let runner = Arc::clone(self);
            if !self.busy().contains(&id) {
                tasks.spawn(async move { runner.go_on(id).await });
            }
        }
        Ok(next.unwrap_or(self.options.poll).min(self.options.poll))
    }

    fn seeker(&self) -> Seeker {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let names = known.keys().cloned().collect();
        Seeker { names, owner: Arc::clone(&self.owner), sole: self.options.sole }
    }

    fn known(&self, name: &str) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<SagaId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// A saga, to where it waits or ends.
    async fn go_on(&self, id: SagaId) {
        let Some(_busy) = Busy::take(self, &id) else { return };
        if let Err(error) = self.drive(&id).await {
            // Whatever is at work is found so when the lease is over.
            (self.options.tell)(Told::Failing(&error));
        }
    }

    async fn drive(&self, id: &SagaId) -> Result<(), Error> {
        let (owner, lease, sole) = (self.owner.clone(), self.options.lease, self.options.sole);
        let asked = Instant::now();
        let claim = Question::Claim { owner, lease, sole };
        let Ok(mut saga) = self.store.ask(id.clone(), claim).await? else { return Ok(()) };
        let mut ours = Ours { fence: saga.fence, asked, lease };
        while let Some(known) = self.known(&saga.name) {
            if let Some(said) = differs(&saga, &known.definition) {
                return self
                    .ask(id, &ours, Question::Park { fence: ours.fence, said })
                    .await
                    .map(drop);
            }
            let fence = ours.fence;
            let attempts = known.definition.steps()[saga.at].retry.attempts;
            let start = Question::Start { fence, attempts };
            let Some(started) = self.ask(id, &ours, start).await? else { return Ok(()) };
            saga = started;
            if let Some(attempt) = saga.attempt() {
                let Some(settled) = self.attempt(&saga, attempt, &known, &mut ours).await? else {
                    return Ok(());
                };
                saga = settled;
            }
            if saga.hold.is_none() {
                return Ok(());
            }
            if self.is_stopped() {
                break;
            }
        }
        self.ask(id, &ours, Question::Release { fence: ours.fence }).await.map(drop)
    }

    /// Until there is an answer, or it cannot be ours any more. `None` if it is not.
    async fn ask(
        &self,
        id: &SagaId,
        ours: &Ours,
        question: Question,
    ) -> Result<Option<Saga>, Error> {
        loop {
            match self.store.ask(id.clone(), question.clone()).await {
                Ok(Ok(saga)) => {
                    (self.options.tell)(Told::Changed(&saga));
                    self.changed.send_modify(|count| *count += 1);
                    return Ok(Some(saga));
                }
                Ok(Err(Refusal::Lost | Refusal::Absent)) => return Ok(None),
                Ok(Err(refusal)) => return Err(Error::Answer { answer: format!("{refusal:?}") }),
                Err(Error::Unavailable { .. }) if ours.is_held() => sleep(AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the step do it, as long as the saga is ours, and writes down what became of it.
    async fn attempt(
        &self,
        saga: &Saga,
        attempt: Attempt,
        known: &Known,
        ours: &mut Ours,
    ) -> Result<Option<Saga>, Error> {
        let step = &known.definition.steps()[attempt.step];
        let work = work(saga, attempt, step, &*known.steps);
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = self.keep(&saga.id, ours) => return Ok(None),
        };
        let draw = RandomState::new().hash_one(attempt.number);
        let (fence, retry) = (ours.fence, step.retry);
        let settle = Question::Settle { fence, attempt, outcome, retry, draw };
        self.ask(&saga.id, ours, settle).await
    }

    /// Renews it three times in its length; ends when it is lost.
    async fn keep(&self, id: &SagaId, ours: &mut Ours) {
        let (fence, lease) = (ours.fence, ours.lease);
        let mut wait = lease / 3;
        while ours.is_held() {
            sleep(wait.min(ours.left())).await;
            let asked = Instant::now();
            let renew = self.store.ask(id.clone(), Question::Renew { fence, lease });
            wait = match timeout(ours.left(), renew).await {
                Ok(Ok(Ok(_))) => {
                    ours.asked = asked;
                    lease / 3
                }
                Ok(Ok(Err(_))) => return,
                // It may answer again before it is too late.
                Ok(Err(_)) | Err(_) => lease / 12,
            };
        }
    }
}

/// A saga that is ours.
struct Ours {
    fence: Fence,
    /// When the store was last told that we live.
    asked: Instant,
    lease: Duration,
}

impl Ours {
    /// By our clock. By the store's it lasts longer: by an eighth, since no two clocks go alike.
    fn left(&self) -> Duration {
        (self.lease / 8 * 7).saturating_sub(self.asked.elapsed())
    }

    fn is_held(&self) -> bool {
        !self.left().is_zero()
    }
}

/// One that nobody else here takes meanwhile.
struct Busy<'a>(&'a Runner, &'a SagaId);

impl<'a> Busy<'a> {
    fn take(runner: &'a Runner, id: &'a SagaId) -> Option<Self> {
        let is_free = runner.busy().insert(id.clone());
        is_free.then_some(Self(runner, id))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy().remove(self.1);
    }
}

/// In which way its steps are others, if they are.
fn differs(saga: &Saga, definition: &Definition) -> Option<String> {
    let plan = definition.plan();
    if saga.plan.fingerprint() == plan.fingerprint() {
        return None;
    }
    let names = |parts: &[super::Part]| {
        let names: Vec<&str> = parts.iter().map(|part| &*part.name).collect();
        names.join(", ")
    };
    let (had, has) = (names(&saga.plan.parts), names(&plan.parts));
    if had == has {
        return Some("its pivot, or which of its steps compensate, is not as it was".to_owned());
    }
    Some(format!("its steps were {had}, and are {has}"))
}

/// Asks first if it can be asked and has to be.
async fn work(saga: &Saga, attempt: Attempt, step: &Step, steps: &dyn Steps) -> Outcome {
    let call = Call {
        id: saga.id.clone(),
        step: Arc::clone(&step.name),
        key: saga.key(attempt.step, attempt.way),
        attempt: attempt.number,
        fence: saga.fence,
        payload: Arc::clone(&saga.payload),
    };
    let late = || format!("no end within {:?}", step.timeout);
    if attempt.way == Way::Forward && attempt.doubted && step.asks {
        match timeout(step.timeout, steps.ask(call.clone())).await {
            Ok(Happened::Yes(said)) => return Outcome::Done(said),
            Ok(Happened::No) => {}
            Ok(Happened::Unknown(said)) => return Outcome::Unknown(said),
            Err(_) => return Outcome::Unknown(late()),
        }
    }
    let doing = match attempt.way {
        Way::Forward => steps.act(call),
        Way::Back => steps.undo(call),
    };
    timeout(step.timeout, doing).await.unwrap_or_else(|_| Outcome::Unknown(late()))
}
