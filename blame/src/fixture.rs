//! A tiny text form of Captures, for tests.
//!
//! ```text
//! window 0..1000
//! 100 cpu0 slice hog 40             hog ran [40, 100); `contradicts` may follow
//! 100 cpu0 wait victim 60..70 hog 40  opened at 60, queued at 70, closed at 100 after hog's slice;
//!                                   then any of: fork preempted first=N on=N moves=N by=NAME irq=LAYER:N
//!                                   throttled contradicts off=N (asleep then) stopped disk
//! 100 cpu0 move victim 0>1          `throttled` may follow
//! 100 cpu0 irq 24 since 90          also `vector` and `softirq`; `contradicts` may follow
//! 100 cpu0 sample hog main,work k:sys_read     user frames, then kernel frames, outermost first
//! 100 cpu0 task hog/batch           hog's process is batch; then any of: prio=N cgroup=ID kernel
//!                                   watched profiler
//! quota thread                      what stops where a cgroup is out of quota; also `queue`
//! 100 cpu0 refill 9                 cgroup 9, out of quota on CPU 0, gets more; `queue=1` may follow
//! cgroup 9 /a/b                     the path of cgroup 9
//! target all
//! floor 500                         shorter waits have no record
//! hz 100                            the sampling clock
//! steal cpu0 0..1000 40             the kernel's count of stolen time
//! 100 cpu0 open victim 60..70       options as for wait, and `still` (throttled); also `unseen`
//! 100 cpu0 unopened victim
//! 150 started job shard run worker due=N popped=N enqueued=N free=N dequeued=N started=N
//!                                   a firing, announced; also `late`. The three are tasks, and `run`
//!                                   may be the worker; `run=2` its number, if that is not 1
//! 190 finished job worker started=N finished=N
//! 150 rejected job worker ledger open consecutive due=N again=N
//!                                   a breaker let it not pass; `again=0` if that is the end of it
//! 150 begin request 7 thread        a span of that id begins, and
//! 190 end 7 thread                  ends
//! lost cpu0 2                       two numbers go by
//! end cpu0 hog 90                   the trailer's occupant; `interrupted 95` may follow
//! torn
//! ```
//! A name is a task: the first is tid 1, and so on, each a process of its own. `idle` is tid 0, and
//! `a~7` is tid 7 called `a`: with `b~7` it shares the tid and not the start. `a%b` is a thread of b's
//! process.
//! Names tell themselves by a TASK record at 0, but for those that begin with `?`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cronx_abi::span::{self, RejectedRecord, SpanRecord, firing, rejected};
use cronx_abi::{
    COMM_LEN, Header, InterruptRecord, KERNEL_FRAMES, MoveRecord, OpenWaitRecord, Record,
    RefillRecord, SampleRecord, Slice, SliceRecord, TaskKey, TaskRecord, USER_FRAMES,
    UnopenedRecord, Wait, WaitRecord, Waker, flag, kind, layer, off_state, opening, task_flag,
    wait_flag,
};
use cronx_recording::{
    Capture, CpuRecords, CpuTrailer, Frame, Report, Stolen, Symbols, Target, Trailer,
};

use crate::{Options, analyse};

/// The Capture that `text` describes.
pub(crate) fn capture(text: &str) -> Capture {
    let mut scene = Scene::default();
    scene.capture.trailer = Some(Trailer { stopped_ns: 1_000, ..Trailer::default() });
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        scene.line(&line.split_whitespace().collect::<Vec<_>>());
    }
    scene.finish()
}

pub(crate) fn report(text: &str) -> Report {
    analyse(&capture(text), &Options::default())
}

/// Every wait with its tiles, longest first, then everything out of the ordinary.
pub(crate) fn tiles(text: &str) -> String {
    let report = report(text);
    let mut out = String::new();
    for miss in &report.worst {
        write!(out, "{} {}:", miss.thread.raw(), miss.waited_ns).unwrap();
        for tile in &miss.tiles {
            let cpu = tile.cpu.map(|cpu| format!("@{cpu}")).unwrap_or_default();
            let name = tile.culprit.name.raw();
            let parted = if name.is_empty() { "" } else { ":" };
            write!(out, " {}{parted}{name}{cpu}={}", tile.class.name(), tile.length_ns).unwrap();
        }
        out.push('\n');
    }
    out += &oddities(&report);
    out
}

/// Censored and boundary waits, anomalies, imbalance: whatever is not 0.
pub(crate) fn oddities(report: &Report) -> String {
    let mut out = String::new();
    let c = &report.censored;
    if c.count > 0 {
        writeln!(out, "censored {} sum {} max {}", c.count, c.waited_ns, c.max_ns).unwrap();
    }
    let health = &report.health;
    let numbers = [
        ("open_unknown", report.boundary.open_unknown),
        ("close_unknown", report.boundary.close_unknown),
        ("missing", health.missing),
        ("unbalanced", health.unbalanced),
    ];
    let anomalies = health.anomalies.iter().map(|(kind, n)| (kind.as_str(), *n));
    for (name, n) in numbers.into_iter().filter(|(_, n)| *n > 0).chain(anomalies) {
        writeln!(out, "{name} {n}").unwrap();
    }
    out
}

/// The priority of a task that nobody favours.
const NICE_0: i32 = 120;

#[derive(Default)]
struct Scene {
    capture: Capture,
    records: BTreeMap<u32, CpuRecords>,
    seqs: BTreeMap<u32, u64>,
    tasks: BTreeMap<String, TaskKey>,
    addresses: BTreeMap<String, u64>,
    torn: bool,
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn cpu(text: &str) -> u32 {
    number(text.strip_prefix("cpu").expect("a CPU is written cpu0")) as u32
}

fn pair<'a>(text: &'a str, by: &str) -> (&'a str, &'a str) {
    text.split_once(by).unwrap_or_else(|| panic!("{text:?} has no {by:?}"))
}

impl Scene {
    fn line(&mut self, words: &[&str]) {
        match *words {
            ["window", window] => {
                let (from, to) = pair(window, "..");
                self.capture.header.started_ns = number(from);
                self.trailer().stopped_ns = number(to);
            }
            ["lost", on, n] => *self.seqs.entry(cpu(on)).or_default() += number(n),
            ["torn"] => self.torn = true,
            ["floor", ns] => self.capture.header.floor_ns = number(ns),
            ["hz", hz] => self.capture.header.sample_hz = number(hz) as u32,
            ["steal", on, span, stolen_ns] => {
                let (from, to) = pair(span, "..");
                let (cpu, stolen_ns) = (cpu(on), number(stolen_ns));
                let (from_ns, to_ns) = (number(from), number(to));
                self.trailer().steal.push(Stolen { cpu, from_ns, to_ns, stolen_ns });
            }
            ["quota", what] => {
                let header = &mut self.capture.header;
                header.hooks.push("hrtimer_expire_entry".to_owned());
                header.offsets.extend((what == "thread").then(|| ("TASK_THROTTLED".to_owned(), 8)));
            }
            ["target", "all"] => self.capture.header.target = Target::All,
            ["cgroup", id, path] => {
                self.trailer().cgroups.insert(number(id), path.into());
            }
            ["end", on, name, since, ref rest @ ..] => {
                let interrupted_since_ns = match rest {
                    ["interrupted", since] => number(since),
                    _ => 0,
                };
                let task = self.task(name, 0);
                let end = CpuTrailer {
                    cpu: cpu(on),
                    occupant_start_ns: task.start_ns,
                    occupant_tid: task.tid,
                    occupant_tgid: task.tgid,
                    since_ns: number(since),
                    interrupted_since_ns,
                    ..CpuTrailer::default()
                };
                self.trailer().cpus.push(end);
            }
            [
                at,
                kind @ ("started" | "late" | "finished" | "rejected" | "begin" | "end"),
                ref rest @ ..,
            ] => {
                self.announcement(number(at), kind, rest);
            }
            [at, on, kind, ref rest @ ..] => self.record(number(at), cpu(on), kind, rest),
            _ => panic!("what is {words:?}?"),
        }
    }

    fn trailer(&mut self) -> &mut Trailer {
        self.capture.trailer.as_mut().expect("every scene begins with a trailer")
    }

    fn task(&mut self, name: &str, on: u32) -> TaskKey {
        if name == "idle" {
            return TaskKey::default();
        }
        if let Some(&task) = self.tasks.get(name) {
            return task;
        }
        let (shown, process) = name.split_once('%').unwrap_or((name, ""));
        let process = (!process.is_empty()).then(|| self.task(process, on).tgid);
        let count = self.tasks.len() as u32 + 1;
        let (shown, tid) = shown.split_once('~').unwrap_or((shown, ""));
        let tid = if tid.is_empty() { count } else { number(tid) as u32 };
        let tgid = process.unwrap_or(tid);
        let task = TaskKey { start_ns: count.into(), tid, tgid };
        self.tasks.insert(name.to_owned(), task);
        if !name.starts_with('?') {
            self.name(0, on, task, (shown, shown), &[]);
        }
        task
    }

    fn name(
        &mut self,
        at_ns: u64,
        on: u32,
        task: TaskKey,
        (comm, process): (&str, &str),
        options: &[&str],
    ) {
        let header = self.header(at_ns, on, kind::TASK);
        let (comm, process, priority) = (comm_of(comm), comm_of(process), NICE_0);
        let mut record = TaskRecord { task, comm, process, priority, ..TaskRecord::default() };
        record.header = header;
        for option in options {
            match (*option, option.split_once('=')) {
                ("kernel", _) => record.flags |= task_flag::KERNEL,
                ("watched", _) => record.flags |= task_flag::WATCHED,
                ("profiler", _) => record.flags |= task_flag::PROFILER,
                (_, Some(("prio", n))) => record.priority = n.parse().expect("a priority"),
                (_, Some(("cgroup", id))) => record.cgroup = number(id),
                _ => panic!("what is {option:?}?"),
            }
        }
        self.push(on, &record);
    }

    fn announcement(&mut self, at_ns: u64, kind: &str, rest: &[&str]) {
        let of = match kind {
            "started" => span::kind::FIRING_STARTED,
            "late" => span::kind::FIRING_LATE,
            "finished" => span::kind::FIRING_FINISHED,
            "rejected" => span::kind::FIRING_REJECTED,
            "begin" => span::kind::SPAN_BEGIN,
            _ => span::kind::SPAN_END,
        };
        match *rest {
            [name, id, thread] if kind == "begin" => self.span(at_ns, of, name, thread, id),
            [id, thread] if kind == "end" => self.span(at_ns, of, "", thread, id),
            [job, worker, ref values @ ..] if kind == "finished" => {
                let mut record = self.announced(at_ns, of, job, worker);
                record.args[firing::RUN] = 1;
                self.announce(record, values);
            }
            [job, worker, breaker, state, rule, ref values @ ..] if kind == "rejected" => {
                let record = self.announced(at_ns, of, job, worker);
                self.reject(record, [breaker, state, rule], values);
            }
            [job, shard, runner, worker, ref values @ ..] => {
                let mut record = self.announced(at_ns, of, job, worker);
                record.args[firing::RUN] = 1;
                record.args[firing::SHARD] = self.task(shard, 0).tid.into();
                record.args[firing::RUNNER] = self.task(runner, 0).tid.into();
                self.announce(record, values);
            }
            _ => panic!("what is {kind} {rest:?}?"),
        }
    }

    fn span(&mut self, at_ns: u64, kind: u8, name: &str, thread: &str, id: &str) {
        let mut record = self.announced(at_ns, kind, name, thread);
        record.args[0] = number(id);
        self.announce(record, &[]);
    }

    fn announced(&mut self, at_ns: u64, kind: u8, name: &str, thread: &str) -> SpanRecord {
        let task = self.task(thread, 0);
        let mut record = SpanRecord {
            at_ns,
            tid: task.tid,
            tgid: task.tgid,
            cpu: 0,
            kind,
            flags: 0,
            name_len: name.len() as u16,
            args: [0; span::ARGS],
            name: [0; span::NAME_LEN],
        };
        record.name[..name.len()].copy_from_slice(name.as_bytes());
        record
    }

    fn announce(&mut self, mut record: SpanRecord, values: &[&str]) {
        let finished = record.kind == span::kind::FIRING_FINISHED;
        for value in values {
            let (field, value) = pair(value, "=");
            let place = match field {
                "run" => firing::RUN,
                "due" => firing::DUE,
                "popped" => firing::POPPED,
                "enqueued" => firing::ENQUEUED,
                "free" => firing::FREE,
                "dequeued" => firing::DEQUEUED,
                "started" if finished => 2,
                "finished" => 3,
                "started" => firing::STARTED,
                _ => panic!("what is {field:?}?"),
            };
            record.args[place] = number(value);
        }
        self.capture.spans.push(record.as_bytes());
    }

    fn reject(&mut self, mut span: SpanRecord, words: [&str; 3], values: &[&str]) {
        span.args[rejected::RUN] = 1;
        for value in values {
            let (field, value) = pair(value, "=");
            let place = match field {
                "run" => rejected::RUN,
                "due" => rejected::DUE,
                "again" => rejected::AGAIN,
                "nominal" => rejected::NOMINAL,
                _ => panic!("what is {field:?}?"),
            };
            span.args[place] = number(value);
        }
        let [breaker_len, state_len, rule_len] = words.map(|word| word.len() as u16);
        let record = RejectedRecord {
            span,
            breaker_len,
            state_len,
            rule_len,
            reserved: 0,
            breaker: padded(words[0]),
            state: padded(words[1]),
            rule: padded(words[2]),
        };
        self.capture.spans.push(record.as_bytes());
    }

    fn header(&mut self, at_ns: u64, on: u32, kind: u8) -> Header {
        let seq = self.seqs.entry(on).or_default();
        *seq += 1;
        Header { at_ns, seq: *seq, kind, flags: 0, cpu: on as u16, reserved: 0 }
    }

    fn push(&mut self, on: u32, record: &impl Record) {
        let records = self.records.entry(on).or_default();
        records.cpu = on;
        records.push(record.as_bytes());
    }

    fn record(&mut self, at_ns: u64, on: u32, kind: &str, rest: &[&str]) {
        match (kind, rest) {
            ("slice", [name, since, options @ ..]) => {
                let task = self.task(name, on);
                let mut header = self.header(at_ns, on, kind::SLICE);
                header.flags = u8::from(options.contains(&"contradicts")) * flag::CONTRADICTS;
                let slice = Slice { since_ns: number(since), task };
                self.push(on, &SliceRecord { header, slice });
            }
            ("wait", [name, span, runner, since, options @ ..]) => {
                let (task, wait) = (self.task(runner, on), self.wait(name, span, on, options));
                let mut header = self.header(at_ns, on, kind::WAIT);
                header.flags = u8::from(options.contains(&"contradicts")) * flag::CONTRADICTS;
                let slice = Slice { since_ns: number(since), task };
                self.push(on, &WaitRecord { header, slice, wait });
            }
            ("open" | "unseen", [name, span, options @ ..]) => {
                let wait = self.wait(name, span, on, options);
                let kind = if kind == "open" { kind::OPEN } else { kind::UNSEEN_CLOSE };
                let header = self.header(at_ns, on, kind);
                self.push(on, &OpenWaitRecord { header, wait });
            }
            ("unopened", [name]) => {
                let victim = self.task(name, on);
                let header = self.header(at_ns, on, kind::UNOPENED);
                self.push(on, &UnopenedRecord { header, victim });
            }
            ("move", [name, queues, options @ ..]) => {
                let victim = self.task(name, on);
                let (from, to) = pair(queues, ">");
                let (from, to) = (number(from) as u16, number(to) as u16);
                let mut header = self.header(at_ns, on, kind::MOVE);
                header.flags = u8::from(options.contains(&"throttled")) * flag::THROTTLED;
                self.push(on, &MoveRecord { header, victim, from, to, reserved: 0 });
            }
            ("irq" | "vector" | "softirq", [vector, "since", since, options @ ..]) => {
                let vector = number(vector) as u32;
                let mut header = self.header(at_ns, on, kind::INTERRUPT);
                header.flags = u8::from(options.contains(&"contradicts")) * flag::CONTRADICTS;
                let (since_ns, layer) = (number(since), layer(kind));
                let record = InterruptRecord { header, since_ns, vector, layer, reserved: [0; 3] };
                self.push(on, &record);
            }
            ("sample", [name, frames @ ..]) => self.sample(at_ns, on, name, frames),
            ("task", [names, options @ ..]) => {
                let (comm, process) = names.split_once('/').unwrap_or((names, names));
                // `old=new` renames: the task is known by its first name.
                let (known, comm) = comm.split_once('=').unwrap_or((comm, comm));
                let task = self.task(known, on);
                self.name(at_ns, on, task, (comm, process), options);
            }
            ("refill", [cgroup, options @ ..]) => {
                let (header, cgroup) = (self.header(at_ns, on, kind::REFILL), number(cgroup));
                let queue = options.first().map_or(0, |queue| number(pair(queue, "=").1) as u16);
                self.push(on, &RefillRecord { header, cgroup, queue, reserved: [0; 3] });
            }
            _ => panic!("what is {kind} {rest:?}?"),
        }
    }

    fn wait(&mut self, name: &str, span: &str, on: u32, options: &[&str]) -> Wait {
        let (open, queued) = pair(span, "..");
        let mut wait = Wait {
            open_ns: number(open),
            queued_ns: number(queued),
            victim: self.task(name, on),
            first_cpu: on as u16,
            cpu: on as u16,
            opening: opening::WAKEUP,
            ..Wait::default()
        };
        for option in options {
            match option.split_once('=') {
                None if *option == "fork" => wait.opening = opening::FORK,
                None if *option == "preempted" => wait.opening = opening::PREEMPTED,
                None if *option == "throttled" => wait.flags |= wait_flag::THROTTLED,
                None if *option == "still" => wait.flags |= wait_flag::THROTTLED_AT_STOP,
                None if *option == "contradicts" => {}
                None if *option == "stopped" => wait.off_state = off_state::STOPPED,
                None if *option == "disk" => wait.off_state = off_state::UNINTERRUPTIBLE,
                Some(("off", n)) => {
                    wait.off_ns = number(n);
                    wait.off_state = off_state::ASLEEP;
                }
                Some(("opening", n)) => wait.opening = number(n) as u8,
                Some(("first", n)) => wait.first_cpu = number(n) as u16,
                Some(("on", n)) => wait.cpu = number(n) as u16,
                Some(("moves", n)) => wait.moves = number(n) as u16,
                Some(("by", name)) => wait.waker.task = self.task(name, on),
                Some(("irq", text)) => {
                    let (kind, n) = pair(text, ":");
                    let interrupt = u32::from(layer(kind)) << 24 | number(n) as u32;
                    wait.waker = Waker { interrupt, ..wait.waker };
                }
                _ => panic!("what is {option:?}?"),
            }
        }
        wait
    }

    /// Frames of the kernel begin with `k:`; one called `?` has no symbol.
    fn sample(&mut self, at_ns: u64, on: u32, name: &str, frames: &[&str]) {
        let task = self.task(name, on);
        let (mut kernel, mut user) = ([0; KERNEL_FRAMES], [0; USER_FRAMES]);
        let (mut kernel_bytes, mut user_bytes) = (0, 0);
        for run in frames {
            let (names, room, bytes) = match run.strip_prefix("k:") {
                Some(names) => (names, kernel.as_mut_slice(), &mut kernel_bytes),
                None => (*run, user.as_mut_slice(), &mut user_bytes),
            };
            for (slot, function) in room.iter_mut().zip(names.split(',').rev()) {
                *slot = self.address(function, task, run.starts_with("k:"));
                *bytes += 8;
            }
        }
        let header = self.header(at_ns, on, kind::SAMPLE);
        let record = SampleRecord { header, task, kernel_bytes, user_bytes, kernel, user };
        self.push(on, &record);
    }

    fn address(&mut self, function: &str, task: TaskKey, of_kernel: bool) -> u64 {
        let next = self.addresses.len() as u64 + 0x1000;
        let address = *self.addresses.entry(function.to_owned()).or_insert(next);
        let Symbols { kernel, user, .. } = &mut self.capture.symbols;
        let map = if of_kernel { kernel } else { user.entry(task.tgid).or_default() };
        if function != "?" {
            map.insert(address, Frame { function: Some(function.into()), module: None });
        }
        address
    }

    fn finish(mut self) -> Capture {
        self.capture.records = self.records.into_values().collect();
        let trailer = self.capture.trailer.as_mut().expect("every scene begins with a trailer");
        for (&cpu, &last_seq) in &self.seqs {
            match trailer.cpus.iter_mut().find(|end| end.cpu == cpu) {
                Some(end) => end.last_seq = last_seq,
                None => {
                    trailer.cpus.push(CpuTrailer { cpu, last_seq, ..CpuTrailer::default() });
                }
            }
        }
        if self.torn {
            self.capture.trailer = None;
            self.capture.torn = Some("it ends without a trailer".to_owned());
        }
        self.capture
    }
}

fn comm_of(name: &str) -> [u8; COMM_LEN] {
    padded(name)
}

fn padded<const LEN: usize>(text: &str) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn layer(kind: &str) -> u8 {
    match kind {
        "irq" => layer::IRQ,
        "vector" => layer::VECTOR,
        "softirq" => layer::SOFTIRQ,
        _ => panic!("{kind:?} is no layer"),
    }
}
