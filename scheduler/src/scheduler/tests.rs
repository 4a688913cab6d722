//! The whole of it, with its threads: every wait is for a condition.

mod breakers;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex as StdMutex};

use super::*;
use crate::policy::{Overlap, Policy};
use crate::realtime::Answer;
use crate::retry::Retry;
use crate::run::{Outcome, Run};
use crate::store::{Answer as Promise, Open, Permit, StoreError};
use crate::{FakeClock, Skipped};

/// Longer than anything takes here; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A store that says what it is told.
struct Told {
    runs: StdMutex<Sender<Run>>,
    skips: StdMutex<Sender<Skipped>>,
    permit: Permit,
    cursor: Option<Utc>,
    open: Vec<Open>,
    broken: bool,
    panics: bool,
}

/// How often a store has panicked.
static PANICS: AtomicU64 = AtomicU64::new(0);

struct Ears {
    runs: Receiver<Run>,
    skips: Receiver<Skipped>,
}

fn told(permit: Permit, cursor: Option<Utc>) -> (Told, Ears) {
    let ((run, runs), (skip, skips)) = (channel(), channel());
    let (run, skip) = (StdMutex::new(run), StdMutex::new(skip));
    (
        Told {
            runs: run,
            skips: skip,
            permit,
            cursor,
            open: Vec::new(),
            broken: false,
            panics: false,
        },
        Ears { runs, skips },
    )
}

impl Ears {
    fn run(&self) -> Run {
        self.runs.recv_timeout(PATIENCE).expect("a run ends")
    }
}

impl Store for Told {
    fn resume(&self, _: &Arc<str>, now: Utc) -> Result<Resumed, StoreError> {
        Ok(Resumed { cursor: self.cursor.unwrap_or(now), open: self.open.clone() })
    }

    fn begin<'a>(&'a self, _: &'a crate::Firing) -> Promise<'a, Permit> {
        if self.panics {
            PANICS.fetch_add(1, Ordering::Relaxed);
            panic!("the store panics");
        }
        let answer = if self.broken { Err("no disk".into()) } else { Ok(self.permit) };
        Promise::now(answer)
    }

    fn end<'a>(&'a self, run: &'a Run) -> Promise<'a, ()> {
        let _ = self.runs.lock().unwrap().send(run.clone());
        Promise::now(Ok(()))
    }

    fn skip<'a>(&'a self, skipped: &'a Skipped) -> Promise<'a, ()> {
        let _ = self.skips.lock().unwrap().send(skipped.clone());
        Promise::now(Ok(()))
    }

    fn forget(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A gate that runs wait at.
#[derive(Default)]
struct Gate(StdMutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.lock().unwrap();
        drop(self.1.wait_while(open, |open| !*open).unwrap());
    }
}

fn start(store: Told, change: impl FnOnce(&mut Options)) -> Scheduler {
    let mut options = Options { store: Arc::new(store), workers: 2, ..Options::default() };
    change(&mut options);
    Scheduler::start(options).unwrap()
}

/// Asks until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "it never came to be");
        std::thread::yield_now();
    }
}

fn definition(name: &str, spec: &str, options: JobOptions) -> Definition {
    Definition { name: name.into(), spec: Spec::parse(spec).unwrap(), options: Arc::new(options) }
}

#[test]
fn a_run_is_written_down_with_every_instant_of_it() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let job = scheduler.schedule("@every 5ms", |_| async {}).unwrap();
    let run = ears.run();
    let Run { firing, enqueued, dequeued, started, finished, .. } = &run;
    let instants = [firing.due, firing.popped, *enqueued, *dequeued, *started, *finished];
    assert!(instants.is_sorted(), "{instants:?}");
    assert_eq!((firing.nominal.0 % 5_000_000, firing.attempt), (0, 1));
    assert_eq!((&*firing.job, &run.outcome), (job.name(), &Outcome::Succeeded));
    until(|| scheduler.status().shards[0].tid != 0);
    assert_eq!(firing.shard_tid, scheduler.status().shards[0].tid);
    assert!(run.worker_tid != 0 && run.worker_tid != firing.shard_tid);
    assert_ne!(firing.trace, ears.run().firing.trace);
    until(|| job.lateness_us().len() >= 2 && scheduler.lateness_ns().len() >= 2);
    assert!(job.status().ended.succeeded >= 2);
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn what_starts_by_its_own_word_is_late_up_to_there_or_never_started() {
    let (store, ears) = told(Permit::Granted(9), None);
    let clock = Arc::new(FakeClock::new(Utc(0)));
    let (scheduler, later) = (start(store, |options| options.clock = clock.clone()), clock.clone());
    let ready = Work::starting(move |_, start| {
        // It takes a second to be ready.
        later.advance(Duration::from_secs(1));
        async move { start.now() }
    });
    let job =
        scheduler.add(definition("ready", "@every 1h", JobOptions::default()), ready).unwrap();
    job.trigger_now().unwrap();
    let run = ears.run();
    assert_eq!((run.lateness_ns(), run.outcome), (1_000_000_000, Outcome::Succeeded));
    assert_ne!(run.worker_tid, 0);
    let never = Work::starting(|_, _| async { Err("no such program") });
    let job =
        scheduler.add(definition("never", "@every 1h", JobOptions::default()), never).unwrap();
    job.trigger_now().unwrap();
    let run = ears.run();
    assert_eq!((run.worker_tid, run.outcome), (0, Outcome::Failed("no such program".into())));
}

#[test]
fn one_shots_run_once() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let text = "moved in".to_owned();
    let job =
        scheduler.after(Duration::from_millis(1), move |_| async move { drop(text) }).unwrap();
    assert_eq!(ears.run().outcome, Outcome::Succeeded);
    scheduler.at(SystemTime::UNIX_EPOCH, |_| async { Err::<(), _>("late anyway") }).unwrap();
    assert_eq!(ears.run().outcome, Outcome::Failed("late anyway".to_owned()));
    until(|| job.status().phase == Phase::Ended);
    assert!(!job.cancel());
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn to_cancel_twice_is_to_cancel_once() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let job = scheduler.after(Duration::from_hours(1), |_| async {}).unwrap();
    assert!(job.cancel() && !job.cancel() && !job.clone().cancel());
    let named =
        scheduler.add(definition("named", "@daily", JobOptions::default()), Work::blocking(|_| ()));
    assert!(named.is_ok() && scheduler.cancel("named") && !scheduler.cancel("named"));
    until(|| scheduler.status().shards.iter().all(|shard| shard.jobs == 0));
    assert!(scheduler.drain(PATIENCE) && ears.runs.try_recv().is_err());
}

fn boom(words: &str) {
    panic!("{words}");
}

#[test]
fn panics_are_caught_and_counted() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let panics: [Work; 3] = [
        Work::blocking(|_| boom("in a thread")),
        Work::future(|_| async { boom("in a future") }),
        Work::future(|_| -> std::future::Ready<()> { panic!("before it") }),
    ];
    for (number, work) in panics.into_iter().enumerate() {
        let job =
            scheduler.add(definition(&number.to_string(), "@daily", JobOptions::default()), work);
        let job = job.unwrap();
        job.trigger_now().unwrap();
        let outcome = ears.run().outcome;
        let said = ["in a thread", "in a future", "before it"][number];
        assert_eq!(outcome, Outcome::Panicked(said.to_owned()));
        until(|| job.status().busy == 0);
        assert_eq!(job.status().ended.panicked, 1);
    }
    assert!(scheduler.drain(PATIENCE));
}

/// A value whose end is a panic.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

#[test]
fn a_future_that_panics_as_it_is_dropped_ends_like_any_other() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |options| options.running = 1);
    let options = JobOptions { timeout: Some(Duration::from_millis(1)), ..JobOptions::default() };
    let work = Work::future(|_| async {
        let _grenade = Grenade;
        std::future::pending::<()>().await;
    });
    let job = scheduler.add(definition("grenade", "@daily", options), work).unwrap();
    for _ in 0..2 {
        job.trigger_now().unwrap();
        assert_eq!(ears.run().outcome, Outcome::TimedOut);
        until(|| job.status().busy == 0);
    }
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn what_takes_too_long_is_timed_out_and_tried_again() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let retry = Retry {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
        rejected: false,
    };
    let timeout = Some(Duration::from_millis(1));
    let options = JobOptions { timeout, retry, ..JobOptions::default() };
    let work = Work::future(|_| std::future::pending::<()>());
    scheduler.add(definition("slow", "@daily", options), work).unwrap().trigger_now().unwrap();
    let runs = [ears.run(), ears.run()];
    assert_eq!(
        runs.each_ref().map(|run| (run.firing.attempt, run.outcome.clone())),
        [(1, Outcome::TimedOut), (2, Outcome::TimedOut)]
    );
    assert_eq!(runs[0].firing.nominal, runs[1].firing.nominal);
    assert!(scheduler.drain(PATIENCE));
}

/// What fails after its job has gone elsewhere is tried again there; what fails of one that is no more, is not.
#[test]
fn a_run_that_fails_is_tried_again_where_its_job_goes_on() {
    for (goes_on, end) in [(true, Job::leave as fn(&Job) -> bool), (false, Job::cancel)] {
        let (store, ears) = told(Permit::Granted(9), None);
        let scheduler = start(store, |_| ());
        let retry = Retry { attempts: 2, base: PATIENCE, cap: PATIENCE, ..Retry::NEVER };
        let options = JobOptions { retry, ..JobOptions::default() };
        let gate = Arc::new(Gate::default());
        let at = Arc::clone(&gate);
        let work = Work::blocking(move |_| {
            at.pass();
            Err::<(), _>("no")
        });
        let job = scheduler.add(definition("job", "@daily", options), work).unwrap();
        job.trigger_now().unwrap();
        until(|| job.status().busy == 1);
        assert!(end(&job) && !job.leave() && !job.cancel());
        gate.open();
        let run = ears.run();
        assert_eq!((run.outcome, run.again), (Outcome::Failed("no".to_owned()), goes_on));
        until(|| job.status().busy == 0);
        assert!(scheduler.drain(PATIENCE));
    }
}

#[test]
fn a_run_that_is_told_to_stop_makes_room_for_the_next() {
    for blocking in [false, true] {
        let (store, ears) = told(Permit::Granted(9), None);
        let scheduler = start(store, |_| ());
        let policy = Policy { overlap: Overlap::CancelOther, ..Policy::default() };
        let options = JobOptions { policy, ..JobOptions::default() };
        let work = if blocking {
            Work::blocking(|run| {
                while !run.is_stopped() {
                    std::thread::yield_now();
                }
            })
        } else {
            Work::future(|_| std::future::pending::<()>())
        };
        let job = scheduler.add(definition("long", "@daily", options), work).unwrap();
        job.trigger_now().unwrap();
        until(|| job.status().busy == 1);
        for _ in 0..3 {
            job.trigger_now().unwrap();
            assert_eq!(ears.run().outcome, Outcome::Cancelled);
            // The next has taken its place, and can be told to stop itself.
            until(|| job.status().waiting == 0 && job.status().busy == 1);
        }
        drop(scheduler);
        job.0.live().unwrap().stop_all();
    }
}

/// A pool that never returns: the queue fills, memory does not, and the wheel goes on.
#[test]
fn overload_is_bounded_and_is_said() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |options| (options.queue, options.running) = (4, 2));
    let gate = Arc::new(Gate::default());
    for number in 0..20 {
        let gate = Arc::clone(&gate);
        let policy = Policy { overlap: Overlap::Allow, ..Policy::default() };
        let options = JobOptions { policy, ..JobOptions::default() };
        let work = Work::blocking(move |_| gate.pass());
        scheduler.add(definition(&number.to_string(), "@every 1ms", options), work).unwrap();
    }
    // The queue may be full before the second runner has begun.
    until(|| scheduler.status().pool.queued == 4 && scheduler.status().pool.running == 2);
    let status = scheduler.status();
    assert_eq!((status.pool.most, status.pool.capacity), (2, 4));
    until(|| scheduler.status().shards.iter().map(|shard| shard.jobs).sum::<usize>() == 20);
    gate.open();
    // All that was due goes on: more runs end than there was room for.
    for _ in 0..60 {
        ears.run();
    }
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn a_full_intake_is_an_error_and_not_a_wait() {
    let (store, _ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |options| {
        (options.intake, options.shards) = (2, 1);
        options.clock = Arc::new(FakeClock::new(Utc(0)));
    });
    let refused = (0..1_000_000).find_map(|_| scheduler.after(PATIENCE, |_| async {}).err());
    assert!(matches!(refused, Some(Error::Full { capacity: 2 })), "{refused:?}");
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn the_fake_clock_moves_it_through_a_step_and_a_sleep() {
    let (store, ears) = told(Permit::Granted(9), None);
    let clock = FakeClock::new(Utc(0));
    let scheduler = start(store, |options| options.clock = Arc::new(clock.clone()));
    let job = scheduler.schedule("0 * * * *", |_| async {}).unwrap();
    let hour = Duration::from_hours(1);
    let due = |change: &dyn Fn(), nominal: Utc| {
        until(|| job.status().next.is_some_and(|next| next > clock.read().utc));
        change();
        assert_eq!(ears.run().firing.nominal, nominal);
        until(|| job.status().busy == 0);
    };
    due(&|| clock.advance(hour), Utc(0) + hour);
    due(&|| clock.step(3_600_000_000_000), Utc(0) + 2 * hour);
    due(&|| clock.suspend(6 * hour), Utc(0) + 8 * hour);
    // What came again is not due again: an hour back, and two on.
    until(|| job.status().next == Some(Utc(0) + 9 * hour));
    clock.step(-3_600_000_000_000);
    due(&|| clock.advance(2 * hour), Utc(0) + 9 * hour);
    assert_eq!(ears.skips.recv_timeout(PATIENCE).map(|skipped| skipped.count), Ok(5));
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn a_timeout_goes_by_the_clock_that_jobs_go_by() {
    let (store, ears) = told(Permit::Granted(9), None);
    let clock = FakeClock::new(Utc(0));
    let scheduler = start(store, |options| options.clock = Arc::new(clock.clone()));
    let options = JobOptions { timeout: Some(PATIENCE * 60), ..JobOptions::default() };
    let begun = Arc::new(AtomicU64::new(0));
    let begins = Arc::clone(&begun);
    let work = Work::future(move |_| {
        begins.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>()
    });
    let job = scheduler.add(definition("slow", "@daily", options), work).unwrap();
    job.trigger_now().unwrap();
    until(|| begun.load(Ordering::Relaxed) == 1);
    clock.advance(PATIENCE * 59);
    assert!(ears.runs.try_recv().is_err());
    // It may still be about to ask for its time.
    until(|| {
        clock.advance(PATIENCE);
        ears.runs.try_recv().is_ok_and(|run| run.outcome == Outcome::TimedOut)
    });
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn a_one_shot_that_is_triggered_fires_then_and_not_again() {
    let (store, ears) = told(Permit::Granted(9), None);
    let clock = FakeClock::new(Utc(0));
    let scheduler = start(store, |options| options.clock = Arc::new(clock.clone()));
    let job = scheduler.after(PATIENCE, |_| async {}).unwrap();
    assert_eq!(job.status().next, Some(Utc(0) + PATIENCE));
    job.trigger_now().unwrap();
    let run = ears.run();
    assert_eq!((run.outcome, run.firing.due), (Outcome::Succeeded, Mono(0)));
    clock.advance(2 * PATIENCE);
    until(|| job.status().phase == Phase::Ended);
    until(|| scheduler.status().shards.iter().all(|shard| shard.jobs == 0));
    let status = job.status();
    assert_eq!((status.next, status.ended.succeeded), (None, 1));
    assert!(scheduler.drain(PATIENCE) && ears.runs.try_recv().is_err());
}

#[test]
fn it_goes_on_where_the_store_says() {
    let start_at = Utc(0) + Duration::from_hours(10);
    let (store, ears) = told(Permit::Granted(9), Some(Utc(0) + Duration::from_hours(7)));
    let scheduler = start(store, |options| options.clock = Arc::new(FakeClock::new(start_at)));
    scheduler.schedule("0 * * * *", |_| async {}).unwrap();
    // 8 and 9 were missed, and 10 is due: it stands for all.
    let run = ears.run();
    assert_eq!(run.firing.nominal, start_at);
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn what_was_not_finished_is_started_again() {
    let (nominal, trigger) = (Utc(0) + Duration::from_hours(7), None);
    let (store, ears) = told(Permit::Granted(9), Some(nominal));
    let open = vec![Open { nominal, trigger, attempt: 2 }];
    let clock = Arc::new(FakeClock::new(nominal + Duration::from_secs(1)));
    let scheduler = start(Told { open, ..store }, |options| options.clock = clock);
    let (tell, told) = channel();
    let work = move |context: Context| {
        let _ = tell.send((context.nominal(), context.attempt(), context.fence()));
        async {}
    };
    scheduler.schedule("0 * * * *", work).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (nominal, 3, 9));
    let run = ears.run();
    assert_eq!((run.firing.after, run.fence, run.again), (nominal, 9, false));
    assert!(scheduler.drain(PATIENCE) && ears.runs.try_recv().is_err());
}

#[test]
fn what_the_store_refuses_does_not_start() {
    let (store, ears) = told(Permit::Refused, None);
    let scheduler = start(store, |_| ());
    let job = scheduler.schedule("@every 5ms", |_| async { boom("it runs") }).unwrap();
    assert_eq!(ears.run().outcome, Outcome::Refused);
    assert!(scheduler.drain(PATIENCE));
    assert_eq!(job.lateness_us().len(), 0);
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(Told { broken: true, ..store }, |_| ());
    scheduler.schedule("@every 5ms", |_| async { boom("it runs") }).unwrap();
    assert_eq!(ears.run().outcome, Outcome::Failed("the store: no disk".to_owned()));
    assert!(scheduler.status().pool.store_errors > 0);
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn a_store_that_panics_stops_nobody_else() {
    let (store, _ears) = told(Permit::Granted(9), None);
    let scheduler = start(Told { panics: true, ..store }, |options| options.running = 1);
    let job = scheduler.schedule("@daily", |_| async {}).unwrap();
    for asked in 1..=3 {
        job.trigger_now().unwrap();
        until(|| PANICS.load(Ordering::Relaxed) == asked && job.status().busy == 0);
    }
    assert!(scheduler.drain(PATIENCE));
}

/// Far more than the queue takes, in one instant.
#[test]
fn a_burst_is_worked_off_whole() {
    let (store, _ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |options| {
        (options.queue, options.running, options.intake) = (64, 8, 1 << 15);
    });
    let ran = Arc::new(AtomicU64::new(0));
    let count = 20_000;
    for _ in 0..count {
        let ran = Arc::clone(&ran);
        let run = move |_| async move {
            ran.fetch_add(1, Ordering::Relaxed);
        };
        scheduler.after(Duration::from_millis(300), run).unwrap();
    }
    until(|| ran.load(Ordering::Relaxed) == count);
    until(|| scheduler.status().shards.iter().all(|shard| shard.jobs == 0));
    assert!(scheduler.drain(PATIENCE));
}

#[test]
fn a_drain_waits_for_runs_and_says_if_it_did_not() {
    for waits in [true, false] {
        let (store, ears) = told(Permit::Granted(9), None);
        let scheduler = start(store, |_| ());
        let gate = Arc::new(Gate::default());
        let passes = Arc::clone(&gate);
        let work = Work::blocking(move |_| passes.pass());
        let job = scheduler.add(definition("held", "@daily", JobOptions::default()), work).unwrap();
        job.trigger_now().unwrap();
        until(|| scheduler.status().pool.running == 1);
        if waits {
            gate.open();
        }
        assert_eq!(scheduler.drain(if waits { PATIENCE } else { Duration::ZERO }), waits);
        assert_eq!(ears.runs.try_recv().is_ok(), waits);
        assert!(matches!(job.trigger_now(), Err(Error::Closed)));
        gate.open();
    }
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let (store, _ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let refused = |spec: &str| scheduler.schedule(spec, |_| async {}).unwrap_err().to_string();
    assert_eq!(refused("0 0 30 2 *"), "'0 0 30 2 *' never fires between now and the year 2262");
    assert_eq!(refused("61 * * * *"), "'61 * * * *': field 1 (minute) '61': Number out of bounds");
    let one = || definition("one", "@daily", JobOptions::default());
    scheduler.add(one(), Work::blocking(|_| ())).unwrap();
    let twice = scheduler.add(one(), Work::blocking(|_| ())).unwrap_err();
    assert_eq!(twice.to_string(), "there is a job 'one' already");
    assert_eq!(scheduler.jobs().len(), 1);
    assert!(scheduler.job("one").is_some() && scheduler.job("two").is_none());
    let none = Scheduler::start(Options { shards: 0, ..Options::default() }).err().unwrap();
    assert_eq!(none.to_string(), "shards is 0, and must be 1 to 64");
}

#[test]
fn next_firings_are_what_the_schedule_says() {
    let (store, _ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |_| ());
    let job = scheduler.schedule("30 9 * * *", |_| async {}).unwrap();
    let next: Vec<String> = job.next_firings(Utc(0), 2).iter().map(Utc::to_string).collect();
    assert_eq!(next, ["1970-01-01T09:30:00Z", "1970-01-02T09:30:00Z"]);
}

/// Whatever this user may: each wish has its answer, and it runs.
#[test]
fn wishes_are_answered_and_are_no_condition() {
    let (store, ears) = told(Permit::Granted(9), None);
    let scheduler = start(store, |options| {
        options.shards = 1;
        options.spin = Duration::from_micros(50);
        options.realtime.fifo = Some(99);
        options.realtime.cores = vec![0];
    });
    scheduler.schedule("@every 2ms", |_| async {}).unwrap();
    let _ = (ears.run(), ears.run());
    let status = scheduler.status();
    let wishes: Vec<_> = status.shards[0].wishes.iter().map(|wish| wish.what.as_str()).collect();
    assert_eq!(wishes, ["timer slack 1 ns", "core 0", "SCHED_FIFO 99"]);
    assert!(matches!(status.shards[0].wishes[2].answer, Answer::Refused(_)));
    assert!(scheduler.drain(PATIENCE));
}
