//! Whether anybody else was at work meanwhile.

use std::fs;

/// Ticks of CPU time since the machine, or this process, started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ticks {
    stolen: u64,
    busy: u64,
    /// Of this process and its children that have ended.
    own: u64,
}

impl Ticks {
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/stat"), &read("/proc/self/stat"))
    }

    fn parse(machine: &str, own: &str) -> Self {
        let numbers = |text: &str| -> Vec<u64> {
            text.split_whitespace().map_while(|number| number.parse().ok()).collect()
        };
        // user nice system idle iowait irq softirq steal
        let line = machine.lines().next().and_then(|line| line.strip_prefix("cpu "));
        let cpu = numbers(line.unwrap_or_default());
        // Behind the name, which may hold anything: the 3rd is a letter, the 14th to the 17th are
        // utime stime cutime cstime.
        let fields = own.rsplit_once(") ").map_or("", |(_, fields)| fields.get(2..).unwrap_or(""));
        let own = fields.replace('-', "");
        let own = numbers(&own);
        let sum = |numbers: &[u64], from, to| numbers.get(from..to).map_or(0, |n| n.iter().sum());
        Self { stolen: sum(&cpu, 7, 8), busy: sum(&cpu, 0, 3), own: sum(&own, 10, 14) }
    }

    /// More than a hundredth of a second stolen, or than a tenth of one of somebody else's work.
    pub fn disturbed_since(self, before: Self) -> Option<String> {
        let stolen = self.stolen.saturating_sub(before.stolen);
        let busy = self.busy.saturating_sub(before.busy);
        let others = busy.saturating_sub(self.own.saturating_sub(before.own));
        (stolen > 1 || others > 10)
            .then(|| format!("{stolen} ticks stolen, {others} ticks of others"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "7 (a) b) S 1 1 1 0 -1 4194304 1 2 3 4 100 20 30 4 20 0 1 0 99";

    #[test]
    fn ticks_are_read_from_their_fields() {
        let ticks = Ticks::parse("cpu  10 20 30 40 50 60 70 80 0 0\ncpu0 1\n", OWN);
        assert_eq!((ticks.stolen, ticks.busy, ticks.own), (80, 60, 154));
    }

    #[test]
    fn own_work_disturbs_nobody() {
        let before = Ticks::default();
        assert_eq!(Ticks { stolen: 1, busy: 210, own: 200 }.disturbed_since(before), None);
        assert!(Ticks { stolen: 2, busy: 0, own: 0 }.disturbed_since(before).is_some());
        assert!(Ticks { stolen: 0, busy: 211, own: 200 }.disturbed_since(before).is_some());
    }
}
