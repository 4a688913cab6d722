use super::*;

/// A text that a kernel wrote; the fuzzer begins with the same ones.
macro_rules! kernels {
    ($name:literal) => {
        include_str!(concat!("../../../fuzz/corpus/tracepoint_format/", $name))
    };
}

/// Offset and size of the named fields.
#[track_caller]
fn check(text: &str, id: u32, expected: &[(&str, u32, u32)]) {
    let format = Format::parse(text).unwrap();
    assert_eq!(format.id(), id);
    for &(name, offset, size) in expected {
        let field = format.field(name).unwrap();
        assert_eq!((field.offset, field.size), (offset, size), "{name} of {}", format.name());
    }
}

#[test]
fn sched_switch() {
    let old = [("prev_pid", 24, 4), ("prev_state", 32, 8), ("next_comm", 40, 16)];
    check(kernels!("5.10-sched_switch"), 316, &old);
    check(kernels!("6.18-sched_switch"), 372, &old);
    // One common field more: all move, and the padding before `prev_state` with them.
    let shifted = [("prev_pid", 28, 4), ("prev_state", 40, 8), ("next_comm", 48, 16)];
    check(kernels!("el9-sched_switch"), 330, &shifted);
}

#[test]
fn wakeups_with_and_without_success() {
    check(kernels!("2.6.31-sched_wakeup"), 60, &[("pid", 28, 4), ("success", 36, 4)]);
    for (text, id) in [(kernels!("5.10-sched_wakeup"), 318), (kernels!("5.10-sched_waking"), 319)] {
        check(text, id, &[("pid", 24, 4), ("success", 32, 4), ("target_cpu", 36, 4)]);
    }
    for (text, id) in [(kernels!("el9-sched_wakeup"), 332), (kernels!("el9-sched_waking"), 333)] {
        check(text, id, &[("pid", 28, 4), ("success", 36, 4), ("target_cpu", 40, 4)]);
    }
    for (text, id) in [(kernels!("6.18-sched_wakeup"), 374), (kernels!("6.18-sched_waking"), 375)] {
        check(text, id, &[("pid", 24, 4), ("target_cpu", 32, 4)]);
        let error = Format::parse(text).unwrap().field("success").unwrap_err().to_string();
        assert!(error.ends_with("has no field success"), "{error}");
    }
}

#[test]
fn a_migration_keeps_its_name_inside_or_elsewhere() {
    let inside = [("comm", 8, 16), ("pid", 24, 4), ("orig_cpu", 32, 4), ("dest_cpu", 36, 4)];
    check(kernels!("5.10-sched_migrate_task"), 315, &inside);
    let shifted = [("comm", 12, 16), ("pid", 28, 4), ("orig_cpu", 36, 4), ("dest_cpu", 40, 4)];
    check(kernels!("el9-sched_migrate_task"), 329, &shifted);
    let elsewhere = [("comm", 8, 4), ("pid", 12, 4), ("orig_cpu", 20, 4), ("dest_cpu", 24, 4)];
    check(kernels!("6.18-sched_migrate_task"), 371, &elsewhere);
    let comm = |text| Format::parse(text).unwrap().field("comm").unwrap();
    assert!(comm(kernels!("6.18-sched_migrate_task")).indirect);
    assert!(!comm(kernels!("5.10-sched_migrate_task")).indirect);
}

#[test]
fn interrupts() {
    check(kernels!("5.10-irq_handler_entry"), 149, &[("irq", 8, 4), ("name", 12, 4)]);
    check(kernels!("6.18-irq_handler_entry"), 225, &[("irq", 8, 4), ("name", 12, 4)]);
    check(kernels!("el9-irq_handler_entry"), 153, &[("irq", 12, 4), ("name", 16, 4)]);
    check(kernels!("5.10-softirq_entry"), 147, &[("vec", 8, 4)]);
    check(kernels!("6.18-softirq_entry"), 223, &[("vec", 8, 4)]);
    check(kernels!("el9-softirq_entry"), 151, &[("vec", 12, 4)]);
}

#[test]
fn the_sign_is_the_kernels_word() {
    let format = Format::parse(kernels!("5.10-irq_handler_entry")).unwrap();
    assert!(format.field("irq").unwrap().signed);
    assert!(!format.field("common_type").unwrap().signed);
    assert!(!Format::parse(kernels!("2.6.31-sched_wakeup")).unwrap().field("pid").unwrap().signed);
}

#[test]
fn declarations_end_in_their_name() {
    for (declaration, name) in [
        ("unsigned int vec", Some("vec")),
        ("char comm[TASK_COMM_LEN]", Some("comm")),
        ("__data_loc char[] name", Some("name")),
        ("void *ptr", Some("ptr")),
        ("const char *const * argv", Some("argv")),
        ("u8 grid[2][3]", Some("grid")),
        ("vec", None),
        ("", None),
        ("int", None),
        ("int ]", None),
        ("int *", None),
    ] {
        assert_eq!(declared(declaration), name, "{declaration}");
    }
}

#[test]
fn what_no_kernel_writes_is_named() {
    let say = |text: &str| Format::parse(text).unwrap_err().to_string();
    let field = |field: &str| say(&format!("name: e\nID: 1\nformat:\n\tfield:{field}\n"));
    assert_eq!(say(""), "it has no line `name:`");
    assert_eq!(say("name: e\nID: many\n"), "the format of e has no line `ID:` with a number");
    assert_eq!(
        field("int;\toffset:0;\tsize:4;"),
        "line 4 is no field: its declaration ends in no name"
    );
    assert_eq!(field("int a;\tsize:4;"), "line 4 is no field: it has no offset");
    assert_eq!(field("int a;\toffset:4;\tsize:-4;"), "line 4 is no field: it has no size");
    assert_eq!(
        field("int a;\toffset:4294967295;\tsize:4;"),
        "line 4 is no field: it ends behind the longest record"
    );
}

/// Where tracefs is mounted and readable, every tracepoint of this kernel can be read.
#[test]
fn every_event_of_the_running_kernel_parses() {
    let Ok(systems) = std::fs::read_dir("/sys/kernel/tracing/events") else { return };
    for system in systems.flatten() {
        for event in std::fs::read_dir(system.path()).into_iter().flatten().flatten() {
            let Ok(text) = std::fs::read_to_string(event.path().join("format")) else { continue };
            let format = Format::parse(&text).unwrap();
            assert_eq!(event.file_name().to_str(), Some(format.name()));
            assert_eq!(format.field("common_type").unwrap().offset, 0);
        }
    }
}
