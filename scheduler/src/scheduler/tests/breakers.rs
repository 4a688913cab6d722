//! Breakers in the whole of it: what counts, what is rejected, what is started then, and what is written down.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::breaker::{Breaker, Event, Record, Rules, State, Witness, replay};
use crate::{Job, Rejection};

type Log = Arc<StdMutex<Vec<Record>>>;

/// A breaker of chapter 1's, and all that it says.
fn watched(rules: Rules) -> (Arc<Breaker>, Log) {
    let log = Log::default();
    let writes = Arc::clone(&log);
    let witness: Witness = Arc::new(move |record| writes.lock().unwrap().push(record.clone()));
    (Breaker::watched("ledger", rules, witness).unwrap(), log)
}

/// A scheduler whose clock stands, and what ends there.
struct Stage {
    scheduler: Scheduler,
    ears: Ears,
    clock: FakeClock,
}

impl Stage {
    fn new() -> Self {
        let (store, ears) = told(Permit::Granted(0), None);
        let clock = FakeClock::new(Utc(0));
        let scheduler = start(store, |options| options.clock = Arc::new(clock.clone()));
        Self { scheduler, ears, clock }
    }

    fn add(&self, name: &str, options: JobOptions, work: Work) -> Job {
        self.scheduler.add(definition(name, "@never", options), work).unwrap()
    }

    /// A job that fails as long as it is told to, behind this breaker.
    fn failing(&self, name: &str, breaker: &Arc<Breaker>, fails: &Arc<AtomicBool>) -> Job {
        let fails = Arc::clone(fails);
        let work = Work::future(move |_| {
            let ended = if fails.load(Ordering::Relaxed) { Err("down") } else { Ok(()) };
            std::future::ready(ended)
        });
        self.add(name, JobOptions::default(), work.behind([Arc::clone(breaker)]))
    }

    /// One more run of it.
    fn run(&self, job: &Job) -> Run {
        job.trigger_now().unwrap();
        let run = self.ears.run();
        until(|| job.status().busy == 0);
        run
    }
}

fn rejection(run: &Run) -> &Rejection {
    match &run.outcome {
        Outcome::Rejected(rejection) => rejection,
        other => panic!("it is {other:?}"),
    }
}

#[test]
fn what_fails_three_times_is_rejected_until_a_probe_succeeds() {
    let (stage, fails) = (Stage::new(), Arc::new(AtomicBool::new(true)));
    let (breaker, log) = watched(Rules::PAPER_CH1);
    let job = stage.failing("pay", &breaker, &fails);
    let third = [(); 3].map(|()| stage.run(&job)).into_iter().next_back().unwrap();
    assert!(matches!(&third.decisions[..], [Record { event: Event::Turned(_), .. }]));
    let rejected = stage.run(&job);
    assert_eq!(rejection(&rejected).to_string(), "the breaker 'ledger' is open (consecutive)");
    assert_eq!((rejected.worker_tid, rejected.decisions.len()), (0, 1));
    fails.store(false, Ordering::Relaxed);
    stage.clock.advance(Duration::from_mins(1));
    assert_eq!(stage.run(&job).outcome, Outcome::Succeeded);
    assert_eq!(breaker.standing(Mono(0)).state, State::Closed);
    let ended = job.status().ended;
    assert_eq!((ended.failed, ended.rejected, ended.succeeded), (3, 1, 1));
    assert_eq!(job.lateness_us().len(), 4, "what never began was never late");
    assert_eq!(replay(Rules::PAPER_CH1, &*log.lock().unwrap()), Ok(3));
    assert!(stage.scheduler.drain(PATIENCE));
}

#[test]
fn a_rejected_attempt_is_not_tried_again() {
    let (stage, (breaker, _)) = (Stage::new(), watched(Rules::PAPER_CH1));
    let retry = Retry { attempts: 9, base: Duration::ZERO, cap: Duration::ZERO, rejected: false };
    let options = JobOptions { retry, ..JobOptions::default() };
    let work = Work::blocking(|_| Err::<(), _>("down")).behind([Arc::clone(&breaker)]);
    let job = stage.add("pay", options, work);
    job.trigger_now().unwrap();
    let runs = [(); 4].map(|()| stage.ears.run());
    let traces = runs.each_ref().map(|run| run.firing.trace);
    assert!(traces.iter().all(|trace| *trace == traces[0]), "one firing is one trace");
    assert_eq!((runs[3].firing.attempt, &*rejection(&runs[3]).breaker), (4, "ledger"));
    until(|| job.status().busy == 0);
    assert!(stage.ears.runs.try_recv().is_err());
    assert!(stage.scheduler.drain(PATIENCE));
}

#[test]
fn a_firing_that_is_to_wait_for_its_breaker_runs_when_that_lets_it() {
    let (stage, (breaker, _)) = (Stage::new(), watched(Rules::PAPER_CH1));
    let retry = Retry { attempts: 9, base: Duration::ZERO, cap: Duration::ZERO, rejected: true };
    let options = JobOptions { retry, ..JobOptions::default() };
    let fails = Arc::new(AtomicBool::new(true));
    let work = {
        let fails = Arc::clone(&fails);
        Work::blocking(move |_| if fails.load(Ordering::Relaxed) { Err("down") } else { Ok(()) })
    };
    let job = stage.add("pay", options, work.behind([Arc::clone(&breaker)]));
    job.trigger_now().unwrap();
    let runs = [(); 4].map(|()| stage.ears.run());
    let until = rejection(&runs[3]).said.until.unwrap();
    assert_eq!((runs[3].again, until), (true, Mono(0) + Duration::from_mins(1)));
    fails.store(false, Ordering::Relaxed);
    stage.clock.advance(Duration::from_mins(1));
    let last = stage.ears.run();
    assert_eq!((&last.outcome, last.firing.due), (&Outcome::Succeeded, until));
    assert_eq!((last.firing.attempt, last.firing.trace), (5, runs[3].firing.trace));
    assert!(stage.scheduler.drain(PATIENCE));
}

#[test]
fn panics_and_timeouts_count_and_what_is_told_to_stop_does_not() {
    let (stage, (breaker, _)) = (Stage::new(), watched(Rules::PAPER_CH1));
    let behind = |work: Work| work.behind([Arc::clone(&breaker)]);
    let panics = behind(Work::blocking(|_| boom("at work")));
    let panics = stage.add("panics", JobOptions::default(), panics);
    let timeout = Some(Duration::from_secs(1));
    let options = JobOptions { timeout, ..JobOptions::default() };
    let hangs = stage.add("hangs", options, behind(Work::future(|_| std::future::pending::<()>())));
    let policy = Policy { overlap: Overlap::CancelOther, ..Policy::default() };
    let options = JobOptions { policy, ..JobOptions::default() };
    let work = behind(Work::future(|_| std::future::pending::<()>()));
    let stops = stage.add("stops", options, work);
    stops.trigger_now().unwrap();
    until(|| stops.status().busy == 1);
    for _ in 0..3 {
        stops.trigger_now().unwrap();
        assert_eq!(stage.ears.run().outcome, Outcome::Cancelled);
        until(|| stops.status().waiting == 0 && stops.status().busy == 1);
    }
    assert_eq!(breaker.standing(Mono(0)).window.calls, 0);
    assert!(matches!(stage.run(&panics).outcome, Outcome::Panicked(_)));
    hangs.trigger_now().unwrap();
    let timed_out = |run: Run| assert_eq!(run.outcome, Outcome::TimedOut);
    until(|| {
        stage.clock.advance(Duration::from_secs(1));
        stage.ears.runs.try_recv().map(timed_out).is_ok()
    });
    assert_eq!(breaker.standing(Mono(0)).window.in_row, 2);
    until(|| panics.status().busy == 0);
    stage.run(&panics);
    assert_eq!(breaker.standing(Mono(0)).state, State::Open);
}

#[test]
fn jobs_that_depend_on_the_same_share_what_is_known_of_it() {
    let (stage, fails) = (Stage::new(), Arc::new(AtomicBool::new(true)));
    let ((shared, _), own) = (watched(Rules::PAPER_CH1), Breaker::new("own", Rules::PAPER_CH1));
    let own = own.unwrap();
    let job = stage.failing("pay", &shared, &fails);
    (0..3).for_each(|_| _ = stage.run(&job));
    let work = Work::blocking(|_| boom("it runs"));
    let other = work.behind([Arc::clone(&own)]).behind([shared]);
    let other = stage.add("refund", JobOptions::default(), other);
    assert_eq!(&*rejection(&stage.run(&other)).breaker, "ledger");
    let standing = own.standing(Mono(0));
    assert_eq!((standing.state, standing.window.calls), (State::Closed, 0));
    assert!(stage.scheduler.drain(PATIENCE));
}

#[test]
fn a_shadow_says_so_and_lets_all_pass() {
    let (stage, fails) = (Stage::new(), Arc::new(AtomicBool::new(true)));
    let rules = Rules { shadow: true, ..Rules::PAPER_CH1 };
    let (breaker, log) = watched(rules);
    let job = stage.failing("pay", &breaker, &fails);
    for _ in 0..5 {
        assert!(matches!(stage.run(&job).outcome, Outcome::Failed(_)));
    }
    let standing = breaker.standing(Mono(0));
    assert_eq!((standing.state, standing.rejected), (State::Open, 2));
    let log = log.lock().unwrap();
    assert!(log.iter().all(|record| record.shadow));
    assert_eq!(replay(rules, &*log), Ok(1));
}

#[test]
fn an_opening_starts_its_remedy_once() {
    let (stage, fails) = (Stage::new(), Arc::new(AtomicBool::new(true)));
    let (breaker, log) = watched(Rules::PAPER_CH1);
    let job = stage.failing("pay", &breaker, &fails);
    let mends = Arc::clone(&fails);
    let heal = Work::blocking(move |_| mends.store(false, Ordering::Relaxed));
    let own = Breaker::new("heal", Rules::PAPER_CH1).unwrap();
    let heal = stage.add("heal", JobOptions::default(), heal.behind([own]));
    breaker.set_remedy(Some(heal.clone()));
    (0..2).for_each(|_| _ = stage.run(&job));
    job.trigger_now().unwrap();
    let mut ended = [stage.ears.run(), stage.ears.run()].map(|run| run.firing.job.to_string());
    ended.sort();
    assert_eq!(ended, ["heal", "pay"]);
    until(|| job.status().busy == 0 && heal.status().busy == 0);
    rejection(&stage.run(&job));
    stage.clock.advance(Duration::from_mins(1));
    assert_eq!(stage.run(&job).outcome, Outcome::Succeeded);
    assert_eq!(heal.status().ended.succeeded, 1);
    let log = log.lock().unwrap();
    let remedies = log.iter().filter(|record| matches!(record.event, Event::Remedy { .. }));
    assert_eq!(remedies.count(), 1);
    assert_eq!(replay(Rules::PAPER_CH1, &*log), Ok(3));
    drop(log);
    assert!(stage.scheduler.drain(PATIENCE));
}

#[test]
fn a_job_of_no_schedule_fires_when_it_is_told_to() {
    let stage = Stage::new();
    let job = stage.add("seldom", JobOptions::default(), Work::blocking(|_| ()));
    assert_eq!((job.status().phase, job.status().next), (Phase::Paused, None));
    stage.clock.advance(Duration::from_hours(24 * 366));
    assert_eq!(stage.run(&job).outcome, Outcome::Succeeded);
    assert_eq!(stage.run(&job).outcome, Outcome::Succeeded);
    assert!(job.cancel() && stage.scheduler.drain(PATIENCE));
}
