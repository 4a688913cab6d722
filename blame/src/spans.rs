//! What programs announced of themselves, and what its time went to: the other half of the question
//! that the waits answer.
//!
//! `life` says what each thread did when, `walk` gives each nanosecond of a firing or span to one part,
//! `join` finds the ends of what began, `budget` sums.

mod budget;
mod join;
mod life;
mod walk;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use cronx_recording::histogram::carries;
use cronx_recording::{
    Announced, Capture, Explained, Listened, Part, PutOff, Rejected as Row, Spans, Untrusted,
};

use budget::{Sum, Tiled};
use join::{Rejected, Started, Whole};
use life::Lives;

use crate::Options;
use crate::anomaly::Counts;
use crate::blocks::Ruler;
use crate::distribution::Distribution;
use crate::evidence::Evidence;
use crate::tally::ROWS;
use crate::tile::Tiler;
use crate::waits::Waits;

/// So many of the worst are told one by one, of firings and of spans.
const WORST: usize = 16;

/// One that can be explained: what all of this asks of a firing or a span.
struct Item<'a> {
    name: &'a Untrusted,
    process: Untrusted,
    from_ns: u64,
    to_ns: u64,
    length_ns: u64,
    late: bool,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Firing(&'a Started),
    Span(&'a Whole),
}

impl Item<'_> {
    /// Why it was put off, if it was.
    fn why(&self) -> Option<&PutOff> {
        match self.what {
            What::Firing(started) => started.held.as_ref().map(|held| &held.why),
            What::Span(_) => None,
        }
    }
}

/// Explains every firing and span of the window; `None` if nobody listened.
pub(crate) fn explain(
    capture: &Capture,
    evidence: &Evidence,
    waits: &Waits,
    options: &Options,
) -> Option<Spans> {
    let listened = capture.trailer.as_ref().and_then(|trailer| trailer.spans.clone());
    if listened.is_none() && capture.spans.bytes.is_empty() {
        return None;
    }
    let mut flaws = Counts::default();
    let window = (evidence.started_ns, evidence.stopped_ns);
    let hears_ends = listened.as_ref().is_none_or(hears_ends);
    let joined = join::join(&capture.spans, window, hears_ends, &mut flaws);
    let lives = Lives::new(evidence, waits);
    let judge = Judge { evidence, lives: &lives, options };
    let firings = judge.firings(&joined.started, &mut flaws);
    let spans = judge.spans(&joined.spans);
    // What is odd about a wait is counted with all the waits.
    let mut elsewhere = Counts::default();
    let mut tiler = Tiler::new(evidence, &mut elsewhere);
    let (firings, jobs) = judge.sums(&firings, &mut tiler);
    let (spans, names) = judge.sums(&spans, &mut tiler);
    Some(Spans {
        listened: listened.unwrap_or_default(),
        records: joined.records,
        lateness: firings.lengths.quantiles(),
        firings: firings.whole.finish(evidence),
        late: firings.late.finish(evidence),
        jobs,
        spans: names,
        worst_firings: firings.worst,
        worst_spans: spans.worst,
        rejected: judge.rejected(&joined.rejected),
        flaws: flaws.into_report(),
    })
}

fn hears_ends(listened: &Listened) -> bool {
    let probes = listened.binaries.iter().flat_map(|binary| &binary.probes);
    probes.into_iter().any(|probe| probe == "firing_finished")
}

struct Judge<'a, 'e> {
    evidence: &'e Evidence<'e>,
    lives: &'a Lives<'e>,
    options: &'a Options,
}

/// What is summed of all.
#[derive(Default)]
struct Total {
    lengths: Distribution,
    whole: Sum,
    late: Sum,
    worst: Vec<Explained>,
}

impl<'e> Judge<'_, 'e> {
    /// One that was due before the window is left out: of its beginning there is no evidence.
    fn firings<'s>(&self, started: &'s [Started], flaws: &mut Counts) -> Vec<Item<'s>> {
        let in_window = |started: &&Started| {
            let inside = started.due_ns() >= self.evidence.started_ns;
            flaws.add("due_before_window", u64::from(!inside));
            inside
        };
        let item = |started: &'s Started| {
            let firing = &started.firing;
            let length_ns = started.lateness_ns();
            let over = self.options.objective_ns.map(|objective_ns| length_ns > objective_ns);
            Item {
                name: &started.job,
                process: self.process(firing.tid, firing.tgid, firing.started_ns),
                from_ns: started.due_ns(),
                to_ns: firing.started_ns,
                length_ns,
                late: over.unwrap_or(started.called_late),
                what: What::Firing(started),
            }
        };
        self.wanted(started.iter().filter(in_window).map(item))
    }

    fn spans<'s>(&self, spans: &'s [Whole]) -> Vec<Item<'s>> {
        let item = |span: &'s Whole| {
            let length_ns = span.end_ns - span.begin_ns;
            Item {
                name: &span.name,
                process: self.process(span.tid, span.tgid, span.end_ns),
                from_ns: span.begin_ns,
                to_ns: span.end_ns,
                length_ns,
                late: self.options.objective_ns.is_some_and(|most_ns| length_ns > most_ns),
                what: What::Span(span),
            }
        };
        self.wanted(spans.iter().map(item))
    }

    /// By job, breaker and reason.
    fn rejected(&self, all: &[Rejected]) -> Vec<Row> {
        let mut rows: BTreeMap<_, Row> = BTreeMap::new();
        for one in all {
            let process = self.process(one.tid, one.tgid, one.at_ns);
            let at_ns = one.at_ns - self.evidence.started_ns;
            let key = (process, &one.job, &one.breaker, &one.state, &one.rule);
            let row = rows.entry(key).or_insert_with_key(|(process, ..)| Row {
                name: one.job.clone(),
                process: process.clone(),
                breaker: one.breaker.clone(),
                state: one.state.clone(),
                rule: one.rule.clone(),
                count: 0,
                put_off: 0,
                first_ns: at_ns,
                last_ns: at_ns,
            });
            row.count += 1;
            row.put_off += u64::from(one.put_off);
            row.last_ns = at_ns;
        }
        let process = self.options.process.as_deref();
        let is_wanted = |row: &Row| process.is_none_or(|wanted| row.process.raw() == wanted);
        let mut rows: Vec<_> = rows.into_values().filter(is_wanted).collect();
        rows.sort_by_key(|row| Reverse(row.count));
        rows.truncate(ROWS);
        rows
    }

    fn wanted<'s>(&self, items: impl Iterator<Item = Item<'s>>) -> Vec<Item<'s>> {
        let process = self.options.process.as_deref();
        items.filter(|item| process.is_none_or(|wanted| item.process.raw() == wanted)).collect()
    }

    fn process(&self, tid: u32, tgid: u32, at_ns: u64) -> Untrusted {
        match self.lives.find(tid, tgid, at_ns) {
            Some(key) => self.evidence.strings.text(self.evidence.names.of(key, at_ns).process),
            None => format!("pid {tgid}").into(),
        }
    }

    /// The sums over all, and by name: each is walked once, or twice if it is among the worst.
    fn sums(&self, items: &[Item], tiler: &mut Tiler) -> (Total, Vec<Announced>) {
        let ruler = Ruler::new(self.evidence.started_ns, self.evidence.stopped_ns);
        let mut all = Total::default();
        let mut groups: BTreeMap<(&Untrusted, &Untrusted), Vec<&Item>> = BTreeMap::new();
        for item in items {
            all.lengths.record_in(ruler.at(item.to_ns), item.length_ns);
            groups.entry((&item.process, item.name)).or_default().push(item);
        }
        let mut named: Vec<_> = groups
            .into_iter()
            .map(|((process, name), items)| self.group((process, name), &items, &mut all, tiler))
            .collect();
        named.sort_by_key(|row| {
            Reverse((row.quantiles.p99_ns.unwrap_or(row.quantiles.max_ns), row.quantiles.sum_ns))
        });
        named.truncate(ROWS);
        let mut worst: Vec<_> = items.iter().filter(|item| item.length_ns > 0).collect();
        worst.sort_by_key(|item| Reverse((item.length_ns, item.from_ns)));
        worst.truncate(WORST);
        all.worst = worst.into_iter().map(|item| self.words(item, tiler)).collect();
        (all, named)
    }

    fn group(
        &self,
        (process, name): (&Untrusted, &Untrusted),
        items: &[&Item],
        all: &mut Total,
        tiler: &mut Tiler,
    ) -> Announced {
        let mut lengths = Distribution::default();
        for item in items {
            lengths.record(item.length_ns);
        }
        let quantiles = lengths.quantiles();
        let mut sorted: Vec<_> = items.iter().map(|item| item.length_ns).collect();
        sorted.sort_unstable();
        let threshold_ns = threshold(&sorted);
        let (mut whole, mut tail) = (Sum::default(), Sum::default());
        for item in items {
            let pieces = self.pieces(item, tiler);
            all.whole.add(&pieces);
            whole.add(&pieces);
            if item.length_ns >= threshold_ns {
                tail.add(&pieces);
            }
            if item.late {
                all.late.add(&pieces);
            }
        }
        Announced {
            name: name.clone(),
            process: process.clone(),
            quantiles,
            late: items.iter().filter(|item| item.late).count() as u64,
            all: whole.finish(self.evidence),
            tail: tail.finish(self.evidence),
        }
    }

    fn pieces(&self, item: &Item, tiler: &mut Tiler) -> Vec<Tiled<'e>> {
        let pieces = match item.what {
            What::Firing(started) => {
                let since_ns = started.held.as_ref().map(|held| held.since_ns);
                walk::firing(&started.firing, since_ns, self.lives)
            }
            What::Span(span) if span.moved => walk::moved((item.from_ns, item.to_ns)),
            What::Span(span) => {
                let thread = self.lives.find(span.tid, span.tgid, span.end_ns);
                walk::span(thread, (item.from_ns, item.to_ns), self.lives)
            }
        };
        budget::tile(pieces, tiler)
    }

    fn words(&self, item: &Item, tiler: &mut Tiler) -> Explained {
        let pieces = self.pieces(item, tiler);
        let mut parts = budget::parts(&pieces, item.from_ns, self.evidence);
        let put_off = parts.first_mut().filter(|first| first.part == Part::Breaker);
        if let (Some(part), Some(why)) = (put_off, item.why()) {
            part.breaker = Some(why.clone());
        }
        let (tgid, tid, shard_tid, number, ran_ns) = match item.what {
            What::Firing(Started { firing, run, finished_ns, .. }) => {
                let ran_ns = finished_ns.map(|finished_ns| finished_ns - firing.started_ns);
                (firing.tgid, firing.tid, firing.shard_tid, *run, ran_ns)
            }
            What::Span(span) => (span.tgid, span.tid, 0, span.id, None),
        };
        Explained {
            name: item.name.clone(),
            process: item.process.clone(),
            tgid,
            tid,
            shard_tid,
            number,
            at_ns: item.from_ns.saturating_sub(self.evidence.started_ns),
            total_ns: item.length_ns,
            ran_ns,
            parts,
        }
    }
}

/// Where the tail of some lengths begins: their P99, or the largest where there are too few for one.
fn threshold(sorted: &[u64]) -> u64 {
    let count = sorted.len();
    let rank = if carries(count as u64, 0.99) { count - count.div_ceil(100) } else { count - 1 };
    sorted.get(rank).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
