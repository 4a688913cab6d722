//! What the probes must know of the running kernel before they load.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cronx_recording::Untrusted;

use crate::Error;
use crate::btf::{Btf, BtfError};
use crate::tracepoint_format::Format;

/// Where the kernel shows its own types.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// Arguments of `sched_switch`: preempt, prev, next, prev's state. The order moved once (5.18-rc).
const SWITCH_ARGUMENTS: usize = 4;

/// A member of a kernel's struct: the global that takes its offset, the struct, and the member's
/// path; where kernels differ, the first that exists.
type Member = (&'static str, &'static str, &'static [&'static str]);

/// What every kernel has that the first object runs on.
const MEMBERS: [Member; 11] = [
    ("TASK_PID", "task_struct", &["pid"]),
    ("TASK_TGID", "task_struct", &["tgid"]),
    ("TASK_START_TIME", "task_struct", &["start_time"]),
    ("TASK_COMM", "task_struct", &["comm"]),
    ("TASK_FLAGS", "task_struct", &["flags"]),
    ("TASK_ON_CPU", "task_struct", &["on_cpu"]),
    ("TASK_ON_RQ", "task_struct", &["on_rq"]),
    ("TASK_GROUP_LEADER", "task_struct", &["group_leader"]),
    ("TASK_CPU", "task_struct", &["thread_info.cpu", "cpu"]),
    ("TASK_PRIO", "task_struct", &["prio"]),
    ("TASK_POLICY", "task_struct", &["policy"]),
];

/// What depends on how the kernel was built, and on its age: of cgroups and their quotas.
const OPTIONAL_MEMBERS: [Member; 15] = [
    ("TASK_SCHED_DELAYED", "task_struct", &["se.sched_delayed"]),
    ("TASK_GROUP", "task_struct", &["sched_task_group"]),
    ("GROUP_CGROUP", "task_group", &["css.cgroup"]),
    ("CGROUP_NODE", "cgroup", &["kn"]),
    ("NODE_ID", "kernfs_node", &["id"]),
    ("TASK_THROTTLED", "task_struct", &["throttled"]),
    ("TASK_CFS_RQ", "task_struct", &["se.cfs_rq"]),
    ("CFS_RQ_THROTTLE_COUNT", "cfs_rq", &["throttle_count"]),
    ("TIMER_FUNCTION", "hrtimer", &["function"]),
    ("GROUP_PERIOD_TIMER", "task_group", &["cfs_bandwidth.period_timer"]),
    ("GROUP_SLACK_TIMER", "task_group", &["cfs_bandwidth.slack_timer"]),
    ("GROUP_THROTTLED", "task_group", &["cfs_bandwidth.throttled_cfs_rq"]),
    ("CFS_RQ_THROTTLED_LIST", "cfs_rq", &["throttled_list"]),
    ("CFS_RQ_RQ", "cfs_rq", &["rq"]),
    ("RQ_CPU", "rq", &["cpu"]),
];

/// Offsets by the name of the probes' global. What this kernel has not is not among them: the
/// globals say so by themselves.
pub type Offsets = BTreeMap<String, u64>;

/// Resolves every offset the probes need, or says which one is missing.
pub fn resolve(btf: &Btf<'_>) -> Result<Offsets, BtfError> {
    let arguments = btf.tracepoint_arguments("sched_switch")?;
    if arguments != SWITCH_ARGUMENTS {
        return Err(BtfError::NoTracepoint {
            name: format!(
                "sched_switch with {SWITCH_ARGUMENTS} arguments (this one has {arguments})"
            ),
        });
    }
    let optional = OPTIONAL_MEMBERS.iter().filter_map(|member| offset(btf, member).ok()).map(Ok);
    MEMBERS.iter().map(|member| offset(btf, member)).chain(optional).collect()
}

fn offset(btf: &Btf<'_>, (global, of, paths): &Member) -> Result<(String, u64), BtfError> {
    let mut found = btf.member_offset(of, paths[0]);
    for path in &paths[1..] {
        found = found.or_else(|_| btf.member_offset(of, path));
    }
    Ok(((*global).to_owned(), found?))
}

/// The running kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// CPU numbers are below this.
    pub possible_cpus: u32,
    /// CPUs that are up.
    pub online_cpus: Vec<u32>,
}

impl Kernel {
    /// Reads what there is to know of the running kernel.
    pub fn read() -> Result<Self, Error> {
        let uname = nix::sys::utsname::uname().map_err(Error::system("uname"))?;
        Ok(Self {
            release: uname.release().to_string_lossy().into_owned(),
            machine: uname.machine().to_string_lossy().into_owned(),
            possible_cpus: cpus("possible")?.last().map_or(1, |last| last + 1),
            online_cpus: cpus("online")?,
        })
    }
}

/// Offsets in the running kernel's structs, from its own types.
pub fn struct_offsets() -> Result<Offsets, Error> {
    let read = || -> Result<Offsets, String> {
        let bytes = fs::read(BTF_PATH).map_err(|e| e.to_string())?;
        Btf::parse(&bytes).and_then(|btf| resolve(&btf)).map_err(|e| e.to_string())
    };
    read().map_err(|reason| Error::Btf { path: BTF_PATH.to_owned(), reason })
}

/// The address of a function of the kernel's; `None` if there is none, or if addresses are hidden.
pub(crate) fn symbol(name: &str) -> Option<u64> {
    let symbols = fs::read_to_string("/proc/kallsyms").ok()?;
    let line = symbols.lines().find(|line| line.split(' ').nth(2) == Some(name))?;
    u64::from_str_radix(line.split(' ').next()?, 16).ok().filter(|&address| address != 0)
}

/// Where tracefs is mounted, the newer place first.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Fields of classic tracepoints that the probes read: the name of the global that takes the
/// offset, the tracepoint, the field.
const TRACEPOINT_FIELDS: [(&str, &str, &str); 19] = [
    ("WAKING_PID", "sched/sched_waking", "pid"),
    ("WAKEUP_PID", "sched/sched_wakeup", "pid"),
    ("WAKEUP_TARGET_CPU", "sched/sched_wakeup", "target_cpu"),
    ("MIGRATE_PID", "sched/sched_migrate_task", "pid"),
    ("MIGRATE_ORIG_CPU", "sched/sched_migrate_task", "orig_cpu"),
    ("MIGRATE_DEST_CPU", "sched/sched_migrate_task", "dest_cpu"),
    ("SWITCH_PREV_PID", "sched/sched_switch", "prev_pid"),
    ("SWITCH_PREV_PRIO", "sched/sched_switch", "prev_prio"),
    ("SWITCH_PREV_STATE", "sched/sched_switch", "prev_state"),
    ("SWITCH_NEXT_PID", "sched/sched_switch", "next_pid"),
    ("SWITCH_NEXT_COMM", "sched/sched_switch", "next_comm"),
    ("SWITCH_NEXT_PRIO", "sched/sched_switch", "next_prio"),
    ("NEWTASK_PID", "task/task_newtask", "pid"),
    ("NEWTASK_FLAGS", "task/task_newtask", "clone_flags"),
    ("RENAME_PID", "task/task_rename", "pid"),
    ("RENAME_NEWCOMM", "task/task_rename", "newcomm"),
    ("IRQ_NUMBER", "irq/irq_handler_entry", "irq"),
    ("SOFTIRQ_NUMBER", "irq/softirq_entry", "vec"),
    ("VECTOR_NUMBER", "irq_vectors/local_timer_entry", "vector"),
];

/// Offsets in the records of the running kernel's classic tracepoints, from their `format` files.
pub fn record_offsets() -> Result<Offsets, Error> {
    let tracefs = TRACEFS.iter().map(Path::new).find(|path| path.join("events").is_dir());
    let tracefs = tracefs.ok_or_else(|| Error::NotSupported {
        feature: "reading the layout of tracepoints",
        needs: format!("tracefs: mount -t tracefs tracefs {}", TRACEFS[0]),
    })?;
    TRACEPOINT_FIELDS
        .iter()
        .map(|(global, event, field)| {
            let path = tracefs.join("events").join(event).join("format");
            let offset = field_offset(&path, field)
                .map_err(|reason| Error::Format { path: path.display().to_string(), reason })?;
            Ok(((*global).to_owned(), offset))
        })
        .collect()
}

fn field_offset(path: &Path, field: &str) -> Result<u64, String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let format = Format::parse(&text).map_err(|e| e.to_string())?;
    format.field(field).map(|field| field.offset.into()).map_err(|e| e.to_string())
}

fn cpus(which: &str) -> Result<Vec<u32>, Error> {
    let path = format!("/sys/devices/system/cpu/{which}");
    let text = fs::read_to_string(&path).map_err(Error::system(path.clone()))?;
    parse_cpu_list(&text).ok_or_else(|| Error::NotSupported {
        feature: "counting CPUs",
        needs: format!("{path} in the form '0-3,5', but it is {:?}", text.trim()),
    })
}

/// Parses `0-3,5`.
pub fn parse_cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last > 1 << 16 {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Names of the device interrupt lines, from `/proc/interrupts`; none if it cannot be read.
pub fn irq_names() -> BTreeMap<u32, Untrusted> {
    parse_interrupts(&fs::read_to_string("/proc/interrupts").unwrap_or_default())
}

/// Takes the last word of each numbered line: the handlers' names.
fn parse_interrupts(text: &str) -> BTreeMap<u32, Untrusted> {
    text.lines()
        .filter_map(|line| {
            let (number, rest) = line.split_once(':')?;
            let name = rest.split_whitespace().next_back()?;
            Some((number.trim().parse().ok()?, Untrusted::from(name)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list("0-1\n"), Some(vec![0, 1]));
        assert_eq!(parse_cpu_list("0,2-3,7"), Some(vec![0, 2, 3, 7]));
        assert_eq!(parse_cpu_list(""), None);
        assert_eq!(parse_cpu_list("3-1"), None);
        assert_eq!(parse_cpu_list("0-4000000000"), None);
    }

    #[test]
    fn interrupt_lines_are_named_by_their_last_word() {
        let text = "           CPU0       CPU1\n  4:         10          0   IO-APIC   4-edge      \
                    ttyS0\n 24:          0         99   PCI-MSIX-0000:00:01.0   0-edge      \
                    virtio0-config\nNMI:          0          0   Non-maskable interrupts\n";
        let names = parse_interrupts(text);
        assert_eq!(names.len(), 2);
        assert_eq!(names[&24].raw(), "virtio0-config");
    }

    /// Of Debian's kernels: arguments of `sched_switch`, and offsets in the order of `MEMBERS` and
    /// `OPTIONAL_MEMBERS`. Read with pahole from their whole BTF, of which `cargo xtask vm --btf`
    /// keeps what is here.
    #[test]
    fn real_kernels_resolve() {
        /// The kernel has no such member.
        const NONE: u64 = u64::MAX;
        #[track_caller]
        fn check(btf: &[u8], arguments: usize, needed: [u64; 11], optional: [u64; 15]) {
            let btf = Btf::parse(btf).unwrap();
            assert_eq!(btf.tracepoint_arguments("sched_switch"), Ok(arguments));
            let found = |member: Member| offset(&btf, &member).ok().map(|(_, offset)| offset);
            assert_eq!(MEMBERS.map(found), needed.map(Some));
            assert_eq!(OPTIONAL_MEMBERS.map(|member| found(member).unwrap_or(NONE)), optional);
        }
        check(
            include_bytes!("btf/kernels/5.10.btf"),
            3,
            [2232, 2236, 2536, 2736, 36, 44, 96, 2296, 64, 100, 868],
            [NONE, 624, 0, 248, 104, NONE, 464, 388, 40, 392, 456, 520, 392, 304, 2640],
        );
        check(
            include_bytes!("btf/kernels/6.1.btf"),
            4,
            [2416, 2420, 2776, 2976, 44, 52, 104, 2480, 20, 108, 972],
            [NONE, 664, 0, 248, 104, NONE, 248, 396, 40, 408, 472, 536, 400, 304, 2672],
        );
        check(
            include_bytes!("btf/kernels/6.12.btf"),
            4,
            [2432, 2436, 2776, 2976, 44, 52, 104, 2496, 20, 108, 972],
            [209, 688, 0, 256, 96, NONE, 288, 420, 40, 408, 472, 536, 424, 312, 2920],
        );
        check(
            include_bytes!("btf/kernels/6.18.btf"),
            4,
            [2704, 2708, 3048, 3248, 44, 52, 104, 2768, 20, 108, 1228],
            [209, 888, 0, 256, 96, 928, 288, 420, 40, 440, 504, 568, 424, 312, 3368],
        );
        check(
            include_bytes!("btf/kernels/7.3.btf"),
            4,
            [2872, 2876, 3216, 3408, 44, 52, 53, 2936, 20, 104, 1420],
            [233, 1056, 0, 296, 96, 1096, 320, 428, 72, 528, 608, 688, 432, 320, 4136],
        );
    }

    #[test]
    fn the_running_kernel_resolves() {
        let Ok(bytes) = fs::read(BTF_PATH) else { return };
        let offsets = resolve(&Btf::parse(&bytes).unwrap()).unwrap();
        assert!(offsets.len() >= MEMBERS.len());
        // pid and tgid are neighbours in every kernel there is.
        assert_eq!(offsets["TASK_TGID"], offsets["TASK_PID"] + 4);
    }
}
