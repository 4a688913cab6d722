use std::fs;
use std::io::Write;
use std::time::Duration;

use cronx_scheduler::{Back, Dst, Fold, Gap, Leap, Misfire, Overlap, Policy, Retry};
use expect_test::{Expect, expect};

use super::*;

const GOOD: &str = "[job.a]\nschedule = '@every 5s'\ncommand = ['true']\n";

#[expect(clippy::needless_pass_by_value, reason = "so that a test is one line")]
fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&Jobs::parse(text).unwrap_err().to_string());
}

/// A job with this line added, which is the fourth.
fn with(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

fn plan(line: &str) -> Arc<Plan> {
    Jobs::parse(&with(line)).unwrap().plans["a"].clone()
}

#[test]
fn no_file_of_jobs() {
    refused("", expect!["line 1: there is no job; one begins with [job.NAME]"]);
    refused("# nothing\n\n", expect!["line 3: there is no job; one begins with [job.NAME]"]);
    refused(
        "[daemon]\ndrain = '1s'\n",
        expect!["line 3, [daemon]: there is no job; one begins with [job.NAME]"],
    );
    refused("job", expect!["line 1: key with no value, expected `=`"]);
    refused("[job.a\n", expect!["line 1, [job.a: unclosed table, expected `]`"]);
    refused("\u{0}", expect!["line 1: key with no value, expected `=`"]);
    refused(
        "[job.a]\nschedule = '@daily\n",
        expect!["line 2, [job.a] schedule: invalid literal string, expected `'`"],
    );
    refused(
        "[job]\na = 3",
        expect!["line 2, [job] a: invalid type: integer `3`, expected a table, [job.NAME]"],
    );
    refused("job = 3", expect!["line 1, job: invalid type: integer `3`, expected a map"]);
    refused(
        &"[".repeat(10_000),
        expect![
            "line 1, [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"
        ],
    );
}

#[test]
fn what_nobody_knows() {
    refused(
        &with("retries = 3"),
        expect![
            "line 4, [job.a] retries: unknown field `retries`, expected one of `schedule`, `zone`, `dst`, `command`, `env`, `cwd`, `output`, `user`, `http`, `saga`, `timeout`, `grace`, `misfire`, `overlap`, `limit`, `forward`, `back`, `suspend`, `priority`, `jitter`, `retry`, `breaker`, `depends-on`"
        ],
    );
    refused(
        "[jobs.a]\nschedule = '@daily'\n",
        expect![
            "line 1, [jobs.a]: unknown field `jobs`, expected one of `daemon`, `job`, `breaker`"
        ],
    );
    refused(
        &format!("{GOOD}[daemon]\nport = 80\n"),
        expect![
            "line 5, [daemon] port: unknown field `port`, expected one of `listen`, `drain`, `kill-after`, `lease`, `retention`, `shards`, `workers`, `running`, `queue`, `aging`, `spin`, `realtime`, `decisions`, `decisions-most`, `telemetry`"
        ],
    );
    refused(
        &format!("{GOOD}[daemon]\nretention = '59m'\n"),
        expect!["line 5, [daemon] retention: '59m': it is 1h or longer"],
    );
    for size in ["0KiB", "64", "64MB", "-1MiB", "17179869184GiB"] {
        let text = format!("{GOOD}[daemon]\ndecisions-most = '{size}'\n");
        let why = format!("'{size}' is no size: a size is such as \"64MiB\", in KiB, MiB or GiB");
        let said = Jobs::parse(&text).unwrap_err().to_string();
        assert_eq!(said, format!("line 5, [daemon] decisions-most: {why}"));
    }
    refused(
        &with("http = { uri = 'http://a' }"),
        expect![
            "line 4, [job.a] http: unknown field `uri`, expected one of `url`, `method`, `headers`, `body`, `expect`"
        ],
    );
    refused(&format!("{GOOD}{GOOD}"), expect!["line 4, [job.a]: duplicate key"]);
    refused(&with("schedule = '@daily'"), expect!["line 4, [job.a] schedule: duplicate key"]);
}

#[test]
fn what_to_do_and_when() {
    refused("[job.a]\ncommand = ['true']\n", expect!["line 1, [job.a]: missing field `schedule`"]);
    refused(
        "[job.a]\nschedule = '@daily'\n",
        expect!["line 1, [job.a]: a job has a command or http, and this has neither"],
    );
    refused(
        "[job.'']\nschedule = '@daily'\ncommand = ['true']\n",
        expect!["line 1, [job.'']: a name has 1 to 128 bytes"],
    );
    refused(
        "[job.a]\nschedule = '* * *'\ncommand = ['true']\n",
        expect![
            "line 2, [job.a] schedule: '* * *': a pattern has 5, 6 or 7 fields, and this has 3"
        ],
    );
    refused(
        "[job.a]\nschedule = '61 * * * *'\ncommand = ['true']\n",
        expect![
            "line 2, [job.a] schedule: '61 * * * *': field 1 (minute) '61': Number out of bounds"
        ],
    );
    refused(
        "[job.a]\nschedule = '0 0 30 2 *'\ncommand = ['true']\n",
        expect!["line 2, [job.a] schedule: '0 0 30 2 *' never fires"],
    );
    refused(
        "[job.a]\nschedule = '0 0 0 1 1 * 2001'\ncommand = ['true']\n",
        expect!["line 2, [job.a] schedule: '0 0 0 1 1 * 2001' never fires"],
    );
    refused(
        "[job.a]\nschedule = '@daily'\ncommand = []\n",
        expect![
            "line 3, [job.a] command: a command is a program and its arguments, and has no program"
        ],
    );
    refused(
        "[job.a]\nschedule = '@daily'\ncommand = 'true'\n",
        expect![[r#"line 3, [job.a] command: invalid type: string "true", expected a sequence"#]],
    );
    refused(
        "[job.a]\nschedule = '@daily'\ncommand = [\"a\\u0000\"]\n",
        expect!["line 3, [job.a] command: no argument has a NUL"],
    );
    refused(
        &with("zone = 'Europe/Nowhere'"),
        expect![
            "line 4, [job.a] zone: there is no time zone 'Europe/Nowhere': failed to find time zone `Europe/Nowhere` in time zone database"
        ],
    );
    refused(
        &with("env = { 'A=B' = 'c' }"),
        expect!["line 4, [job.a] env: 'A=B' can be in no environment"],
    );
    refused(
        &with("http = { url = 'http://localhost' }"),
        expect!["line 3, [job.a] command: a job has a command or http, and not both"],
    );
}

#[test]
fn how_to_treat_it() {
    refused(
        &with("timeout = 5"),
        expect!["line 4, [job.a] timeout: invalid type: integer `5`, expected a string"],
    );
    refused(
        &with("timeout = '5'"),
        expect![
            "line 4, [job.a] timeout: '5' is no span: a span is numbers with ns, us, ms, s, m, h or d"
        ],
    );
    refused(
        &with("timeout = '0s'"),
        expect!["line 4, [job.a] timeout: a timeout is longer than nothing"],
    );
    refused(
        &with("jitter = '-1s'"),
        expect![
            "line 4, [job.a] jitter: '-1s' is no span: a span is numbers with ns, us, ms, s, m, h or d"
        ],
    );
    refused(
        &with("priority = 256"),
        expect!["line 4, [job.a] priority: invalid value: integer `256`, expected u8"],
    );
    refused(
        &with("limit = 0"),
        expect!["line 4, [job.a] limit: invalid value: integer `0`, expected a nonzero u32"],
    );
    refused(
        &with("limit = 2\noverlap = 'allow'"),
        expect![[r#"line 4, [job.a] limit: overlap = "allow" asks for no limit"#]],
    );
    refused(
        &with("overlap = 'sometimes'"),
        expect![
            "line 4, [job.a] overlap: unknown variant `sometimes`, expected one of `allow`, `skip`, `buffer-one`, `buffer-all`, `cancel-other`"
        ],
    );
    refused(
        &with("overlap = { buffer-all = 0 }"),
        expect!["line 4, [job.a] overlap: invalid value: integer `0`, expected a nonzero u32"],
    );
    refused(
        &with("misfire = 'within'"),
        expect!["line 4, [job.a] misfire: this word has a value, as in { WORD = VALUE }"],
    );
    refused(
        &with("misfire = { within = 'x' }"),
        expect![
            "line 4, [job.a] misfire: 'x' is no span: a span is numbers with ns, us, ms, s, m, h or d"
        ],
    );
    refused(
        &with("retry = { base = '1s' }"),
        expect!["line 4, [job.a] retry: missing field `attempts`"],
    );
    refused(
        &with("retry = { attempts = 2, base = '2s', cap = '1s' }"),
        expect!["line 4, [job.a] retry: its base, 2s, is longer than its cap, 1s"],
    );
    refused(
        &with("dst = { gap = 'both' }"),
        expect!["line 4, [job.a] dst: unknown variant `both`, expected `skip` or `shift`"],
    );
}

#[test]
fn calls() {
    let call = |http: &str| format!("[job.a]\nschedule = '@daily'\nhttp = {http}\n");
    refused(
        &call("'http://localhost'"),
        expect![[
            r#"line 3, [job.a] http: invalid type: string "http://localhost", expected a table with a url"#
        ]],
    );
    refused(
        &call("{ url = 'https://localhost' }"),
        expect!["line 3, [job.a] http: https is not spoken here; a command such as curl speaks it"],
    );
    refused(
        &call("{ url = 'localhost' }"),
        expect!["line 3, [job.a] http: a URL begins with http://"],
    );
    refused(
        &call("{ url = 'http://' }"),
        expect!["line 3, [job.a] http: it is no URL: empty string"],
    );
    refused(
        &call("{ url = 'http://me:secret@localhost' }"),
        expect!["line 3, [job.a] http: a URL is http://HOST:PORT/PATH, and names no user"],
    );
    refused(
        &call("{ url = 'http://[::1' }"),
        expect!["line 3, [job.a] http: it is no URL: invalid authority"],
    );
    refused(
        &call("{ url = 'http://a', method = 'get' }"),
        expect!["line 3, [job.a] http: a method is GET, HEAD, POST, PUT, PATCH or DELETE"],
    );
    refused(
        &call("{ url = 'http://a', expect = [] }"),
        expect![
            "line 3, [job.a] http: what is expected is statuses, 200 to 599, such as [200, 204]"
        ],
    );
    refused(
        &call("{ url = 'http://a', expect = [99] }"),
        expect![
            "line 3, [job.a] http: what is expected is statuses, 200 to 599, such as [200, 204]"
        ],
    );
    refused(
        &call("{ url = 'http://a', headers = { 'a b' = 'c' } }"),
        expect!["line 3, [job.a] http: 'a b' and its value are no header"],
    );
    refused(
        &call("{ url = 'http://a' }\ncwd = '/'"),
        expect!["line 4, [job.a] cwd: a job with http has no cwd"],
    );
}

#[test]
fn the_daemon_itself() {
    let daemon = |line: &str| format!("{GOOD}[daemon]\n{line}\n");
    refused(
        &daemon("listen = 'localhost'"),
        expect!["line 5, [daemon] listen: invalid socket address syntax"],
    );
    refused(
        &daemon("shards = 0"),
        expect!["line 5, [daemon] shards: it is 0, and must be 1 to 64"],
    );
    refused(
        &daemon("realtime = { fifo = 81 }"),
        expect!["line 5, [daemon] realtime: it is 81, and must be 1 to 80"],
    );
}

#[test]
fn every_option_is_the_schedulers() {
    let policy =
        plan("overlap = { buffer-all = 3 }\nlimit = 2\nmisfire = { within = '1m' }").options.policy;
    let overlap = Overlap::BufferAll { cap: 3 };
    let misfire = Misfire::Within { grace: Duration::from_mins(1) };
    assert_eq!(policy, Policy { overlap, misfire, limit: 2, ..Policy::default() });
    let policy = plan("forward = 'forget'\nback = 'repeat'\nsuspend = 'forget'\ngrace = '2s'")
        .options
        .policy;
    let (forward, back, suspend) = (Leap::Forget, Back::Repeat, Leap::Forget);
    let grace = Duration::from_secs(2);
    assert_eq!(policy, Policy { forward, back, suspend, grace, ..Policy::default() });
    let options = plan(
        "retry = { attempts = 3, rejected = true }\npriority = 1\njitter = '1s'\ntimeout = '2s'",
    )
    .options
    .clone();
    let (base, cap) = (Duration::from_secs(1), Duration::from_mins(1));
    assert_eq!(options.retry, Retry { attempts: 3, base, cap, rejected: true });
    assert_eq!((options.priority, options.jitter), (1, Duration::from_secs(1)));
    assert_eq!(options.timeout, Some(Duration::from_secs(2)));
    let dst = plan("dst = { gap = 'skip', fold = 'last' }").spec.dst_policy();
    assert_eq!(dst, Dst { gap: Gap::Skip, fold: Fold::Last });
}

#[test]
fn jobs_differ_by_what_is_done_and_when() {
    assert_eq!(plan(""), plan("# a remark\npriority = 128"));
    assert_ne!(plan(""), plan("zone = 'Europe/Berlin'"));
    assert_ne!(plan(""), plan("env = { A = 'b' }"));
    assert_ne!(plan(""), plan("timeout = '1s'"));
}

#[test]
fn a_refusal_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.toml");
    let says = |path: &Path| Jobs::read(path).unwrap_err().to_string();
    assert!(says(&path).contains("jobs.toml: it cannot be read: No such file"), "{}", says(&path));
    assert!(says(folder.path()).contains("it cannot be read"), "{}", says(folder.path()));
    fs::write(&path, b"# \xff\n").unwrap();
    assert!(says(&path).ends_with("jobs.toml: line 1 is not UTF-8"), "{}", says(&path));
    fs::File::create(&path).unwrap().set_len(LONGEST + 1).unwrap();
    assert!(says(&path).contains("is longer than 16777216 bytes"), "{}", says(&path));
}

#[test]
fn ten_megabytes_of_jobs_are_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.toml");
    let mut file = fs::File::create(&path).unwrap();
    let filler = "x".repeat(10_000);
    for number in 0..1_000 {
        let job = GOOD.replace("job.a", &format!("job.{number}"));
        writeln!(file, "{job}# {filler}").unwrap();
    }
    assert_eq!(Jobs::read(&path).unwrap().plans.len(), 1_000);
}

#[test]
fn a_changed_byte_is_taken_or_refused_in_one_line() {
    let good = include_str!("../../../examples/jobs.toml");
    assert_eq!(Jobs::parse(good).unwrap().plans.len(), 8);
    for at in (0..good.len()).step_by(7) {
        for byte in *b"\0\n\"[]=x" {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] = byte;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            if let Err(refusal) = Jobs::parse(&text) {
                let refusal = refusal.to_string();
                assert!(refusal.starts_with("line ") && !refusal.contains('\n'), "{refusal}");
            }
        }
    }
}

#[test]
fn a_command_runs_as_another_user_only_of_roots_daemon() {
    if !nix::unistd::Uid::effective().is_root() {
        refused(
            &with("user = 'nobody'"),
            expect![
                "line 4, [job.a] user: only a daemon that root runs can run a command as another user"
            ],
        );
        return;
    }
    refused(
        &with("user = 'no-such-user'"),
        expect!["line 4, [job.a] user: there is no user 'no-such-user'"],
    );
    let Action::Deed(Deed::Command(command)) = &plan("user = 'root'").action else {
        panic!("it is a command")
    };
    let user = command.user.as_ref().unwrap();
    assert_eq!((user.name.as_str(), user.uid, user.gid), ("root", 0, 0));
}

#[test]
fn a_call_is_nobodys() {
    refused(
        "[job.a]\nschedule = '@daily'\nuser = 'root'\nhttp = { url = 'http://a' }\n",
        expect!["line 3, [job.a] user: a job with http has no user"],
    );
}
