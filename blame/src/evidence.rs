//! All records to what the analysis asks for: a timeline for each CPU, the marks of each victim,
//! the samples, and who everybody was.

use std::collections::BTreeMap;

use cronx_abi::{InterruptRecord, Record, Slice, TaskRecord, Wait, WaitRecord, flag, kind, layer};
use cronx_recording::{Capture, CpuRecords, CpuTrailer, Culprit};

use crate::anomaly::Counts;
use crate::cgroups::Cgroups;
use crate::class::Classes;
use crate::decode::{self, Event, Sample};
use crate::losses::Losses;
use crate::names::{Names, Strings};
use crate::order::{self, Hole, Stream};
use crate::owners::{Owner, Owners};
use crate::quota::Quota;
use crate::timeline::{Draft, Span, Timeline};
use crate::waits::{Mark, What};

/// Everything the records say, in the form that the waits are tiled from.
pub(crate) struct Evidence<'a> {
    pub(crate) strings: Strings,
    pub(crate) names: Names,
    pub(crate) owners: Owners<'a>,
    pub(crate) classes: Classes<'a>,
    pub(crate) timelines: BTreeMap<u16, Timeline>,
    /// By CPU, by time.
    pub(crate) samples: BTreeMap<u16, Vec<Sample<'a>>>,
    pub(crate) quota: Quota,
    pub(crate) losses: Losses,
    /// What happened to the victims, in no order.
    pub(crate) marks: Vec<Mark>,
    /// The waits that marks point to.
    pub(crate) waits: Vec<Wait>,
    /// Waits shorter than this were counted and have no record.
    pub(crate) floor_ns: u64,
    /// Records read.
    pub(crate) records: u64,
    /// Records missing by their numbers.
    pub(crate) missing: u64,
    /// The start of the window, `CLOCK_MONOTONIC`.
    pub(crate) started_ns: u64,
    /// The end of the window; of a torn Capture the instant of its last record.
    pub(crate) stopped_ns: u64,
}

/// Reads every record twice: first for the names, since evidence may come before its name.
pub(crate) fn collect<'a>(capture: &'a Capture, anomalies: &mut Counts) -> Evidence<'a> {
    let survey = survey(capture, anomalies);
    // A torn Capture that was written again has a trailer of zeros.
    let cgroups = Cgroups::new(capture.trailer.as_ref().map(|trailer| &trailer.cgroups));
    let ended = capture.trailer.as_ref().map(|trailer| trailer.stopped_ns).filter(|&ns| ns > 0);
    let stopped_ns = ended.unwrap_or(survey.last_ns);
    let mut evidence = Evidence {
        strings: survey.strings,
        names: survey.names,
        owners: Owners::new(&capture.header.irq_names),
        classes: Classes { target: &capture.header.target, cgroups },
        timelines: BTreeMap::new(),
        samples: BTreeMap::new(),
        quota: Quota::new(&capture.header),
        losses: Losses::default(),
        marks: Vec::new(),
        waits: Vec::new(),
        floor_ns: capture.header.floor_ns,
        records: survey.records,
        missing: 0,
        started_ns: capture.header.started_ns,
        stopped_ns,
    };
    for (cpu, source) in by_cpu(capture) {
        let records = source.records.iter().flat_map(|r| r.iter());
        let last_seq = source.trailer.map(|t| t.last_seq);
        let stream = order::order(cpu, records, last_seq, stopped_ns, anomalies);
        evidence.take(cpu, stream, source.trailer, anomalies);
    }
    evidence.quota.sort();
    evidence.losses.settle();
    evidence
}

struct Survey {
    strings: Strings,
    names: Names,
    records: u64,
    last_ns: u64,
}

fn survey(capture: &Capture, anomalies: &mut Counts) -> Survey {
    let mut strings = Strings::default();
    let (mut records, mut last_ns) = (0, 0);
    let all = capture.records.iter().flat_map(CpuRecords::iter).inspect(|_| records += 1);
    let tasks = all.filter_map(|bytes| {
        let header = decode::head(bytes).ok()?;
        last_ns = last_ns.max(header.at_ns);
        (header.kind == kind::TASK).then(|| TaskRecord::from_bytes(bytes)).flatten()
    });
    let names = Names::new(tasks, &mut strings, anomalies);
    for run in &capture.records {
        let whole: usize = run.iter().map(|record| 4 + record.len()).sum();
        anomalies.add("cut_record", u64::from(whole != run.bytes.len()));
    }
    Survey { strings, names, records, last_ns }
}

#[derive(Default)]
struct Source<'a> {
    records: Vec<&'a CpuRecords>,
    trailer: Option<&'a CpuTrailer>,
}

/// A CPU whose every record was lost stands in the trailer alone.
fn by_cpu(capture: &Capture) -> BTreeMap<u32, Source<'_>> {
    let mut sources: BTreeMap<u32, Source> = BTreeMap::new();
    for records in &capture.records {
        sources.entry(records.cpu).or_default().records.push(records);
    }
    for trailer in capture.trailer.iter().flat_map(|t| &t.cpus) {
        sources.entry(trailer.cpu).or_default().trailer = Some(trailer);
    }
    sources
}

impl<'a> Evidence<'a> {
    pub(crate) fn culprit(&self, owner: Owner) -> Culprit {
        self.owners.culprit(owner, &self.strings, &self.classes.cgroups)
    }

    fn take(
        &mut self,
        cpu: u32,
        stream: Stream<'a>,
        trailer: Option<&CpuTrailer>,
        anomalies: &mut Counts,
    ) {
        // A record's own CPU has 16 bits, so on any other number every record was refused.
        let Ok(cpu) = u16::try_from(cpu) else { return };
        self.missing = self.missing.saturating_add(stream.missing);
        self.losses.add(&stream.holes);
        let mut draft = Draft { holes: stream.holes, ..Draft::default() };
        let mut samples = Vec::new();
        for stamp in &stream.records {
            match decode::decode(stamp.bytes) {
                Ok(Event::Sample(sample)) => samples.push(sample),
                Ok(event) => self.event(&event, &mut draft, anomalies),
                Err(kind) => anomalies.count(kind),
            }
        }
        if let Some(trailer) = trailer {
            self.last_slice(trailer, &mut draft);
            self.last_interrupt(trailer, &mut draft);
        }
        samples.sort_by_key(|s| s.at_ns);
        self.samples.insert(cpu, samples);
        self.timelines.insert(cpu, draft.finish(anomalies));
    }

    fn event(&mut self, event: &Event, draft: &mut Draft, anomalies: &mut Counts) {
        match event {
            Event::Slice(r) => {
                self.slice(r.slice, r.header.at_ns, r.header.flags, draft, anomalies);
            }
            Event::Wait(r) => self.wait(r, draft, anomalies),
            Event::Interrupt(r) => self.interrupt(r, draft, anomalies),
            Event::Move(r) => {
                let throttled = r.header.flags & flag::THROTTLED != 0;
                let what = What::Move { from: r.from, to: r.to, throttled };
                self.marks.push(Mark { victim: r.victim, at_ns: r.header.at_ns, what });
            }
            Event::Open(r) => self.mark_wait(r.wait, r.header.at_ns, What::Open),
            Event::UnseenClose(r) => self.mark_wait(r.wait, r.header.at_ns, What::UnseenClose),
            Event::Unopened(r) => {
                let (victim, at_ns) = (r.victim, r.header.at_ns);
                self.marks.push(Mark { victim, at_ns, what: What::Unopened });
            }
            Event::Refill(r) => self.quota.add(r, anomalies),
            Event::Task(_) | Event::Sample(_) => {}
        }
    }

    fn wait(&mut self, r: &WaitRecord, draft: &mut Draft, anomalies: &mut Counts) {
        self.slice(r.slice, r.header.at_ns, r.header.flags, draft, anomalies);
        // Where it was switched in is where it ended: if that is not the queue it was last known on,
        // its moves will not connect.
        let wait = Wait { cpu: r.header.cpu, ..r.wait };
        self.mark_wait(wait, r.header.at_ns, What::Wait);
    }

    fn mark_wait(&mut self, wait: Wait, at_ns: u64, what: fn(u32) -> What) {
        let number = self.waits.len() as u32;
        self.waits.push(wait);
        self.marks.push(Mark { victim: wait.victim, at_ns, what: what(number) });
    }

    fn slice(&mut self, slice: Slice, at_ns: u64, flags: u8, draft: &mut Draft, bad: &mut Counts) {
        if slice.since_ns > at_ns {
            bad.count("backward_slice");
            return;
        }
        // 0: the probes saw no switch-in, so nothing is known of its beginning.
        if slice.since_ns == 0 {
            return;
        }
        // As it was at the end, when the probes looked: then its whole slice was so.
        let owner = self.owners.task(self.names.of(slice.task, at_ns));
        let span = Span { from_ns: slice.since_ns, to_ns: at_ns, owner };
        if flags & flag::CONTRADICTS == 0 {
            draft.slices.push(span);
        } else {
            bad.count("occupant_contradicts");
            draft.doubts.push(Span { owner: Owner::UNKNOWN, ..span });
        }
    }

    /// An interrupt that cannot be read right was there all the same, so it leaves a hole.
    fn interrupt(&mut self, r: &InterruptRecord, draft: &mut Draft, anomalies: &mut Counts) {
        let at_ns = r.header.at_ns;
        let owner = self.owners.interrupt(r.layer, r.vector, &mut self.strings);
        let kind = match owner {
            None => "unknown_layer",
            Some(_) if r.since_ns == 0 || r.since_ns > at_ns => "backward_interrupt",
            Some(_) if r.header.flags & flag::CONTRADICTS != 0 => {
                // It lies somewhere in there, and so does what it interrupted.
                anomalies.count("interrupt_half_seen");
                let owner = Owner::UNKNOWN;
                draft.half_seen.push(Span { from_ns: r.since_ns, to_ns: at_ns, owner });
                return;
            }
            Some(owner) => {
                let span = Span { from_ns: r.since_ns, to_ns: at_ns, owner };
                let soft = r.layer == layer::SOFTIRQ;
                let lane = if soft { &mut draft.soft } else { &mut draft.hard };
                lane.push(span);
                return;
            }
        };
        anomalies.count(kind);
        draft.holes.push(Hole { after_ns: at_ns, before_ns: at_ns });
    }

    /// Whether it went on to the end nobody knows: its end may not have been seen.
    fn last_interrupt(&self, trailer: &CpuTrailer, draft: &mut Draft) {
        let from_ns = trailer.interrupted_since_ns;
        if from_ns != 0 && from_ns < self.stopped_ns {
            draft.half_seen.push(Span { from_ns, to_ns: u64::MAX, owner: Owner::UNKNOWN });
        }
    }

    /// Who ran at the end, up to the end; what a record tells of the same time counts more.
    fn last_slice(&mut self, trailer: &CpuTrailer, draft: &mut Draft) {
        let told_ns = draft.slices.iter().chain(&draft.doubts).map(|s| s.to_ns).max();
        let (from_ns, to_ns) = (trailer.since_ns, self.stopped_ns);
        if from_ns == 0 || from_ns >= to_ns || told_ns.is_some_and(|told| told > from_ns) {
            return;
        }
        let owner = self.owners.task(self.names.of(trailer.occupant(), to_ns));
        // The end of the window is no switch: an interrupt may go on across it.
        draft.slices.push(Span { from_ns, to_ns: u64::MAX, owner });
    }
}

#[cfg(test)]
mod tests;
