//! What of this machine decides how long threads wait, besides its kernel: the CPU, its governor, and
//! how much CPU time we and our load may have.

use std::fs;
use std::path::Path;

use cronx_recording::{Host, Untrusted};

use crate::cgroups;

const CPU_INFO: &str = "/proc/cpuinfo";
const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

/// Reads what there is to be read; what there is not is empty.
pub fn read() -> Host {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    Host {
        cpu: Untrusted::from(model(&text(CPU_INFO)).unwrap_or_default()),
        governor: Untrusted::from(text(GOVERNOR).trim()),
        quota_milli: cgroups::own().into_iter().filter_map(|folder| quota(&folder)).min(),
    }
}

/// The first CPU's name; architectures differ in what they call it.
fn model(cpuinfo: &str) -> Option<&str> {
    const KEYS: [&str; 4] = ["model name", "Processor", "cpu model", "CPU part"];
    let value = |key: &&str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim())
    };
    KEYS.iter().find_map(value)
}

/// What a cgroup of either version may have, thousandths of a CPU.
fn quota(folder: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    read("cpu.max").map_or_else(
        || parse_quota(&format!("{} {}", read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?)),
        |text| parse_quota(&text),
    )
}

/// `QUOTA PERIOD`; without a limit the quota is `max` or -1.
fn parse_quota(text: &str) -> Option<u64> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    quota.checked_mul(1_000)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_a_name() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nflags\t: a\n\nprocessor\t: 1";
        assert_eq!(model(info), Some("Some CPU @ 2.0GHz"));
        assert_eq!(model("processor\t: 0\n"), None);
    }

    #[test]
    fn a_quota_is_a_part_of_a_period() {
        assert_eq!(parse_quota("50000 100000\n"), Some(500));
        assert_eq!(parse_quota("max 100000\n"), None);
        assert_eq!(parse_quota("-1\n 100000\n"), None);
        assert_eq!(parse_quota("50000 0\n"), None);
        assert_eq!(parse_quota(""), None);
    }
}
