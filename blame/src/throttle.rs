//! When a thread that waited was out of quota, so that nobody on its CPU could have let it run.
//!
//! A record tells that a cgroup was out of quota on a queue until a refill. Since when, follows:
//! a cgroup uses up its quota by running, so it was since one of its threads was last switched out
//! there, or since before the one that waits came, or since the refill before, if that did not
//! reach this queue.
//!
//! ```text
//! a queue is stopped     |own| another runs  |           |own|      |
//!                   open     |   throttled   r  waiting      | thr. r   close
//!
//! a thread is stopped    |     throttled     r     unknown, if any of   r   close
//!                   open                           its cgroup ran there
//! ```
//! A thread that was stopped by itself can be stopped again only after it ran, which ends its wait: so
//! it was stopped from the opening on or not at all, up to a refill that reached it. Which of several
//! that was is known if none of the cgroup ran between them.
//!
//! What was lost on any CPU may have been a refill, and who ran while that is not known may have been
//! one of the cgroup: between what they leave open, nobody knows.

use cronx_abi::wait_flag;

use crate::anomaly::Counts;
use crate::evidence::Evidence;
use crate::names::Named;
use crate::owners::{Kind, Owner};
use crate::quota::Stops;
use crate::stays::Stay;
use crate::timeline::{Cursor, Piece, Timeline};
use crate::waits::Interval;

/// What a thread on a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Throttled,
    /// Throttled or waiting: nobody knows.
    Doubtful,
    Waiting,
}

/// The times of one wait that it spent throttled, or perhaps; the rest is waiting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Throttle {
    certain: Vec<(u64, u64)>,
    doubtful: Vec<(u64, u64)>,
}

impl Throttle {
    /// When the thread of `interval`, which stayed on these queues, was out of quota.
    pub(crate) fn of(
        interval: &Interval,
        stays: &[Stay],
        evidence: &Evidence,
        anomalies: &mut Counts,
    ) -> Self {
        let opened = interval.wait.flags & wait_flag::THROTTLED != 0;
        let told = interval.victim.told;
        let nameless = opened && told && interval.victim.cgroup == 0;
        anomalies.add("throttled_in_no_cgroup", u64::from(nameless));
        let mut search = Search { interval, evidence, opened, found: Self::default() };
        let explained = match evidence.quota.stops {
            Some(Stops::Thread) if opened => search.thread(stays),
            Some(Stops::Queue) if opened || !interval.victim.is_real_time() => search.queues(stays),
            Some(_) => return Self::default(),
            None => !opened,
        };
        let mut found = search.found;
        if !explained {
            anomalies.count("throttled_without_refill");
            found.doubt(interval.wait.open_ns, interval.told_ns);
        }
        found
    }

    /// Of one whose stays are not known.
    pub(crate) fn perhaps(interval: &Interval) -> Self {
        let mut found = Self::default();
        if interval.wait.flags & wait_flag::THROTTLED != 0 {
            found.doubt(interval.wait.open_ns, interval.told_ns);
        }
        found
    }

    fn hold(&mut self, from_ns: u64, to_ns: u64) {
        if from_ns < to_ns {
            self.certain.push((from_ns, to_ns));
        }
    }

    fn doubt(&mut self, from_ns: u64, to_ns: u64) {
        if from_ns < to_ns {
            self.doubtful.push((from_ns, to_ns));
        }
    }

    /// Calls `part` for `[from_ns, to_ns)` by phase, in order, where what is certain counts first.
    pub(crate) fn parts(&self, from_ns: u64, to_ns: u64, mut part: impl FnMut(Phase, u64, u64)) {
        let mut at_ns = from_ns;
        while at_ns < to_ns {
            let certain = next(&self.certain, at_ns);
            let doubtful = next(&self.doubtful, at_ns);
            let (phase, until_ns) = match (certain, doubtful) {
                ((from_ns, until_ns), _) if from_ns <= at_ns => (Phase::Throttled, until_ns),
                (held, (from_ns, until_ns)) if from_ns <= at_ns => {
                    (Phase::Doubtful, until_ns.min(held.0))
                }
                (held, open) => (Phase::Waiting, held.0.min(open.0)),
            };
            let until_ns = until_ns.min(to_ns);
            part(phase, at_ns, until_ns);
            at_ns = until_ns;
        }
    }

    /// Whether a wait that begins at `from_ns` does so out of doubt.
    pub(crate) fn leaves_doubt_at(&self, from_ns: u64) -> bool {
        let ends_here = |spans: &[(u64, u64)]| spans.iter().any(|&(_, to_ns)| to_ns == from_ns);
        ends_here(&self.doubtful) && !ends_here(&self.certain)
    }
}

/// The span that holds the instant, or the next one; far away if there is none.
fn next(spans: &[(u64, u64)], at_ns: u64) -> (u64, u64) {
    let later = spans.iter().filter(|&&(_, to_ns)| to_ns > at_ns);
    later.copied().min().unwrap_or((u64::MAX, u64::MAX))
}

/// A refill of a queue that the victim was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Refill {
    at_ns: u64,
    cgroup: u64,
    /// Whether the victim is in that cgroup, or only may be.
    surely: bool,
}

/// Who ran on a CPU before some instant.
struct Last {
    /// When one of the cgroup was last switched out.
    own_ns: Option<u64>,
    /// Until when nobody knows who ran.
    unknown_ns: Option<u64>,
}

struct Search<'a, 'b> {
    interval: &'a Interval,
    evidence: &'a Evidence<'b>,
    /// Whether it was out of quota when the wait opened.
    opened: bool,
    found: Throttle,
}

impl Search<'_, '_> {
    /// Where each thread is stopped by itself. `false` if nothing tells what let it go.
    fn thread(&mut self, stays: &[Stay]) -> bool {
        let mut from_ns = self.interval.wait.open_ns;
        for (n, stay) in stays.iter().enumerate() {
            if stay.throttled {
                // Let go, it would have had to run to be stopped again.
                self.found.hold(self.interval.wait.open_ns, stay.to_ns);
                from_ns = stay.to_ns;
                continue;
            }
            let mut refills = self.refills(stay);
            refills.sort_unstable();
            self.let_go(from_ns, stay, &refills, n == 0);
            // Where the queue was not out of quota it was let go when it came.
            let lost = self.evidence.losses.any_within(from_ns, stay.to_ns);
            return n > 0 || lost || !refills.is_empty();
        }
        true
    }

    /// One of these refills let it go; `held` if it was out of quota at `from_ns` for certain.
    fn let_go(&mut self, from_ns: u64, stay: &Stay, refills: &[Refill], held: bool) {
        let losses = &self.evidence.losses;
        let mut from_ns = from_ns;
        let mut certain = true;
        for (n, refill) in refills.iter().enumerate() {
            let span_ns = (from_ns, refill.at_ns);
            certain &= (n == 0 && held)
                || (refill.surely && self.is_quiet(stay.cpu, span_ns, refill.cgroup));
            let lost_ns = losses.first_within(from_ns, refill.at_ns).unwrap_or(u64::MAX);
            if certain {
                self.found.hold(from_ns, refill.at_ns.min(lost_ns));
            }
            certain &= lost_ns == u64::MAX;
            self.found.doubt(from_ns, refill.at_ns);
            from_ns = refill.at_ns;
        }
        // What was lost after the last may have been the one; if there was none, it was.
        if held && refills.is_empty() {
            self.found.hold(from_ns, self.first_that_may(from_ns, stay, refills));
        }
        self.found.doubt(from_ns, losses.last_within(from_ns, stay.to_ns).unwrap_or(0));
    }

    /// Where whole queues are stopped. `false` if nothing tells what let it go.
    fn queues(&mut self, stays: &[Stay]) -> bool {
        let (open_ns, told_ns) = (self.interval.wait.open_ns, self.interval.told_ns);
        let lost_ns = self.evidence.losses.last_within(open_ns, told_ns);
        let mut explained = !self.opened || lost_ns.is_some();
        for (n, stay) in stays.iter().enumerate() {
            let refills = self.refills(stay);
            let held = n == 0 && self.opened;
            let from_ns = if held { open_ns } else { stay.from_ns };
            if held {
                self.found.hold(from_ns, self.first_that_may(from_ns, stay, &refills));
            }
            for of_one in refills.chunk_by(|a, b| a.cgroup == b.cgroup) {
                self.before_each(of_one, from_ns, stay);
            }
            if stay.throttled {
                let last_ns = refills.iter().map(|refill| refill.at_ns).max();
                self.until_it_left(from_ns, last_ns.unwrap_or(from_ns), stay);
            }
            explained |= n == 0 && (stay.throttled || !refills.is_empty());
        }
        self.found.doubt(open_ns, lost_ns.unwrap_or(0));
        explained
    }

    /// The first instant at which anything may have let it go; if nothing is known that did, its end
    /// where it was still out of quota, and else its beginning.
    fn first_that_may(&self, from_ns: u64, stay: &Stay, refills: &[Refill]) -> u64 {
        let lost_ns = self.evidence.losses.first_within(from_ns, stay.to_ns);
        let none_ns = if stay.throttled { stay.to_ns } else { from_ns };
        refills.iter().map(|refill| refill.at_ns).chain(lost_ns).min().unwrap_or(none_ns)
    }

    /// Each refill ends a time that began when one of its cgroup was last switched out there, or no
    /// later than the refill before, or than the victim came.
    fn before_each(&mut self, refills: &[Refill], from_ns: u64, stay: &Stay) {
        let mut from_ns = from_ns;
        for refill in refills {
            let until_ns = refill.at_ns;
            let span = (from_ns.max(stay.from_ns), until_ns);
            let last = self.last(stay.cpu, span, |of| self.holds(refill.cgroup, of));
            let since_ns = last.own_ns.unwrap_or(from_ns);
            let known_ns = last.unknown_ns.unwrap_or(0).max(since_ns);
            self.found.doubt(since_ns, known_ns);
            if refill.surely {
                self.found.hold(known_ns, until_ns);
            } else {
                self.found.doubt(known_ns, until_ns);
            }
            from_ns = until_ns;
        }
    }

    /// It was out of quota when it left, but not of which cgroup: its own or one above, whose threads
    /// are its kin at the most.
    fn until_it_left(&mut self, from_ns: u64, refill_ns: u64, stay: &Stay) {
        let cgroup = self.interval.victim.cgroup;
        let span = (stay.from_ns, stay.to_ns);
        let own = self.last(stay.cpu, span, |of| self.holds(cgroup, of));
        let kin = self.last(stay.cpu, span, |of| self.evidence.classes.cgroups.are_kin(cgroup, of));
        let since = [kin.own_ns, kin.unknown_ns, Some(refill_ns)].into_iter().flatten().max();
        let since_ns = since.unwrap_or(from_ns);
        self.found.doubt(own.own_ns.unwrap_or(from_ns), since_ns);
        self.found.hold(since_ns, stay.to_ns);
    }

    /// The refills that may have let it go from this queue, by cgroup and time.
    fn refills(&self, stay: &Stay) -> Vec<Refill> {
        let Evidence { quota, .. } = self.evidence;
        let mut found = Vec::new();
        for (cgroup, instants) in quota.refills(stay.cpu, stay.from_ns, stay.to_ns) {
            let surely = match self.is_in(cgroup) {
                Some(false) => continue,
                is_in => is_in.is_some(),
            };
            found.extend(instants.iter().map(|&at_ns| Refill { at_ns, cgroup, surely }));
        }
        found
    }

    /// Whether a refill of `cgroup` lets the victim run. If the kernel could not name the victim's
    /// cgroup, any does; of a thread that no record told of, and where a path is missing, nobody knows.
    fn is_in(&self, cgroup: u64) -> Option<bool> {
        match self.interval.victim {
            Named { told: false, .. } => None,
            Named { cgroup: 0, .. } => Some(true),
            Named { cgroup: own, .. } => self.holds(cgroup, own),
        }
    }

    fn holds(&self, above: u64, below: u64) -> Option<bool> {
        self.evidence.classes.cgroups.holds(above, below)
    }

    /// Who was last switched out of `cpu` within the span, if `is_own` says so of his cgroup. What
    /// any CPU lost may have been a refill, so that nothing is known until then.
    fn last(
        &self,
        cpu: u16,
        (from_ns, to_ns): (u64, u64),
        is_own: impl Fn(u64) -> Option<bool>,
    ) -> Last {
        let mut last =
            Last { own_ns: None, unknown_ns: self.evidence.losses.last_within(from_ns, to_ns) };
        let runs_on = self.evidence.timelines.get(&cpu).and_then(|cpu| cpu.slice_at(to_ns));
        let runs_on = runs_on.filter(|slice| slice.from_ns < to_ns);
        self.along(cpu, (from_ns, to_ns), |piece| {
            // Who runs on was not switched out, whoever he is; nor was one whose slice no record ends,
            // while somebody waits.
            let goes_on = runs_on.is_some() || (piece.owner.is_none() && piece.from_ns > from_ns);
            if piece.to_ns == to_ns && goes_on && piece.owner != Some(Owner::UNKNOWN) {
                return;
            }
            match self.uses_quota(piece.owner, &is_own) {
                Some(true) => last.own_ns = Some(piece.to_ns),
                Some(false) => {}
                None => last.unknown_ns = last.unknown_ns.max(Some(piece.to_ns)),
            }
        });
        last
    }

    /// Whether certainly nobody ran on `cpu` within the span who is one of the cgroup.
    fn is_quiet(&self, cpu: u16, span_ns: (u64, u64), cgroup: u64) -> bool {
        let mut quiet = true;
        self.along(cpu, span_ns, |piece| {
            let uses = self.uses_quota(piece.owner, |of| self.holds(cgroup, of));
            quiet &= uses == Some(false);
        });
        quiet
    }

    fn along(&self, cpu: u16, span_ns: (u64, u64), piece: impl FnMut(Piece)) {
        let none = Timeline::default();
        let timeline = self.evidence.timelines.get(&cpu).unwrap_or(&none);
        timeline.cut_slices(&mut Cursor::default(), span_ns, piece);
    }

    /// Whether whoever had the CPU uses up the quota of a cgroup that holds him, as `is_own` says.
    fn uses_quota(
        &self,
        owner: Option<Owner>,
        is_own: impl Fn(u64) -> Option<bool>,
    ) -> Option<bool> {
        let owner = owner.filter(|&owner| owner != Owner::UNKNOWN)?;
        match &self.evidence.owners.entry(owner).kind {
            Kind::Task(named) if !named.told => None,
            // A real-time thread is under another quota.
            Kind::Task(named) if !named.is_real_time() => is_own(named.cgroup),
            Kind::Plain(_) | Kind::Interrupt { .. } | Kind::Task(_) => Some(false),
        }
    }
}

#[cfg(test)]
mod tests;
