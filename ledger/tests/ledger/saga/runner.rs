//! Runners at work, on files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cronx_ledger::Clock;
use cronx_ledger::saga::sqlite::Sqlite;
use cronx_ledger::saga::{
    Call, Deed, Definition, Doing, Happened, Options, Outcome, Question, Refusal, Runner, Saga,
    Sagas, State, Step, Steps, Told, Verb, Way, What, Why, choices,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{definition, id};

/// Nothing takes longer, on a slow machine that does something else too.
const BOUND: Duration = Duration::from_mins(1);

type Bad = (&'static str, fn(String) -> Outcome);
type Act = Box<dyn Fn(&Call, Way) -> Doing<'static> + Send + Sync>;

/// Steps that do what a test wants, and are remembered.
struct Script {
    act: Act,
    asked: Box<dyn Fn() -> Happened + Send + Sync>,
    calls: Mutex<Vec<String>>,
}

impl Script {
    fn new(act: impl Fn(&Call, Way) -> Doing<'static> + Send + Sync + 'static) -> Arc<Self> {
        let asked = Box::new(|| Happened::No);
        Arc::new(Self { act: Box::new(act), asked, calls: Mutex::default() })
    }

    /// All is well but for these: `do pay` or `undo reserve`, and what they say.
    fn but(bad: &'static [Bad]) -> Arc<Self> {
        Self::new(|call, way| {
            let name = format!("{} {}", way.word(), call.step);
            let said = format!("{name}, attempt {}", call.attempt);
            let found = bad.iter().find(|(bad, _)| *bad == name);
            now(found.map_or(Outcome::Done(said.clone()), |(_, outcome)| outcome(said)))
        })
    }

    fn note(&self, call: &Call, word: &str) {
        assert_eq!(call.key.to_string(), format!("{}/{}/{word}", call.id, call.step));
        self.calls.lock().unwrap().push(format!("{word} {}", call.step));
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

fn now<T: Send + 'static>(outcome: T) -> Doing<'static, T> {
    Box::pin(std::future::ready(outcome))
}

impl Steps for Script {
    fn act(&self, call: Call) -> Doing<'_> {
        self.note(&call, "do");
        (self.act)(&call, Way::Forward)
    }

    fn undo(&self, call: Call) -> Doing<'_> {
        self.note(&call, "undo");
        (self.act)(&call, Way::Back)
    }

    fn ask(&self, call: Call) -> Doing<'_, Happened> {
        self.calls.lock().unwrap().push(format!("ask {}", call.step));
        now((self.asked)())
    }
}

/// A file, and a runner of its sagas.
struct Shop {
    path: PathBuf,
    _folder: TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("shop.sqlite");
        let file = rusqlite::Connection::open(&path).unwrap();
        file.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        Self { path, _folder: folder }
    }

    fn runner(&self, owner: &str, definition: &Definition, steps: Arc<dyn Steps>) -> Arc<Runner> {
        runner(&self.path, owner, definition, steps, Options::default())
    }

    /// One saga, to its end.
    async fn one(&self, definition: &Definition, steps: &Arc<Script>) -> Saga {
        let runner = self.runner("one", definition, Arc::<Script>::clone(steps));
        runner.begin(id("7"), definition.name(), "{}").await.unwrap().unwrap();
        self.end(&runner).await
    }

    async fn end(&self, runner: &Arc<Runner>) -> Saga {
        let running = tokio::spawn(Arc::clone(runner).run());
        let saga = ended(runner).await;
        stopped(runner, running).await;
        saga
    }
}

async fn ended(runner: &Runner) -> Saga {
    let ended = tokio::time::timeout(BOUND, runner.end(&id("7"))).await;
    ended.expect("it does not end").unwrap().unwrap()
}

async fn stopped(runner: &Runner, running: JoinHandle<()>) {
    runner.stop();
    running.await.unwrap();
}

fn runner(
    path: &Path,
    owner: &str,
    definition: &Definition,
    steps: Arc<dyn Steps>,
    options: Options,
) -> Arc<Runner> {
    let store = Arc::new(Sqlite::open(path, Clock::Own).unwrap());
    let options = Options { poll: Duration::from_millis(20), ..options };
    let runner = Runner::new(store, owner.into(), options);
    runner.add(definition.clone(), steps);
    Arc::new(runner)
}

const ORDER: [&str; 4] = ["reserve", "weigh", "!pay", "ship"];

#[tokio::test]
async fn steps_are_done_in_order() {
    let steps = Script::but(&[]);
    let saga = Shop::new().one(&definition("order", &ORDER), &steps).await;
    assert_eq!(saga.state, State::Completed);
    assert_eq!(steps.calls(), ["do reserve", "do weigh", "do pay", "do ship"]);
}

#[tokio::test]
async fn what_was_done_is_undone_in_reverse() {
    let steps = Script::but(&[("do pay", Outcome::Failed)]);
    let saga = Shop::new().one(&definition("order", &ORDER), &steps).await;
    assert_eq!(saga.state, State::Compensated);
    let [pay, back] = ["do pay", "undo weigh"];
    let expected = ["do reserve", "do weigh", pay, pay, pay, back, "undo reserve"];
    assert_eq!(steps.calls(), expected);
}

/// All that a person needs to decide.
#[tokio::test]
async fn one_that_cannot_be_undone_waits_for_a_person() {
    let shop = Shop::new();
    let order = definition("order", &ORDER);
    let steps = Script::but(&[("do pay", Outcome::Refused), ("undo weigh", Outcome::Failed)]);
    let runner = shop.runner("one", &order, steps);
    runner.begin(id("7"), "order", "{\"order\":7}").await.unwrap().unwrap();
    let saga = shop.end(&runner).await;
    assert_eq!((saga.state, saga.why), (State::NeedsOperator, Some(Why::Compensation)));
    let (saga, events) = runner.store().show(id("7")).await.unwrap().unwrap();
    // What is done and not undone, where it stopped, and by which key that is known.
    let done: Vec<_> = saga.steps.iter().map(|step| (step.done, step.undone)).collect();
    let whole = (Deed::Done, Deed::Absent);
    let absent = (Deed::Absent, Deed::Absent);
    assert_eq!(done, [whole, (Deed::Done, Deed::Failed), (Deed::Failed, Deed::Absent), absent]);
    assert!(saga.is_to_be_undone(0) && saga.is_to_be_undone(1) && !saga.is_to_be_undone(2));
    assert_eq!(&*saga.plan.parts[saga.at].name, "weigh");
    assert_eq!(saga.key(saga.at, saga.way).as_str(), "shop/~saga/7/weigh/undo");
    assert_eq!(&*saga.payload, "{\"order\":7}");
    // What was tried when, and with which error.
    let tried: Vec<String> = events
        .iter()
        .map(|event| {
            assert!(event.began <= event.at && event.began >= saga.begun && &*event.who == "one");
            format!(
                "{} {} {} {}: {}",
                event.way.word(),
                event.step,
                event.attempt,
                event.what.word(),
                event.said
            )
        })
        .collect();
    assert_eq!(
        tried,
        [
            "do reserve 1 done: do reserve, attempt 1",
            "do weigh 1 done: do weigh, attempt 1",
            "do pay 1 refused: do pay, attempt 1",
            "undo weigh 1 failed: undo weigh, attempt 1",
            "undo weigh 2 failed: undo weigh, attempt 2",
            "undo weigh 3 failed: undo weigh, attempt 3",
        ]
    );
    // What there is to decide; and it is done as he decides.
    assert_eq!(choices(&saga), [Verb::Retry, Verb::Done, Verb::Skip]);
    let operate = |verb, why: &str| {
        let (step, who, why) = ("weigh".to_owned(), "me".to_owned(), why.to_owned());
        runner.store().ask(id("7"), Question::Operate { verb, step, who, why })
    };
    assert_eq!(operate(Verb::Skip, "").await.unwrap(), Err(Refusal::NoReason));
    operate(Verb::Skip, "the scales are gone").await.unwrap().unwrap();
    let runner = shop.runner("other", &order, Script::but(&[]));
    assert_eq!(shop.end(&runner).await.state, State::Compensated);
    let (saga, events) = runner.store().show(id("7")).await.unwrap().unwrap();
    assert_eq!((saga.steps[0].undone, saga.steps[1].undone), (Deed::Done, Deed::Skipped));
    let skipped = events.iter().find(|event| event.what == What::Skipped).unwrap();
    assert_eq!((&*skipped.who, &*skipped.said), ("me", "the scales are gone"));
}

#[tokio::test]
async fn what_took_too_long_may_have_happened() {
    let steps = Script::new(|call, way| match (&*call.step, way) {
        ("weigh", Way::Forward) => Box::pin(std::future::pending()),
        _ => now(Outcome::Done(String::new())),
    });
    let mut parts = definition("order", &["reserve", "weigh"]).steps().to_vec();
    parts[1].timeout = Duration::from_millis(5);
    let order = Definition::new("order", parts).unwrap();
    let shop = Shop::new();
    let saga = shop.one(&order, &steps).await;
    assert_eq!(saga.state, State::Compensated);
    assert_eq!(saga.steps[1].done, Deed::Unknown);
    let weigh = "do weigh";
    let expected = ["do reserve", weigh, weigh, weigh, "undo weigh", "undo reserve"];
    assert_eq!(steps.calls(), expected);
    let sagas = Sqlite::look(&shop.path).unwrap();
    let (_, events) = sagas.show(id("7")).await.unwrap().unwrap();
    assert_eq!(&*events[1].said, "no end within 5ms");
}

/// Once it is unknown it is asked for, and not done again.
#[tokio::test]
async fn a_step_that_can_be_asked_is_asked() {
    for (happened, calls) in [
        (Happened::Yes("receipt 5".to_owned()), vec!["do pay", "ask pay"]),
        (Happened::No, vec!["do pay", "ask pay", "do pay"]),
    ] {
        let tried = AtomicUsize::new(0);
        let act: Act = Box::new(move |_, _| {
            let is_first = tried.fetch_add(1, Ordering::SeqCst) == 0;
            let said = String::new();
            now(if is_first { Outcome::Unknown(said) } else { Outcome::Done(said) })
        });
        let asked = Box::new(move || happened.clone());
        let steps = Arc::new(Script { act, asked, calls: Mutex::default() });
        let parts = definition("order", &["!pay"]).steps().to_vec();
        let parts = parts.into_iter().map(|step| Step { asks: true, ..step }).collect();
        let saga = Shop::new().one(&Definition::new("order", parts).unwrap(), &steps).await;
        assert_eq!(
            (saga.state, steps.calls()),
            (State::Completed, calls.iter().map(|c| (*c).to_owned()).collect())
        );
    }
}

#[tokio::test]
async fn another_definition_waits_for_a_person() {
    let shop = Shop::new();
    let first = Script::but(&[("do weigh", Outcome::Failed)]);
    let order = definition("order", &["reserve", "weigh"]);
    let runner = shop.runner("one", &order, first);
    runner.begin(id("7"), "order", "{}").await.unwrap().unwrap();
    // One attempt of each: then it waits, and its runner is gone.
    runner.turn().await.unwrap();
    let other = definition("order", &["reserve", "measure"]);
    let runner = shop.runner("other", &other, Script::but(&[]));
    let saga = shop.end(&runner).await;
    assert_eq!((saga.state, saga.why), (State::NeedsOperator, Some(Why::Definition)));
    let (_, events) = runner.store().show(id("7")).await.unwrap().unwrap();
    let parked = events.last().unwrap();
    assert_eq!(&*parked.said, "its steps were reserve, weigh, and are reserve, measure");
    // It is put back, with other attempts, which is no other definition.
    let (verb, step) = (Verb::Retry, "weigh".to_owned());
    let retry = Question::Operate { verb, step, who: "me".to_owned(), why: String::new() };
    runner.store().ask(id("7"), retry).await.unwrap().unwrap();
    let steps = order.steps().iter().cloned();
    let steps = steps.map(|step| Step { retry: cronx_scheduler::Retry::NEVER, ..step }).collect();
    let runner = shop.runner("third", &Definition::new("order", steps).unwrap(), Script::but(&[]));
    assert_eq!(shop.end(&runner).await.state, State::Completed);
}

/// Whoever looks for a saga at the same time: each of its deeds has one owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runners_never_do_one_saga() {
    let shop = Shop::new();
    let order = definition("order", &["reserve", "weigh"]);
    let at_work = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let steps = Script::new(move |call, _| {
        let (at_work, id) = (Arc::clone(&at_work), call.id.clone());
        Box::pin(async move {
            assert!(at_work.lock().unwrap().insert(id.clone()), "{id} is at work twice");
            tokio::time::sleep(Duration::from_millis(1)).await;
            at_work.lock().unwrap().remove(&id);
            Outcome::Done(String::new())
        })
    });
    let runners =
        ["one", "other"].map(|owner| shop.runner(owner, &order, Arc::<Script>::clone(&steps)));
    for number in 0..40 {
        runners[0].begin(id(&number.to_string()), "order", "{}").await.unwrap().unwrap();
    }
    let running = runners.each_ref().map(|runner| tokio::spawn(Arc::clone(runner).run()));
    for number in 0..40 {
        let saga = tokio::time::timeout(BOUND, runners[0].end(&id(&number.to_string()))).await;
        assert_eq!(saga.unwrap().unwrap().unwrap().state, State::Completed);
    }
    for (runner, running) in runners.iter().zip(running) {
        stopped(runner, running).await;
    }
    assert_eq!(steps.calls().len(), 80);
}

/// What is at work when a runner is told to stop comes to its end, and others go on at once.
#[tokio::test]
async fn one_that_stops_gives_its_sagas_away() {
    let shop = Shop::new();
    let order = definition("order", &["reserve", "weigh"]);
    let (began, is_free) =
        (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let gate = (Arc::clone(&began), Arc::clone(&is_free));
    let steps = Script::new(move |_, _| {
        let (began, is_free) = gate.clone();
        Box::pin(async move {
            began.notify_one();
            is_free.notified().await;
            Outcome::Done(String::new())
        })
    });
    let runner = shop.runner("one", &order, Arc::<Script>::clone(&steps));
    runner.begin(id("7"), "order", "{}").await.unwrap().unwrap();
    let running = tokio::spawn(Arc::clone(&runner).run());
    began.notified().await;
    runner.stop();
    is_free.notify_one();
    tokio::time::timeout(BOUND, running).await.unwrap().unwrap();
    assert_eq!(steps.calls(), ["do reserve"]);
    let saga = runner.store().get(id("7")).await.unwrap().unwrap();
    assert_eq!((saga.hold, saga.steps[0].done), (None, Deed::Done));
    let steps = Script::but(&[]);
    let runner = shop.runner("other", &order, Arc::<Script>::clone(&steps));
    assert_eq!(shop.end(&runner).await.state, State::Completed);
    assert_eq!(steps.calls(), ["do weigh"]);
}

/// An owner whose lease is taken lets go of what is at work, and is heard no more.
#[tokio::test]
async fn an_owner_who_is_taken_for_dead_lets_go() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let shop = Shop::new();
    let order = definition("order", &["reserve"]);
    let (dropped, began) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
    let shared = (Arc::clone(&dropped), Arc::clone(&began));
    let steps = Script::new(move |_, _| {
        let (dropped, began) = (Dropped(Arc::clone(&shared.0)), Arc::clone(&shared.1));
        Box::pin(async move {
            let _dropped = dropped;
            began.notify_one();
            std::future::pending().await
        })
    });
    let lease = Duration::from_millis(150);
    let options = Options { lease, ..Options::default() };
    let slow = runner(&shop.path, "one", &order, steps, options);
    slow.begin(id("7"), "order", "{}").await.unwrap().unwrap();
    let running = tokio::spawn(Arc::clone(&slow).run());
    began.notified().await;
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let tell = Arc::new(move |_: Told<'_>| _ = count.fetch_add(1, Ordering::SeqCst));
    let options = Options { sole: true, tell, ..Options::default() };
    let other = runner(&shop.path, "other", &order, Script::but(&[]), options);
    let running_too = tokio::spawn(Arc::clone(&other).run());
    assert_eq!(ended(&other).await.state, State::Completed);
    stopped(&slow, running).await;
    assert!(dropped.load(Ordering::SeqCst));
    stopped(&other, running_too).await;
    // That it began, and that it ended.
    assert_eq!(told.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_nobody_knows_is_not_begun() {
    let shop = Shop::new();
    let order = definition("order", &["reserve"]);
    let runner = shop.runner("one", &order, Script::but(&[]));
    runner.begin(id("7"), "order", "{}").await.unwrap().unwrap();
    assert!(runner.begin(id("8"), "other", "{}").await.is_err());
    assert_eq!(runner.begin(id("7"), "order", "[]").await.unwrap(), Err(Refusal::Mismatch));
    // One that is no more known is not taken, and is not lost.
    runner.remove("order");
    assert_eq!(runner.turn().await.unwrap(), 0);
    let saga = runner.store().get(id("7")).await.unwrap().unwrap();
    assert_eq!(saga.state, State::Pending);
}
