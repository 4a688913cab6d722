//! What this machine can and cannot do for a recording, what each missing thing costs, and the
//! command that mends it.

use std::error::Error as _;
use std::fs;
use std::path::Path;

use crate::kernel::{self, BTF_PATH, Kernel};
use crate::privileges;
use crate::probes::{Probes, Settings};

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Good,
    /// A recording works, with less in it.
    Degraded,
    /// No recording without it.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What it costs; empty if nothing.
    pub cost: &'static str,
    /// What mends it; empty if nothing needs mending.
    pub mend: &'static str,
}

/// Looks at everything. Where it may, it attaches the probes for a moment, as a recording would.
pub fn examine() -> Vec<Finding> {
    let kernel = Kernel::read();
    vec![
        release(&kernel),
        types(),
        capabilities(),
        probes(&kernel),
        lockdown(),
        paranoid(),
        kernel_symbols(),
        cgroups(),
        clock(),
        real_time(),
    ]
}

fn good(subject: &'static str, found: impl Into<String>) -> Finding {
    Finding { subject, standing: Standing::Good, found: found.into(), cost: "", mend: "" }
}

fn setting(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn release(kernel: &Result<Kernel, crate::Error>) -> Finding {
    let found = kernel.as_ref().map_or_else(
        |_| setting("/proc/sys/kernel/osrelease").unwrap_or_default(),
        |k| format!("{} on {}, {} CPUs", k.release, k.machine, k.online_cpus.len()),
    );
    good("kernel", found)
}

fn types() -> Finding {
    match kernel::struct_offsets() {
        Ok(_) => good("type information", format!("{BTF_PATH} has all that the probes need")),
        Err(error) => Finding {
            subject: "type information",
            standing: Standing::Degraded,
            found: error.to_string(),
            cost: "the legacy object runs: classic tracepoints, no check of names",
            mend: "a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        },
    }
}

fn capabilities() -> Finding {
    let missing = privileges::missing();
    if missing.is_empty() {
        return good("capabilities", "may load the probes");
    }
    Finding {
        subject: "capabilities",
        standing: Standing::Missing,
        found: missing.join("; "),
        cost: "no recording",
        mend: "sudo cronx ..., or in a container: --privileged --pid=host",
    }
}

fn probes(kernel: &Result<Kernel, crate::Error>) -> Finding {
    let (Ok(kernel), true) = (kernel, privileges::missing().is_empty()) else {
        return Finding {
            subject: "probes",
            standing: Standing::Missing,
            found: "not tried, for what is missing above".to_owned(),
            cost: "no recording",
            mend: "mend the above first",
        };
    };
    match settled(kernel) {
        Ok(probes) if probes.degraded().is_empty() => {
            good("probes", format!("the kernel takes them ({})", probes.object().name()))
        }
        Ok(probes) => Finding {
            subject: "probes",
            standing: Standing::Degraded,
            found: probes.degraded().join("; "),
            cost: "a recording has less in it, and says so",
            mend: "a newer kernel",
        },
        Err(error) => Finding {
            subject: "probes",
            standing: Standing::Missing,
            found: said(&error),
            cost: "no recording",
            mend: "a host that allows BPF: a container needs --privileged and --pid=host, a \
                   locked-down kernel cannot",
        },
    }
}

/// An error with its causes, as one line.
fn said(error: &crate::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// Goes as far as a recording goes before its load runs.
fn settled(kernel: &Kernel) -> Result<Probes, crate::Error> {
    let settings = Settings { ring_bytes: 64 << 10, ..Settings::default() };
    let mut probes = Probes::attach(kernel, &settings)?;
    probes.settle()?;
    Ok(probes)
}

fn lockdown() -> Finding {
    match privileges::lockdown().as_deref() {
        Some("confidentiality") => Finding {
            subject: "lockdown",
            standing: Standing::Missing,
            found: "confidentiality".to_owned(),
            cost: "the probes may not read the names of tasks",
            mend: "boot with lockdown=integrity or without it",
        },
        Some(mode) => good("lockdown", mode),
        None => good("lockdown", "none shown"),
    }
}

fn paranoid() -> Finding {
    let found = setting("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    good("perf_event_paranoid", format!("{found} (CAP_PERFMON is not held back by it)"))
}

fn kernel_symbols() -> Finding {
    let restrict = setting("/proc/sys/kernel/kptr_restrict").unwrap_or_default();
    if restrict != "2" {
        return good("kernel symbols", format!("kptr_restrict is {restrict}"));
    }
    Finding {
        subject: "kernel symbols",
        standing: Standing::Degraded,
        found: "kptr_restrict is 2".to_owned(),
        cost: "frames of the kernel have no names",
        mend: "sudo sysctl kernel.kptr_restrict=1",
    }
}

fn cgroups() -> Finding {
    let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let v1 = Path::new("/sys/fs/cgroup/cpu").exists();
    let unified = Path::new("/sys/fs/cgroup/unified").exists();
    good(
        "cgroups",
        match (v2, v1, unified) {
            (true, ..) => "v2",
            (false, true, true) => "v1 with a hybrid v2",
            (false, true, false) => "v1",
            (false, false, _) => "none mounted",
        },
    )
}

fn clock() -> Finding {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let found = setting(path).unwrap_or_else(|| "unknown".to_owned());
    if matches!(
        found.as_str(),
        "tsc" | "arch_sys_counter" | "kvm-clock" | "hyperv_clocksource_tsc_page"
    ) {
        return good("clock source", found);
    }
    Finding {
        subject: "clock source",
        standing: Standing::Degraded,
        found,
        cost: "each probe spends far more time reading the clock",
        mend: "find in the kernel's log why tsc is not trusted",
    }
}

fn real_time() -> Finding {
    let runtime = setting("/proc/sys/kernel/sched_rt_runtime_us").unwrap_or_default();
    let found = match runtime.as_str() {
        "-1" => "real-time tasks may take a whole CPU".to_owned(),
        us => format!("real-time tasks may take {us} us of each 1,000,000"),
    };
    good("real-time limit", found)
}
