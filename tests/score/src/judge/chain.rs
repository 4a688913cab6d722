//! The chain: whom the server waited for when the asker waited for the server.

use anyhow::{Context, Result};
use cronx_blame::{Options, TiledWait};
use cronx_recording::{Link, Miss};

use super::{COUNTED_NS, Evidence, Row, WORST, percent};
use crate::log::Thread;
use crate::score::{self, Figures};
use crate::truth::{self, Cast, Real, Shares};

/// Links that the asker's misses have to the server, by the report, against the hog's log.
pub(super) fn judge(evidence: &Evidence, row: &mut Row) -> Result<()> {
    let options =
        Options { thread: Some("asker".to_owned()), worst: usize::MAX, ..Options::default() };
    let report = cronx_blame::analyse(&evidence.take.capture, &options);
    let hog = evidence.take.actors.threads.first().context("no hog wrote its log")?;
    let cast = Cast::new(&[with_interrupts(hog)], &[], None);
    let started_ns = evidence.take.capture.header.started_ns;
    let links: Vec<_> = report.worst.iter().filter_map(|miss| link(miss, started_ns)).collect();
    let real: Vec<_> = links.iter().map(|(_, wait)| real(&cast, wait)).collect();
    let blamed: Vec<_> = links.iter().map(|(link, _)| blamed(&cast, link, hog.tid)).collect();
    let Figures { top1, share_error } = score::figures(&real, &blamed);
    (row.waits, row.top1, row.share_error) = (links.len(), top1, share_error);
    row.accuse(score::false_certainty_ns(&real, &blamed));
    row.notes.extend(score::worst_false(&real, &blamed).map(|(number, actor)| {
        let (link, wait) = &links[number];
        format!(
            "{WORST}: {} owed {} ns, {}",
            link.culprit.tid,
            link.owed_ns,
            cast.show(wait, actor)
        )
    }));
    let woken = report.worst.iter().filter(|miss| miss.waker.raw().contains("server")).count();
    let chained = report.worst.iter().filter(|miss| server(miss).is_some()).count();
    let share = percent(chained as u64, woken as u64);
    row.notes.push(format!("{chained} of {woken} wake-ups by the server have its wait as a link"));
    row.demand(share > 99.0, || format!("only {share:.1} % have the link"));
    Ok(())
}

fn server(miss: &Miss) -> Option<&Link> {
    miss.chain.first().filter(|link| link.thread.raw() == "server")
}

/// A long wait of the server's and when it was.
fn link(miss: &Miss, started_ns: u64) -> Option<(&Link, TiledWait)> {
    let link = server(miss).filter(|link| link.waited_ns >= COUNTED_NS)?;
    let close_ns = started_ns + miss.at_ns - link.ran_ns;
    let wait = TiledWait {
        victim: cronx_abi::TaskKey::default(),
        open_ns: close_ns - link.waited_ns,
        close_ns,
        censored: false,
        tiles: Vec::new(),
    };
    Some((link, wait))
}

fn real(cast: &Cast, wait: &TiledWait) -> Real {
    cast.real(&truth::pinned(wait, 1))
}

/// All the time in which it had a CPU: a link says how much of a wait was whose, and not when.
fn with_interrupts(hog: &Thread) -> Thread {
    let mut hog = hog.clone();
    hog.ran.append(&mut hog.held);
    hog.ran.sort_by_key(|ran| ran.from_ns);
    hog
}

/// A link names the first culprit alone.
fn blamed(cast: &Cast, link: &Link, hog: u32) -> Shares {
    let mut shares: Shares = vec![0; cast.places()];
    let place = if link.culprit.tid == hog { 0 } else { cast.rest() };
    shares[place] = link.owed_ns;
    shares[cast.rest()] += link.waited_ns - link.owed_ns;
    shares
}
