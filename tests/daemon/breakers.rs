//! Breakers from outside: a dependency that fails, slows down, hangs and recovers; what is decided then, what
//! is started, and what is written down of it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{CRONX, Daemon, eventually};
use crate::web::{Mood, Server};

/// A place for what is decided.
struct Decisions {
    folder: TempDir,
}

impl Decisions {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("decisions.jsonl")
    }

    /// `[daemon]` with it.
    fn settings(&self) -> String {
        format!("[daemon]\ndecisions = '{}'\n", self.path().display())
    }

    /// Its whole lines.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Its turns, such as `closed open consecutive`.
    fn turns(&self) -> Vec<String> {
        let turned = |line: &Value| {
            let word = |key: &str| line[key].as_str().unwrap().to_owned();
            (line["event"] == "turned").then(|| ["from", "to", "rule"].map(word).join(" "))
        };
        self.lines().iter().filter_map(turned).collect()
    }
}

/// A job that calls it, with what there is to say of its breaker.
fn calls(address: &str, breaker: &str) -> String {
    format!(
        "[job.pay]\nschedule = '@every 50ms'\nhttp = {{ url = 'http://{address}/' }}\ntimeout = '2s'\n\
         breaker = {{ {breaker} }}\n"
    )
}

fn state(daemon: &Daemon) -> String {
    daemon.status()["breakers"][0]["state"].as_str().unwrap().to_owned()
}

const CH1: &str = "preset = 'paper-ch1', wait = { first = '400ms', most = '400ms' }";
const CH3: &str = "preset = 'paper-ch3', wait = { first = '400ms', most = '400ms' }";

/// Each way to be ill: open after the third failure, one probe after the wait, closed after a success.
#[test]
fn the_papers_scenario_of_the_first_chapter() {
    for mood in [Mood::Fails, Mood::Slow, Mood::Hangs] {
        let (server, decisions) = (Server::start(Mood::Well), Decisions::new());
        let daemon = Daemon::start(&(calls(&server.address, CH1) + &decisions.settings()));
        eventually("it is well", || daemon.succeeded("pay") >= 3);
        server.be(mood);
        eventually("it opens again after a probe", || {
            decisions.turns().iter().any(|turn| turn == "half-open open probe-failed")
        });
        server.be(Mood::Well);
        eventually("it closes", || decisions.turns().contains(&closes()));
        assert_eq!(state(&daemon), "closed", "{mood:?}");
        of_the_first_chapter(&decisions.lines());
        let well = daemon.succeeded("pay");
        eventually("all is as before", || daemon.succeeded("pay") > well + 3);
        assert!(daemon.job("pay")["ended"]["rejected"].as_u64() > Some(0));
        is_replayed(&server.address, &decisions);
        daemon.says("the breaker 'job:pay' was closed and is open: consecutive (");
    }
}

/// The older file is read before the newer, and what has lost its beginning is left out.
#[test]
fn a_log_of_two_files_is_replayed_as_one() {
    let (server, decisions) = (Server::start(Mood::Fails), Decisions::new());
    let rules = CH1.replace("400ms", "50ms");
    let daemon = Daemon::start(&(calls(&server.address, &rules) + &decisions.settings()));
    eventually("it opens, thrice", || decisions.turns().len() >= 5);
    server.be(Mood::Well);
    eventually("it closes", || decisions.turns().contains(&closes()));
    server.be(Mood::Fails);
    let closed = decisions.turns().len();
    eventually("it opens again", || decisions.turns().len() >= closed + 3);
    drop(daemon);
    let lines: Vec<_> = decisions.lines().iter().map(|line| format!("{line}\n")).collect();
    let file = decisions.folder.path().join("jobs.toml");
    fs::write(&file, calls(&server.address, &rules)).unwrap();
    let log = decisions.folder.path().join("copy.jsonl");
    let replay = |older: &[String], newer: &[String]| {
        fs::write(log.with_extension("jsonl.1"), older.concat()).unwrap();
        fs::write(&log, newer.concat()).unwrap();
        let mut replay = Command::new(CRONX);
        let replay = replay.args(["run", "--replay"]).arg(&log).arg(&file).output().unwrap();
        assert_eq!(replay.status.code(), Some(0), "{replay:?}");
        String::from_utf8(replay.stdout).unwrap()
    };
    let turns = decisions.turns().len();
    let (older, newer) = lines.split_at(lines.len() / 2);
    let whole = format!("job:pay: {} records, {turns} turns, as they were\n", lines.len() - 1);
    assert_eq!(replay(older, newer), whole);
    let cut = replay(&older[1..], newer);
    assert!(cut.contains(" turns, as they were; ") && cut.contains(" have lost what"), "{cut}");
    assert!(!cut.contains(" 0 turns"), "{cut}");
}

/// The log, fed back, decides the same; by other rules it does not.
fn is_replayed(address: &str, decisions: &Decisions) {
    let file = decisions.folder.path().join("jobs.toml");
    let log = decisions.folder.path().join("copy.jsonl");
    let lines: Vec<_> = decisions.lines().iter().map(|line| format!("{line}\n")).collect();
    fs::write(&log, lines.concat()).unwrap();
    for (rules, status) in [(CH1, 0), (CH3, 1)] {
        fs::write(&file, calls(address, rules)).unwrap();
        let mut replay = Command::new(CRONX);
        let replay = replay.args(["run", "--replay"]).arg(&log).arg(&file).output().unwrap();
        let said = String::from_utf8(replay.stdout).unwrap();
        assert_eq!(replay.status.code(), Some(status), "{said}");
        assert!(said.starts_with("job:pay: ") && said.lines().count() == 1, "{said}");
    }
}

fn closes() -> String {
    "half-open closed probes-succeeded".to_owned()
}

/// What chapter 1 wants of a log: three failures open it, and there is one probe between two turns.
fn of_the_first_chapter(lines: &[Value]) {
    let turned = lines.iter().find(|line| line["event"] == "turned").unwrap();
    assert_eq!((&turned["rule"], &turned["window"]["in_row"]), (&"consecutive".into(), &3.into()));
    let mut probes = 0;
    let mut is_open = false;
    for line in lines {
        match line["event"].as_str().unwrap() {
            "probed" => probes += 1,
            "rejected" => assert!(is_open, "{line}"),
            "turned" => {
                // The probe is told of before it turns it half-open.
                let at_most = if line["from"] == "half-open" { 1 } else { probes.min(1) };
                assert_eq!(probes, at_most, "{line}");
                probes = if line["to"] == "half-open" { probes } else { 0 };
                is_open = line["to"] != "closed";
            }
            _ => {}
        }
    }
}

#[test]
fn the_papers_scenario_of_the_third_chapter() {
    let (server, decisions) = (Server::start(Mood::Fails), Decisions::new());
    let daemon = Daemon::start(&(calls(&server.address, CH3) + &decisions.settings()));
    eventually("it opens", || state(&daemon) == "open");
    server.be(Mood::Well);
    eventually("it closes", || decisions.turns().contains(&closes()));
    let lines = decisions.lines();
    let turns: Vec<&Value> = lines.iter().filter(|line| line["event"] == "turned").collect();
    let opened = &turns[0]["window"];
    assert_eq!((&turns[0]["rule"], &opened["calls"]), (&"failure-rate".into(), &10.into()));
    let closed = turns.iter().find(|turn| turn["to"] == "closed").unwrap();
    assert_eq!(closed["window"]["succeeded"], 3);
    assert!(closed["window"]["probes"].as_u64() <= Some(5), "{closed}");
}

/// A dependency that is a process, and ends with the test.
struct Dependency {
    pids: PathBuf,
    child: Child,
}

impl Dependency {
    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Dependency {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let pids = fs::read_to_string(&self.pids).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// What it is: this very program, which answers.
fn dependency(folder: &Path, address: &str) -> Dependency {
    let file = folder.join("idle.toml");
    fs::write(&file, "[job.idle]\nschedule = '@never'\ncommand = ['true']\n").unwrap();
    let mut command = Command::new(CRONX);
    command.args(["run", "--listen", address]).arg(&file);
    let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    Dependency { pids: folder.join("pids"), child }
}

#[test]
fn a_remedy_restarts_what_is_down() {
    let (folder, decisions) = (tempfile::tempdir().unwrap(), Decisions::new());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut dependency = dependency(folder.path(), &free);
    let at = folder.path().display();
    let heal = format!(
        "[job.heal]\nschedule = '@never'\nbreaker = {{ preset = 'paper-ch1' }}\ncommand = ['sh', '-c', '''\
         setsid {CRONX} run --listen {free} {at}/idle.toml >/dev/null 2>&1 & echo $! >>{at}/pids''']\n"
    );
    let rules = format!("{CH1}, on-open = 'heal'");
    let text = calls(&format!("{free}/status"), &rules).replace("/status/", "/status");
    let daemon = Daemon::start(&(text + &heal + &decisions.settings()));
    eventually("it is up", || daemon.succeeded("pay") >= 1);
    // It may have been tried before it was up.
    eventually("it is closed", || daemon.job("pay")["last"]["outcome"] == "succeeded");
    let closed = |turns: &[String]| turns.iter().filter(|turn| **turn == closes()).count();
    let before = closed(&decisions.turns());
    dependency.stop();
    eventually("it is mended", || closed(&decisions.turns()) > before);
    daemon.says("the breaker 'job:pay' starts 'heal'");
    eventually("the end of it is written", || {
        let is_end = |line: &Value| line["event"] == "healed" && line["outcome"] == "succeeded";
        decisions.lines().iter().any(is_end)
    });
    let lines = decisions.lines();
    let count = |is: &dyn Fn(&Value) -> bool| lines.iter().filter(|line| is(line)).count();
    let openings = count(&|line| line["event"] == "turned" && line["to"] == "open");
    assert!(count(&|line| line["event"] == "remedy") <= openings, "once for each opening");
}

#[test]
fn a_trace_is_found_whole_with_the_decision_in_it() {
    let (server, receiver) = (Server::start(Mood::Fails), Server::start(Mood::Well));
    let decisions = Decisions::new();
    let telemetry = format!("telemetry = {{ endpoint = 'http://{}' }}\n", receiver.address);
    let text = calls(&server.address, CH1) + &decisions.settings() + &telemetry;
    let outer = "0123456789abcdef0123456789abcdef";
    let _daemon = Daemon::start_with(&text, |command| {
        command.env("TRACEPARENT", format!("00-{outer}-0123456789abcdef-01"));
    });
    let turned = |line: &Value| line["event"] == "turned" && line["rule"] == "consecutive";
    eventually("it opens", || decisions.lines().iter().any(turned));
    let opening = decisions.lines().into_iter().find(turned).unwrap();
    let trace = opening["trace"].as_str().unwrap().to_owned();
    let of_it = || -> Vec<_> {
        receiver.spans().into_iter().filter(|span| span.trace() == trace).collect()
    };
    eventually("both spans are there", || of_it().len() == 2);
    let spans = of_it();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (firing, attempt) = (named("firing"), named("attempt"));
    assert_eq!((firing.parent(), attempt.parent()), (String::new(), firing.id()));
    assert_eq!(firing.links(), [outer]);
    assert_eq!(attempt.text("cronx.job").as_deref(), Some("pay"));
    assert!(firing.begun_ns <= attempt.ended_ns && attempt.begun_ns <= attempt.ended_ns);
    let decided = attempt.events.iter().find(|event| event.name == "breaker turned").unwrap();
    assert_eq!(decided.text("cronx.rule").as_deref(), Some("consecutive"));
    assert_eq!(decided.text("cronx.to").as_deref(), Some("open"));
    // And the dependency was told of it.
    let parent = format!("traceparent: 00-{trace}-{}-01\r\n", attempt.id());
    assert!(server.calls().iter().any(|call| call.head.to_lowercase().contains(&parent)));
    let rejected = |event: &crate::web::SpanEvent| event.name == "breaker rejected";
    eventually("a rejection is in a trace too", || {
        receiver.spans().iter().any(|span| span.events.iter().any(rejected))
    });
}

/// A firing that waits for its second attempt has a span all the same, once nobody waits for it any more.
#[test]
fn what_is_cancelled_between_two_attempts_leaves_no_span_without_its_parent() {
    let waits = "[job.a]\nschedule = '@every 50ms'\ncommand = ['false']\noverlap = 'skip'\n\
                 retry = { attempts = 2, base = '10000h', cap = '10000h' }\n";
    let other = "[job.b]\nschedule = '@never'\ncommand = ['true']\n";
    for is_removed in [true, false] {
        let receiver = Server::start(Mood::Well);
        let settings =
            format!("[daemon]\ntelemetry = {{ endpoint = 'http://{}' }}\n", receiver.address);
        let mut daemon = Daemon::start(&format!("{waits}{other}{settings}"));
        eventually("an attempt", || !receiver.spans().is_empty());
        let alone = receiver.spans().iter().all(|span| span.name == "attempt");
        assert!(alone, "it is to be tried again");
        if is_removed {
            daemon.write(&format!("{other}{settings}"));
            daemon.signal(Signal::SIGHUP);
            eventually("its end", || receiver.spans().len() == 3);
        } else {
            daemon.signal(Signal::SIGTERM);
            assert!(daemon.ended().success(), "{}", daemon.text());
        }
        let spans = receiver.spans();
        let firing = spans.iter().find(|span| span.name == "firing").unwrap();
        let attempts: Vec<_> = spans.iter().filter(|span| span.name == "attempt").collect();
        assert!(attempts.iter().all(|attempt| attempt.parent() == firing.id()));
        let ends: Vec<_> =
            attempts.iter().map(|attempt| attempt.text("cronx.outcome").unwrap()).collect();
        let expected: &[&str] = if is_removed { &["failed", "cancelled"] } else { &["failed"] };
        assert_eq!(ends, expected);
        assert_eq!(firing.text("cronx.outcome").as_deref(), expected.last().copied());
    }
}

#[test]
fn a_command_finds_its_trace() {
    let text =
        "[job.a]\nschedule = '@every 50ms'\ncommand = ['sh', '-c', 'echo \"in $TRACEPARENT.\"']\n";
    let daemon = Daemon::start(text);
    daemon.says("a: in 00-");
    let said = daemon.text();
    let (_, parent) = said.split_once("a: in ").unwrap();
    let parent = parent.split_once('.').unwrap().0;
    assert_eq!((parent.len(), &parent[53..]), (55, "00"), "nobody samples: {parent}");
}

/// Down, slow, or refusing: jobs go on, and what is lost is counted.
#[test]
fn no_receiver_keeps_a_job_from_running() {
    let refusing = Server::start(Mood::Fails);
    let hanging = Server::start(Mood::Hangs);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let lost = |daemon: &Daemon, how: &str| daemon.status()["spans"][how].as_u64().unwrap();
    for (address, how) in
        [(&refusing.address, "failed"), (&hanging.address, "dropped"), (&nobody, "failed")]
    {
        let daemon = Daemon::start(&format!(
            "[job.a]\nschedule = '@every 10ms'\ncommand = ['true']\n[daemon]\n\
             telemetry = {{ endpoint = 'http://{address}', queue = 4 }}\n"
        ));
        eventually("spans are lost", || lost(&daemon, how) > 4);
        let so_far = daemon.succeeded("a");
        eventually("jobs go on", || daemon.succeeded("a") > so_far + 20);
        assert_eq!(lost(&daemon, "sent"), 0);
        assert!(daemon.get("/metrics").contains("cronx_spans_total{result=\"dropped\"}"));
    }
}

#[test]
fn a_reload_leaves_a_breaker_as_it_is_unless_its_rules_change() {
    let server = Server::start(Mood::Fails);
    let shared = |rules: &str, timeout: &str| {
        format!(
            "[job.pay]\nschedule = '@every 50ms'\nhttp = {{ url = 'http://{}/' }}\ntimeout = '{timeout}'\n\
             depends-on = ['ledger']\n[breaker.ledger]\npreset = 'paper-ch1'\n{rules}\n",
            server.address
        )
    };
    let daemon = Daemon::start(&shared("", "2s"));
    eventually("it opens", || state(&daemon) == "open");
    daemon.write(&shared("", "3s"));
    daemon.signal(Signal::SIGHUP);
    daemon.says("reloaded: 0 added, 1 changed");
    assert_eq!(state(&daemon), "open");
    server.be(Mood::Well);
    daemon.write(&shared("consecutive = 9", "3s"));
    daemon.signal(Signal::SIGHUP);
    eventually("it begins again", || daemon.succeeded("pay") >= 1);
    assert_eq!(state(&daemon), "closed");
    let metrics = daemon.get("/metrics");
    assert!(metrics.contains("cronx_breaker_state{breaker=\"ledger\",state=\"closed\"} 1\n"));
}

/// Prometheus shifts a threshold as long as it answers; without an answer all stays as it is.
#[test]
fn a_feed_is_heard_and_not_needed() {
    let (server, prometheus) = (Server::start(Mood::Well), Server::start(Mood::Well));
    let decisions = Decisions::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let result = format!("\"resultType\":\"scalar\",\"result\":[{now},\"0.2\"]");
    prometheus.say(format!("{{\"status\":\"success\",\"data\":{{{result}}}}}"));
    let query = format!("http://{}/api/v1/query?query=errors", prometheus.address);
    let feed = format!(
        "feed = {{ query = '{query}', every = '100ms', reach = '20%', per-minute = '100%' }}"
    );
    let rules = format!("minimum = 2, failures = {{ adaptive = {{ samples = 1, {feed} }} }}");
    let daemon = Daemon::start(&(calls(&server.address, &rules) + &decisions.settings()));
    let threshold =
        || daemon.status()["breakers"][0]["window"]["threshold_millionths"].as_u64().unwrap();
    eventually("it is heard", || threshold() > 50_000 && threshold() < 500_000);
    let heard = |line: &Value| line["event"] == "heard" && line["counted"] == true;
    eventually("that is written down", || decisions.lines().iter().any(heard));
    prometheus.be(Mood::Hangs);
    let shifted = threshold();
    let well = daemon.succeeded("pay");
    eventually("jobs go on", || daemon.succeeded("pay") > well + 5);
    assert!(threshold() >= shifted, "it stays as it was");
    assert!(prometheus.calls()[0].head.starts_with("GET /api/v1/query?query=errors HTTP/1.1\r\n"));
}
