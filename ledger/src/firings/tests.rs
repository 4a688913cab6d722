use cronx_scheduler::breaker::{Rejected, Rule, State as Standing};
use cronx_scheduler::{Mono, Open, TraceId};
use tempfile::TempDir;

use super::*;
use crate::claim::State;
use crate::sqlite::{Options, Sqlite};
use crate::store::Look;

fn firing(nominal: i64) -> Firing {
    Firing {
        job: Arc::<str>::from("job").into(),
        nominal: Utc(nominal),
        attempt: 1,
        number: 0,
        after: Utc(nominal - 1),
        trigger: None,
        due: Mono(0),
        popped: Mono(0),
        shard_tid: 1,
        trace: TraceId(nominal as u128),
    }
}

fn rejected(firing: Firing, fence: u64, again: bool) -> Run {
    let said = Rejected { state: Standing::Open, rule: Rule::Consecutive, until: None };
    let rejection = Rejection { breaker: "mail".into(), said };
    let at = Mono(0);
    Run {
        firing,
        enqueued: at,
        dequeued: at,
        started: at,
        finished: at,
        worker_tid: 0,
        outcome: Outcome::Rejected(rejection),
        decisions: Vec::new(),
        fence,
        again,
    }
}

/// It is decided like one that ran; only one whose job says so is still to be tried.
#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_passes_what_a_breaker_rejected() {
    let folder = TempDir::new().unwrap();
    let open = Sqlite::open(&folder.path().join("l"), &Options::default());
    let ledger: Arc<dyn Ledger> = Arc::new(open.unwrap());
    let owner = |name: &str| Firings::new(Arc::clone(&ledger), "t", name.into(), Tenure::Store);
    let (job, first) = (Arc::<str>::from("job"), owner("first"));
    first.resume(&job, Utc(0)).unwrap();
    for (nominal, again) in [(1, false), (2, true)] {
        let Permit::Granted(fence) = first.begin(&firing(nominal)).await.unwrap() else { panic!() };
        first.end(&rejected(firing(nominal), fence, again)).await.unwrap();
    }
    let resumed = owner("second").resume(&job, Utc(9)).unwrap();
    let open = Open { nominal: Utc(2), trigger: None, attempt: 1 };
    assert_eq!(resumed, Resumed { cursor: Utc(2), open: vec![open] });
    let rows = ledger.entries(Look::After(None), None, 9).await.unwrap();
    let said: Vec<_> = rows.into_iter().map(|row| row.unwrap().1.state).collect();
    let why = Arc::<str>::from("rejected: mail, consecutive");
    assert_eq!(said, [State::Done { result: Arc::clone(&why) }, State::Failed { why }]);
}
