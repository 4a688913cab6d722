//! What is observed, on which CPUs, and how it says its own time.

/// Where loads run. Who observes has the first CPU, so that he takes no time of theirs.
pub(super) const LOAD_CPU: &str = "1";
pub(super) const OBSERVER_CPU: &str = "0";
const BOTH: &str = "0,1";

/// A load that ends by itself, in half a second or so.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) cpus: &'static str,
    /// With [`TOOL`] for the program of `bench/`.
    pub(super) words: &'static [&'static str],
    timing: fn(&str) -> Option<Timing>,
}

pub(super) const TOOL: &str = "{cronx-bench}";

/// Switches of `sched pipe` there and back: what program time is counted by.
pub(super) const LOOPS: u32 = 150_000;

pub(super) const PIPE: Workload = Workload {
    name: "sched pipe",
    cpus: LOAD_CPU,
    words: &["perf", "bench", "sched", "pipe", "-l", "150000"],
    timing: pipe,
};

pub(super) const HACKBENCH: Workload = Workload {
    name: "hackbench",
    cpus: BOTH,
    words: &["hackbench", "-g", "4", "-l", "300"],
    timing: hackbench,
};

/// Softirqs while nobody waits.
pub(super) const FLOOD: Workload = Workload {
    name: "UDP flood",
    cpus: LOAD_CPU,
    words: &[TOOL, "flood", "--cpus", LOAD_CPU, "--count", "400000"],
    timing: own,
};

/// Softirqs while a watched thread waits beneath them: a record each.
pub(super) const CROWD: Workload = Workload {
    name: "UDP flood, a sender waits",
    cpus: LOAD_CPU,
    words: &[TOOL, "flood", "--cpus", LOAD_CPU, "--threads", "2", "--count", "400000"],
    timing: own,
};

/// The same on every CPU there is for it, so that the recorder has none to itself.
pub(super) const CROWDS: Workload = Workload {
    name: "UDP floods on both CPUs, a sender waits on each",
    cpus: BOTH,
    words: &[TOOL, "flood", "--cpus", BOTH, "--threads", "2", "--count", "300000"],
    timing: own,
};

/// A record for each switch, and nothing between the switches.
pub(super) const YIELDS: Workload = Workload {
    name: "yields, a thread waits",
    cpus: LOAD_CPU,
    words: &[TOOL, "yields", "--cpus", LOAD_CPU, "--threads", "2", "--count", "400000"],
    timing: own,
};

/// Over at once: to see whether a variant can be had at all.
pub(super) const TRIAL: Workload = Workload {
    name: "trial",
    cpus: LOAD_CPU,
    words: &[TOOL, "flood", "--cpus", LOAD_CPU, "--count", "64"],
    timing: own,
};

/// What a load says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) wall_ns: u64,
    pub(super) cpu_ns: Option<u64>,
}

impl Workload {
    pub(super) fn timing(&self, said: &str) -> Option<Timing> {
        (self.timing)(said)
    }

    /// On how many CPUs.
    pub(super) fn width(&self) -> usize {
        self.cpus.split(',').count()
    }
}

/// Its total has three digits of a second; its time per operation has more.
fn pipe(said: &str) -> Option<Timing> {
    let operations = number(said.split_once("Executed ")?.1)?;
    let micros = number(said.lines().find(|line| line.ends_with("usecs/op"))?)?;
    Some(wall(operations * micros * 1e3))
}

fn hackbench(said: &str) -> Option<Timing> {
    number(said.split_once("Time:")?.1).map(|seconds| wall(seconds * 1e9))
}

/// As the program of `bench/` has it.
fn own(said: &str) -> Option<Timing> {
    let wall_ns = number(said.split_once("wall_ns")?.1)? as u64;
    let cpu_ns = number(said.split_once("cpu_ns")?.1)? as u64;
    Some(Timing { wall_ns, cpu_ns: Some(cpu_ns) })
}

fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

fn wall(ns: f64) -> Timing {
    Timing { wall_ns: ns.round() as u64, cpu_ns: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_says_its_own_time() {
        let pipe = "# Running 'sched/pipe' benchmark:\n\
            # Executed 150000 pipe operations between two processes\n\n\
            \x20    Total time: 1.264 [sec]\n\n       8.428147 usecs/op\n         118650 ops/sec\n";
        assert_eq!(PIPE.timing(pipe), Some(Timing { wall_ns: 1_264_222_050, cpu_ns: None }));
        let hackbench = "Running in process mode with 4 groups\nTime: 0.919\n";
        let timing = Timing { wall_ns: 919_000_000, cpu_ns: None };
        assert_eq!(HACKBENCH.timing(hackbench), Some(timing));
        let timing = Timing { wall_ns: 5, cpu_ns: Some(4) };
        assert_eq!(FLOOD.timing("wall_ns 5\ncpu_ns 4\n"), Some(timing));
        assert_eq!(FLOOD.timing("sent nothing"), None);
    }

    #[test]
    fn loops_are_what_the_pipe_is_told() {
        assert_eq!(PIPE.words.last().unwrap().parse(), Ok(LOOPS));
        assert_eq!((PIPE.width(), CROWDS.width()), (1, 2));
    }
}
