//! The marks of a victim to its waits: a state machine over what happened to one thread, with an
//! arm for every pair that cannot be.

use std::ops::Range;

use cronx_abi::{TaskKey, Wait, opening};
use cronx_recording::Boundary;

use crate::Options;
use crate::anomaly::Counts;
use crate::evidence::Evidence;
use crate::names::Named;

/// Longer than any machine makes a thread wait (13 days), so its opening is garbage; and short
/// enough that sums of such waits stay numbers.
pub(crate) const IMPLAUSIBLE_NS: u64 = 1 << 50;

/// Something that happened to a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) victim: TaskKey,
    pub(crate) at_ns: u64,
    pub(crate) what: What,
}

/// What happened. The numbers point into [`Evidence::waits`]. The order is that of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Move { from: u16, to: u16, throttled: bool },
    Wait(u32),
    Unopened,
    UnseenClose(u32),
    Open(u32),
}

/// One wait with both its ends, and what the victim was at the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) wait: Wait,
    /// The switch-in, or of a censored wait the end of the window.
    pub(crate) close_ns: u64,
    /// When it was queued; of a censored wait perhaps after the window, where its own ends.
    pub(crate) queued_ns: u64,
    /// The instant of the record that told of it: the switch-in, or the walk after the window.
    pub(crate) told_ns: u64,
    pub(crate) victim: Named,
    /// Whether it was still open then.
    pub(crate) censored: bool,
    /// Its MOVE records, in [`Evidence::marks`].
    pub(crate) moves: Range<usize>,
}

impl Interval {
    pub(crate) fn length_ns(&self) -> u64 {
        self.close_ns - self.wait.open_ns
    }
}

/// All waits of the window, the closed ones by victim and time.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// Those that the options ask for.
    pub(crate) closed: Vec<Interval>,
    /// The others, for the chains that lead through them.
    pub(crate) others: Vec<Interval>,
    pub(crate) censored: Vec<Interval>,
    pub(crate) boundary: Boundary,
}

impl Waits {
    /// The wait of `victim` that was closed at this instant, whether or not anybody asked for it.
    pub(crate) fn closed_at(&self, victim: TaskKey, close_ns: u64) -> Option<&Interval> {
        let wanted = (victim, close_ns);
        let find = |intervals: &[Interval]| {
            intervals.binary_search_by_key(&wanted, |i| (i.wait.victim, i.close_ns)).ok()
        };
        find(&self.closed)
            .map(|at| &self.closed[at])
            .or_else(|| find(&self.others).map(|at| &self.others[at]))
    }
}

/// What is known of a thread after a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    Fresh,
    /// No wait of it was open at this instant.
    Running { at_ns: u64 },
    /// Its wait was open when the recording stopped; `censored` is where that stands, if anywhere.
    Open { censored: Option<usize>, open_ns: u64 },
}

/// Orders the marks and walks those of each victim.
pub(crate) fn build(evidence: &mut Evidence, options: &Options, anomalies: &mut Counts) -> Waits {
    evidence.marks.sort_unstable_by_key(|mark| (mark.victim, mark.at_ns, mark.what));
    let mut walk = Walk { evidence, options, anomalies, waits: Waits::default() };
    let mut first = 0;
    for marks in walk.evidence.marks.chunk_by(|a, b| a.victim == b.victim) {
        walk.victim(first, marks);
        first += marks.len();
    }
    walk.waits
}

struct Walk<'a, 'b> {
    evidence: &'a Evidence<'b>,
    options: &'a Options,
    anomalies: &'a mut Counts,
    waits: Waits,
}

impl Walk<'_, '_> {
    /// `first` is the number of the first of these marks among all.
    fn victim(&mut self, first: usize, marks: &[Mark]) {
        let mut state = State::Fresh;
        let mut moves = first..first;
        for (number, mark) in (first..).zip(marks) {
            moves.end = number;
            if matches!(mark.what, What::Move { .. }) {
                self.moved(state, mark);
                continue;
            }
            state = self.step(state, mark, moves);
            moves = number + 1..number + 1;
        }
        self.stray(moves.start..first + marks.len());
    }

    fn moved(&mut self, state: State, mark: &Mark) {
        if matches!(state, State::Open { .. }) && self.in_window(mark.at_ns) {
            self.anomalies.count("move_after_open");
        }
    }

    fn step(&mut self, state: State, mark: &Mark, moves: Range<usize>) -> State {
        let at_ns = mark.at_ns;
        match mark.what {
            What::Wait(number) => self.closed(state, mark, number, moves),
            What::Open(number) => self.open(state, mark, number, moves),
            What::UnseenClose(number) => {
                self.unseen(state, mark, number);
                State::Running { at_ns }
            }
            What::Unopened => {
                self.unopened(state, mark);
                self.stray(moves);
                State::Running { at_ns }
            }
            What::Move { .. } => state,
        }
    }

    fn closed(&mut self, state: State, mark: &Mark, number: u32, moves: Range<usize>) -> State {
        let wait = self.evidence.waits[number as usize];
        if mark.at_ns > self.evidence.stopped_ns {
            return self.cut(state, mark, wait, moves);
        }
        match state {
            State::Open { censored, open_ns } if open_ns == wait.open_ns => {
                self.anomalies.count("closed_after_open");
                // The same wait twice: its true end counts, not the supposed one.
                if censored.is_some_and(|at| at + 1 == self.waits.censored.len()) {
                    self.waits.censored.pop();
                }
            }
            State::Open { .. } => self.anomalies.count("wait_after_open"),
            State::Running { at_ns } if wait.open_ns < at_ns => {
                // Kept, its time would count twice. When it really began, nobody knows.
                self.anomalies.count("overlapping_waits");
                let counted = self.in_window(mark.at_ns) && self.wanted(mark);
                self.waits.boundary.open_unknown += u64::from(counted);
                return State::Running { at_ns: mark.at_ns };
            }
            State::Running { .. } | State::Fresh => {}
        }
        if mark.at_ns >= self.evidence.started_ns {
            self.keep_closed(mark, wait, moves);
        }
        State::Running { at_ns: mark.at_ns }
    }

    fn keep_closed(&mut self, mark: &Mark, wait: Wait, moves: Range<usize>) {
        let wanted = self.wanted(mark);
        match self.interval(mark, wait, mark.at_ns, moves) {
            Ok(interval) if wanted => self.waits.closed.push(interval),
            Ok(interval) => self.waits.others.push(interval),
            Err(kind) => self.refuse(kind, wanted),
        }
    }

    fn open(&mut self, state: State, mark: &Mark, number: u32, moves: Range<usize>) -> State {
        let wait = self.evidence.waits[number as usize];
        match state {
            State::Open { .. } if wait.open_ns > self.evidence.stopped_ns => return state,
            State::Open { .. } => {
                self.anomalies.count("opened_twice");
                return state;
            }
            State::Running { at_ns } if wait.open_ns < at_ns => {
                self.anomalies.count("overlapping_waits");
            }
            State::Running { .. } | State::Fresh => {}
        }
        self.cut(state, mark, wait, moves)
    }

    /// A wait that was open when the window closed is censored there, whether or not its end came
    /// to be recorded afterwards.
    fn cut(&mut self, state: State, mark: &Mark, wait: Wait, moves: Range<usize>) -> State {
        if matches!(state, State::Open { .. }) {
            return state;
        }
        let open_ns = wait.open_ns;
        let close_ns = mark.at_ns.min(self.evidence.stopped_ns);
        if open_ns > close_ns && mark.at_ns > close_ns {
            return State::Open { censored: None, open_ns };
        }
        let clipped = Wait { queued_ns: wait.queued_ns.min(close_ns.max(open_ns)), ..wait };
        let wanted = self.wanted(mark);
        let censored = match self.interval(mark, clipped, close_ns, moves) {
            Ok(interval) if wanted => {
                let queued_ns = wait.queued_ns;
                self.waits.censored.push(Interval { censored: true, queued_ns, ..interval });
                Some(self.waits.censored.len() - 1)
            }
            Ok(_) => None,
            Err(kind) => {
                self.refuse(kind, wanted);
                None
            }
        };
        State::Open { censored, open_ns }
    }

    fn unseen(&mut self, state: State, mark: &Mark, number: u32) {
        let wait = self.evidence.waits[number as usize];
        if !self.in_window(mark.at_ns) {
            return;
        }
        match state {
            State::Open { .. } => self.anomalies.count("closed_after_open"),
            State::Running { at_ns } if wait.open_ns < at_ns => {
                self.anomalies.count("overlapping_waits");
            }
            State::Running { .. } | State::Fresh => {}
        }
        self.waits.boundary.close_unknown += u64::from(self.wanted(mark));
    }

    fn unopened(&mut self, state: State, mark: &Mark) {
        if !self.in_window(mark.at_ns) {
            return;
        }
        if matches!(state, State::Open { .. }) {
            self.anomalies.count("switched_in_after_open");
        }
        self.waits.boundary.open_unknown += u64::from(self.wanted(mark));
    }

    /// `Err` for a wait that cannot be.
    fn interval(
        &mut self,
        mark: &Mark,
        wait: Wait,
        close_ns: u64,
        moves: Range<usize>,
    ) -> Result<Interval, &'static str> {
        let moves = self.own_moves(&wait, moves);
        check(&wait, close_ns)?;
        let victim = self.evidence.names.of(mark.victim, mark.at_ns);
        let (queued_ns, told_ns) = (wait.queued_ns, mark.at_ns);
        Ok(Interval { wait, close_ns, queued_ns, told_ns, victim, censored: false, moves })
    }

    /// When it really began, nobody knows.
    fn refuse(&mut self, kind: &'static str, wanted: bool) {
        if wanted {
            self.anomalies.count(kind);
            self.waits.boundary.open_unknown += 1;
        }
    }

    /// The moves from the queueing on; what moved before that belongs to no wait.
    fn own_moves(&mut self, wait: &Wait, moves: Range<usize>) -> Range<usize> {
        let marks = &self.evidence.marks[moves.clone()];
        let before = marks.partition_point(|mark| mark.at_ns < wait.queued_ns);
        self.stray(moves.start..moves.start + before);
        moves.start + before..moves.end
    }

    /// Moves of no wait; a wait that was only counted leaves such behind.
    fn stray(&mut self, moves: Range<usize>) {
        if self.evidence.floor_ns > 0 {
            return;
        }
        let marks = &self.evidence.marks[moves];
        let strays = marks.iter().filter(|mark| self.in_window(mark.at_ns)).count();
        self.anomalies.add("stray_move", strays as u64);
    }

    /// Whether the options ask for the victim, by the names that it had.
    fn wanted(&self, mark: &Mark) -> bool {
        let named = self.evidence.names.of(mark.victim, mark.at_ns);
        let strings = &self.evidence.strings;
        strings.is(named.thread, self.options.thread.as_deref())
            && strings.is(named.process, self.options.process.as_deref())
    }

    fn in_window(&self, at_ns: u64) -> bool {
        (self.evidence.started_ns..=self.evidence.stopped_ns).contains(&at_ns)
    }
}

fn check(wait: &Wait, close_ns: u64) -> Result<(), &'static str> {
    let known = [opening::WAKEUP, opening::FORK, opening::PREEMPTED];
    match wait {
        _ if wait.open_ns > close_ns => Err("backward_wait"),
        _ if !(wait.open_ns..=close_ns).contains(&wait.queued_ns) => Err("queued_outside_wait"),
        _ if !known.contains(&wait.opening) => Err("unknown_opening"),
        _ if wait.victim.tid == 0 => Err("idle_victim"),
        _ if close_ns - wait.open_ns > IMPLAUSIBLE_NS => Err("implausible_wait"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
