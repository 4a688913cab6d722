use crate::fixture::report;

/// What `hog`, who is what `task` says, is to a victim in cgroup 9 of process `app`.
fn class(task: &str) -> String {
    let report = report(&format!(
        "cgroup 9 /a
         10 cpu0 task app cgroup=9
         10 cpu0 task {task}
         100 cpu0 wait victim%app 60..60 hog 40
         10 cpu0 task victim%app=victim/app cgroup=9"
    ));
    report.blame[0].class.name().to_owned()
}

#[test]
fn the_first_that_matches() {
    assert_eq!(class("hog"), "foreign");
    assert_eq!(class("hog cgroup=8"), "foreign");
    assert_eq!(class("hog cgroup=9"), "cgroup");
    assert_eq!(class("hog cgroup=9 watched"), "load");
    assert_eq!(class("hog watched kernel"), "kernel");
    assert_eq!(class("hog kernel prio=99"), "rt");
    assert_eq!(class("hog prio=-1"), "rt");
    assert_eq!(class("hog prio=100"), "foreign");
    assert_eq!(class("hog prio=-2147483648"), "foreign");
    assert_eq!(class("hog prio=10 profiler kernel watched"), "profiler");
}

fn check(text: &str, expected: &str) {
    let names: Vec<_> = report(text).blame.iter().map(|blame| blame.class.name()).collect();
    assert_eq!(names.join(" "), expected);
}

#[test]
fn its_own_process() {
    check("100 cpu0 wait victim%app 60..60 app 40", "self");
    check("10 cpu0 task app watched\n 100 cpu0 wait victim%app 60..60 app 40", "self");
    check("10 cpu0 task app prio=9\n 100 cpu0 wait victim%app 60..60 app 40", "rt");
}

#[test]
fn where_everybody_is_watched_there_is_no_load() {
    check("target all\n 10 cpu0 task hog watched\n 99 cpu0 wait victim 60..60 hog 40", "foreign");
}

#[test]
fn the_root_is_no_cgroup_of_anybodys() {
    let root = |paths: &str, id: u64| {
        format!(
            "{paths}
             10 cpu0 task hog cgroup={id}
             10 cpu0 task victim cgroup={id}
             100 cpu0 wait victim 60..60 hog 40"
        )
    };
    check(&root("", 9), "cgroup");
    check(&root("", 1), "foreign");
    check(&root("cgroup 9 /", 9), "foreign");
}

#[test]
fn who_was_never_told_of_may_be_anybody() {
    check("100 cpu0 wait victim 60..60 ?hog 40", "unknown");
    check("100 cpu0 wait ?victim 60..60 hog 40", "unknown");
    check("10 cpu0 task hog kernel\n 100 cpu0 wait ?victim 60..60 hog 40", "kernel");
}

#[test]
fn a_record_holds_from_its_instant_on() {
    check(
        "50 cpu0 slice hog 10
         60 cpu0 task hog prio=9
         100 cpu0 wait victim 20..20 hog 50",
        "rt foreign",
    );
}
