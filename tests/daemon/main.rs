//! `cronx run` from outside: the built command, its files, signals and sockets. No root, no kernel
//! of a kind. Every wait is for a condition, with a bound.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breakers;
mod daemon;
mod journal;
mod ledger;
mod sagas;
mod server;
mod shards;
mod web;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use daemon::{CRONX, Daemon, eventually, is_alive};

/// A job of this name that does so, with what else there is to say of it.
fn job(name: &str, schedule: &str, shell: &str, more: &str) -> String {
    format!(
        "[job.{name}]\nschedule = '{schedule}'\ncommand = ['sh', '-c', '''{shell}''']\n{more}\n"
    )
}

#[test]
fn runs_happen_and_are_told() {
    let daemon = Daemon::start(&job("a", "@every 50ms", "echo \"from $CRONX_JOB\"", ""));
    daemon.says("a: from a");
    eventually("three runs", || daemon.succeeded("a") >= 3);
    let metrics = daemon.get("/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    assert!(metrics.contains("application/openmetrics-text; version=1.0.0"), "{metrics}");
    assert!(metrics.contains("cronx_runs_total{job=\"a\",outcome=\"succeeded\"} "), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(daemon.get("/").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_name_from_outside_is_plain_text_everywhere() {
    let text = job("\"\\u001b]0;x\\u0007</script>\"", "@every 50ms", "printf '\\033[2Jred\\n'", "");
    let daemon = Daemon::start(&text);
    daemon.says(r"\x1b]0;x\x07</script>: \x1b[2Jred");
    let status = daemon.status();
    assert_eq!(status["jobs"][0]["name"], "\u{1b}]0;x\u{7}</script>");
}

/// Of root's daemon; any other refuses the file.
#[test]
fn a_command_is_the_user_that_it_is_to_be() {
    let shell = "echo \"$(id -u) of $(id -G), $USER\"; echo $(grep ^CapEff /proc/self/status)";
    let text = job("a", "@every 50ms", shell, "user = 'nobody'");
    if Uid::effective().is_root() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let daemon = Daemon::start(&text);
        daemon.says(&format!("a: {} of {}, nobody\n", nobody.uid, nobody.gid));
        daemon.says("a: CapEff: 0000000000000000");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.toml");
    fs::write(&file, text).unwrap();
    let output = Command::new(CRONX).args(["run", "--check"]).arg(file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("user: only a daemon that root runs can run a command as"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_failure_says_why() {
    let shell = "test $CRONX_ATTEMPT -ge 2 || exit 3";
    let more = "retry = { attempts = 2, base = '1ms' }\n[job.b]\nschedule = '@every 50ms'\ncommand = ['/no/such']";
    let daemon = Daemon::start(&job("a", "@every 50ms", shell, more));
    daemon.says("attempt 1, failed: exit status 3");
    daemon.says("failed: cannot run '/no/such': No such file or directory");
    eventually("a second attempt", || daemon.succeeded("a") >= 1);
    assert_eq!(daemon.job("b")["last"]["outcome"], "failed");
}

#[test]
fn a_bad_file_leaves_the_jobs_as_they_are() {
    let daemon = Daemon::start(&job("a", "@every 50ms", "true", ""));
    eventually("a run", || daemon.succeeded("a") >= 1);
    daemon.write("[job.a]\nschedule = 'never'\ncommand = ['false']\n");
    daemon.signal(Signal::SIGHUP);
    daemon.says("not reloaded, the jobs are as they were: ");
    daemon.says("jobs.toml: line 2, [job.a] schedule: 'never': ");
    let so_far = daemon.succeeded("a");
    eventually("more runs", || daemon.succeeded("a") > so_far + 2);
    assert!(daemon.status()["file"]["refused"].as_str().unwrap().contains("line 2"));
    assert!(daemon.get("/metrics").contains("cronx_reloads_total{result=\"refused\"} 1\n"));
}

#[test]
fn a_good_file_changes_what_differs() {
    let kept = job("kept", "@every 50ms", "true", "");
    let gone = job("gone", "@every 1h", "true", "");
    let old = job("changed", "@every 50ms", "echo old", "");
    let daemon = Daemon::start(&(kept.clone() + &gone + &old));
    daemon.says("changed: old");
    eventually("runs", || daemon.succeeded("kept") >= 3);
    let so_far = daemon.succeeded("kept");
    let new = job("changed", "@every 50ms", "echo new", "");
    daemon.write(&(kept + &new + &job("added", "@every 50ms", "echo me too", "")));
    daemon.signal(Signal::SIGHUP);
    daemon.says("reloaded: 1 added, 1 changed, 1 removed, 1 as they were");
    daemon.says("changed: new");
    daemon.says("added: me too");
    assert!(daemon.succeeded("kept") >= so_far, "it noticed");
    assert_eq!(daemon.status()["jobs"].as_array().unwrap().len(), 3);
    assert!(!daemon.get("/metrics").contains("job=\"gone\""));
}

#[test]
fn a_job_that_changed_waits_for_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let [lock, go] = ["lock", "go"].map(|name| folder.path().join(name));
    let shell = format!(
        "mkdir {0} || echo not alone; echo begun $V; until [ -e {1} ]; do sleep 0.02; done; rmdir {0}",
        lock.display(),
        go.display()
    );
    let version = |v: &str| job("a", "@every 50ms", &shell, &format!("env = {{ V = '{v}' }}"));
    let daemon = Daemon::start(&version("one"));
    daemon.says("a: begun one");
    daemon.write(&version("two"));
    daemon.signal(Signal::SIGHUP);
    daemon.says("reloaded: 0 added, 1 changed");
    eventually("that the new one is due", || daemon.job("a")["busy"] == 1);
    fs::write(&go, "").unwrap();
    daemon.says("a: begun two");
    assert!(!daemon.text().contains("not alone"), "{}", daemon.text());
}

#[test]
fn a_drain_waits_for_what_runs_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [go, done] = ["go", "done"].map(|name| folder.path().join(name));
    let shell = format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done; echo x >> {}",
        go.display(),
        done.display()
    );
    let mut daemon = Daemon::start(&job("a", "@every 50ms", &shell, "overlap = 'buffer-one'"));
    daemon.says("a: begun");
    daemon.signal(Signal::SIGTERM);
    daemon.says("draining: 1 run may take 30s");
    eventually("that it drains", || daemon.status()["phase"] == "draining");
    fs::write(&go, "").unwrap();
    assert_eq!(daemon.ended().code(), Some(0));
    assert_eq!(fs::read_to_string(&done).unwrap(), "x\n");
    daemon.says("drained");
}

#[test]
fn a_drain_has_an_end() {
    let settings = "[daemon]\ndrain = '100ms'\nkill-after = '100ms'\n";
    let shell = "trap '' TERM; sleep 1000 & echo pid $!; wait; sleep 1000";
    let mut daemon = Daemon::start(&(job("a", "@every 50ms", shell, "") + settings));
    let pid = daemon.number_after("a: pid ");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.says("not drained in 100ms: ended 1 command");
    eventually("that nobody is left", || !is_alive(pid));
}

#[test]
fn a_file_without_an_end_keeps_nobody_from_ending() {
    let mut daemon = Daemon::start(&job("a", "@every 50ms", "true", ""));
    daemon.write_pipe();
    daemon.signal(Signal::SIGHUP);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.says("drained");
}

#[test]
fn jobs_are_on_time_though_nobody_reads_about_them() {
    let (unread, stderr) = std::io::pipe().unwrap();
    // More than a pipe and the daemon together keep.
    let loud = job("loud", "@every 50ms", "yes | head -c 2000000", "");
    let text = loud + &job("a", "@every 50ms", "true", "");
    let mut daemon = Daemon::start_unheard(&text, stderr);
    eventually("runs of both", || daemon.succeeded("loud") >= 2 && daemon.succeeded("a") >= 5);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended().code(), Some(0));
    drop(unread);
}

#[test]
fn a_second_signal_does_not_wait() {
    let shell = "trap '' TERM; sleep 1000 & echo pid $!; wait; sleep 1000";
    let mut daemon = Daemon::start(&job("a", "@every 50ms", shell, ""));
    let pid = daemon.number_after("a: pid ");
    daemon.signal(Signal::SIGINT);
    daemon.says("draining");
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.says("told twice: killed 1 command");
    eventually("that nobody is left", || !is_alive(pid));
}

#[test]
fn a_timeout_ends_grandchildren_and_those_that_will_not_listen() {
    let polite = job("polite", "@every 1h", "true", "");
    let shell = "trap '' TERM; sleep 1000 & echo pid $!; wait; sleep 1000";
    let settings = "[daemon]\nkill-after = '200ms'\n";
    let stubborn = job("stubborn", "@every 50ms", shell, "timeout = '300ms'");
    let daemon = Daemon::start(&(polite + &stubborn + settings));
    let pid = daemon.number_after("stubborn: pid ");
    daemon.says("took longer than its timeout, and was ended");
    eventually("that the grandchild is gone", || !is_alive(pid));
    eventually("another run", || {
        daemon.job("stubborn")["ended"]["timed_out"].as_u64().unwrap() >= 2
    });
}

#[test]
fn a_run_that_is_being_ended_still_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    // Whoever finds the folder there is not alone. TERM takes a while to be obeyed.
    let shell = format!(
        "mkdir {0} || echo not alone; trap 'sleep 0.3; rmdir {0}; exit' TERM; while :; do sleep 0.02; done",
        lock.display()
    );
    let daemon = Daemon::start(&job("a", "@every 50ms", &shell, "timeout = '500ms'"));
    let timed_out = || daemon.job("a")["ended"]["timed_out"].as_u64().unwrap();
    eventually("three timeouts", || timed_out() >= 3);
    assert!(!daemon.text().contains("not alone"), "{}", daemon.text());
}

#[test]
fn a_call_is_judged_by_its_answer() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a?b=c", server.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let answers = ["200 OK", "503 Service Unavailable"];
        answers.map(|status| {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok").unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap()
        })
    });
    let call =
        format!("[job.a]\nschedule = '@every 50ms'\nhttp = {{ url = '{url}', method = 'POST' }}\n");
    let daemon = Daemon::start(&call);
    daemon.says("failed: the answer is 503 Service Unavailable");
    let [first, _] = asked.join().unwrap();
    assert!(first.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{first}");
    eventually("the first is counted", || daemon.succeeded("a") == 1);
    // The server is gone now.
    daemon.says("failed: cannot connect to 127.0.0.1:");
}

#[test]
fn a_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(daemon::BOUND)).unwrap();
    let heard = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let text = job("a", "@every 1h", "true", "");
    let mut daemon = Daemon::start_with(&text, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(heard(), "READY=1\n");
    daemon.signal(Signal::SIGHUP);
    assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(heard(), "READY=1\n");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(heard(), "STOPPING=1\n");
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn a_wish_that_is_refused_is_reported() {
    let wishes = "[daemon.realtime]\nfifo = 50\ncores = [1023]\n";
    let text = job("a", "@every 50ms", "true", "") + wishes;
    let daemon = Daemon::start_as_nobody(&text);
    eventually("a run", || daemon.succeeded("a") >= 1);
    let status = daemon.status();
    let wishes = status["scheduler"]["shards"][0]["wishes"].as_array().unwrap();
    let refused =
        |what: &str| wishes.iter().any(|wish| wish["what"] == what && wish["refused"].is_string());
    assert!(refused("SCHED_FIFO 50") && refused("core 1023"), "{wishes:?}");
}

#[test]
fn a_file_that_cannot_be_used_is_one_sentence_and_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.toml");
    fs::write(&path, "[job.a]\nschedule = '@daily'\n").unwrap();
    for check in [&["--check"][..], &[]] {
        let run = Command::new(CRONX)
            .arg("run")
            .args(check)
            .arg(&path)
            .env("CRONX_LEDGER", "memory:")
            .output()
            .unwrap();
        let says = String::from_utf8(run.stderr).unwrap();
        let why = "jobs.toml: line 1, [job.a]: a job has a command or http, and this has neither\n";
        assert!(says.starts_with("cronx: ") && says.ends_with(why), "{says}");
        assert_eq!(run.status.code(), Some(2));
    }
}

#[test]
fn an_address_that_is_taken_is_one_sentence_and_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.toml");
    fs::write(&path, job("a", "@every 1h", "true", "")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = Command::new(CRONX)
        .args(["run", "--listen", &address, "--ledger", "memory:"])
        .arg(&path)
        .output()
        .unwrap();
    let says = String::from_utf8(run.stderr).unwrap();
    assert!(says.starts_with(&format!("cronx: cannot listen on {address}: ")), "{says}");
    assert_eq!((run.status.code(), says.lines().count()), (Some(2), 1));
}

#[test]
fn the_example_is_a_file_of_jobs() {
    let healing = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/healing.toml");
    let check = Command::new(CRONX).args(["run", "--check", healing]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/jobs.toml");
    let check = Command::new(CRONX).args(["run", "--check", path]).output().unwrap();
    assert!(check.status.success());
    assert_eq!(String::from_utf8(check.stdout).unwrap().lines().count(), 8);
    let daemon = Daemon::start(&fs::read_to_string(path).unwrap());
    daemon.says("hello: hello");
}
