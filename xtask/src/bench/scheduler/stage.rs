//! What is measured, and who is asked for it.

/// Stages, by name.
pub(super) const AT_REST: &str = "100000 live timers";
pub(super) const MANY: &str = "1000000 live timers";
pub(super) const MOST: &str = "10000000 live timers";
pub(super) const LATENESS: &str = "lateness";
pub(super) const BURST: &str = "burst of 100000";
pub(super) const SUBMIT: &str = "submit";
pub(super) const SPIN: &str = "10000 concurrent timers";
pub(super) const SECONDS: &str = "1000 jobs due every second";
pub(super) const MEMORY: &str = "memory";
pub(super) const HELD: &str = "held: ";

/// Who is asked.
pub(super) const CRONX: &str = "cronx";
pub(super) const TIMERS: [&str; 5] = [CRONX, "delay-queue", "nexus", "hash-wheel", "binary-heap"];
pub(super) const SHOTS: &str = "1000000 one-shots";
pub(super) const CRON: &str = "100000 cron jobs";
pub(super) const CYCLICTEST: &str = "cyclictest alone";
pub(super) const TOKIO: &str = "tokio";
pub(super) const FLOOD: &str = "to a shard that need not wake";
pub(super) const WAKE: &str = "to a shard that must wake";
pub(super) const CRATES: [&str; 3] = [CRONX, "tokio-cron-scheduler", "apalis-cron"];
pub(super) const SHOT: &str = "one-shot";
pub(super) const JOB: &str = "cron job";

/// By stage, how many timers are live and what a call may cost, nanoseconds.
pub(super) const CALLS: [(&str, u64, f64); 3] =
    [(AT_REST, 100_000, 30.0), (MANY, 1_000_000, 100.0), (MOST, 10_000_000, 100.0)];
const LIVE: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Where timers of one thread are timed.
const CPU: &str = "1";

/// How much of it.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Live timers.
    pub(super) most: u64,
    pub(super) seconds: u64,
}

/// Readings that are compared with each other.
pub(super) struct Stage {
    pub(super) name: String,
    /// What takes long, or varies little, is played in a third of the rounds.
    third: bool,
    pub(super) players: Vec<Player>,
}

/// One reading.
pub(super) struct Player {
    pub(super) who: &'static str,
    pub(super) program: Program,
    pub(super) words: Vec<String>,
    /// So many it says.
    pub(super) numbers: usize,
    pub(super) cpu: Option<&'static str>,
}

#[derive(Clone, Copy)]
pub(super) enum Program {
    Tool,
    /// What cyclictest says in the meantime follows what it says.
    ToolBesideCyclictest {
        seconds: u64,
    },
    Cyclictest {
        seconds: u64,
    },
}

impl Stage {
    fn new(name: impl Into<String>, players: Vec<Player>) -> Self {
        Self { name: name.into(), third: false, players }
    }

    fn third(self) -> Self {
        Self { third: true, ..self }
    }

    pub(super) fn rounds(&self, asked: u32) -> u32 {
        if self.third { asked.div_ceil(3) } else { asked }
    }
}

impl Player {
    fn tool(who: &'static str, words: &str, numbers: usize) -> Self {
        let words = words.split(' ').map(str::to_owned).collect();
        Self { who, program: Program::Tool, words, numbers, cpu: None }
    }

    /// As it is asked: others are other rounds.
    pub(super) fn spoken(&self) -> String {
        let asked = match self.program {
            Program::Tool => String::new(),
            Program::ToolBesideCyclictest { seconds } => format!(" beside {seconds} s"),
            Program::Cyclictest { seconds } => format!(" for {seconds} s"),
        };
        format!("{}{asked}: {}", self.who, self.words.join(" "))
    }
}

/// All of it.
pub(super) fn stages(size: Size) -> Vec<Stage> {
    let Size { most, seconds } = size;
    let timers = CALLS.iter().filter(|(_, live, _)| *live <= most).map(|&(name, live, _)| {
        let stage = Stage::new(name, TIMERS.map(|which| timers(which, live)).into());
        if live > 1_000_000 { stage.third() } else { stage }
    });
    let held = LIVE.iter().filter(|&&live| live <= most).map(|live| {
        let player = |who| work(who, "hold", who, *live, seconds, 5);
        Stage::new(format!("{HELD}{live}"), vec![player(CRONX), player(TOKIO)]).third()
    });
    let burst = |who| work(who, "burst", who, 100_000, seconds, 1);
    let submit = |who, load, count| work(who, load, CRONX, count, seconds, 2);
    let crates = CRATES.map(|who| work(who, "seconds", who, 1_000, seconds, 6));
    let memory = |who, load, count| work(who, load, CRONX, count, seconds, 2);
    let at_work = [
        Stage::new(LATENESS, lateness(seconds)),
        Stage::new(BURST, vec![burst(CRONX), burst(TOKIO)]),
        Stage::new(SUBMIT, vec![submit(FLOOD, "flood", 50_000), submit(WAKE, "wake", 2_000)]),
        Stage::new(SPIN, vec![work(CRONX, "spin", CRONX, 10_000, seconds, 2)]),
        Stage::new(SECONDS, crates.into()).third(),
        Stage::new(
            MEMORY,
            vec![memory(SHOT, "shot-memory", 1_000_000), memory(JOB, "cron-memory", 100_000)],
        )
        .third(),
    ];
    timers.chain(at_work).chain(held).collect()
}

fn timers(which: &'static str, live: u64) -> Player {
    let words = format!("timers --which {which} --live {live}");
    Player { cpu: Some(CPU), ..Player::tool(which, &words, 2) }
}

fn work(
    who: &'static str,
    load: &str,
    which: &str,
    count: u64,
    seconds: u64,
    numbers: usize,
) -> Player {
    let words =
        format!("scheduler --load {load} --which {which} --count {count} --seconds {seconds}");
    Player::tool(who, &words, numbers)
}

/// The workload in its two halves, each beside cyclictest, and cyclictest alone.
fn lateness(seconds: u64) -> Vec<Player> {
    let beside = |who, load, count| Player {
        program: Program::ToolBesideCyclictest { seconds },
        // Those of cyclictest are asked for elsewhere.
        ..work(who, load, CRONX, count, seconds, 9)
    };
    let alone = Player {
        who: CYCLICTEST,
        program: Program::Cyclictest { seconds },
        words: Vec::new(),
        numbers: 0,
        cpu: None,
    };
    vec![beside(SHOTS, "shots", 1_000_000), beside(CRON, "cron", 100_000), alone]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { most: 10_000_000, seconds: 8 };

    #[test]
    fn no_two_stages_have_one_name_and_none_is_empty() {
        let stages = stages(SIZE);
        for (at, stage) in stages.iter().enumerate() {
            assert!(!stage.players.is_empty(), "{}", stage.name);
            assert!(stages[..at].iter().all(|other| other.name != stage.name), "{}", stage.name);
        }
        assert_eq!(stages.len(), CALLS.len() + 6 + LIVE.len());
    }

    #[test]
    fn no_more_timers_are_live_than_asked_for() {
        let few = stages(Size { most: 10_000, ..SIZE });
        assert!(few.iter().all(|stage| !CALLS.iter().any(|(name, ..)| stage.name == *name)));
        assert_eq!(few.iter().filter(|stage| stage.name.starts_with(HELD)).count(), 2);
    }

    #[test]
    fn a_third_of_the_rounds_is_never_none() {
        assert!(stages(SIZE).iter().all(|stage| stage.rounds(1) == 1));
        let rounds: Vec<_> = stages(SIZE).iter().map(|stage| stage.rounds(5)).collect();
        assert_eq!(rounds, [5, 5, 2, 5, 5, 5, 5, 2, 2, 2, 2, 2, 2, 2]);
    }
}
