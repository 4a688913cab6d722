//! Jobs of several steps: what a daemon that is killed leaves of them, and what a person decides.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{CRONX, Daemon, eventually};
use cronx_servers::{needs, postgres, redis};

/// Where the ledger is, as both verbs have it.
struct Place(Vec<String>);

impl Place {
    fn folder(folder: &Path) -> Self {
        Self(vec!["--state".to_owned(), folder.display().to_string()])
    }

    fn url(url: &str) -> Self {
        Self(vec!["--ledger".to_owned(), url.to_owned()])
    }

    fn start(&self, text: &str) -> Daemon {
        Daemon::start_with(text, |command| _ = command.env_remove("CRONX_LEDGER").args(&self.0))
    }

    fn ask(&self, more: &[&str]) -> Output {
        let mut command = Command::new(CRONX);
        command.env_remove("CRONX_LEDGER").args(["ledger", "saga"]).args(&self.0);
        command.args(more).output().unwrap()
    }

    fn json(&self, more: &[&str]) -> Value {
        let output = self.ask(&[more, &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The names of sagas in this state.
    fn names(&self, state: &str) -> Vec<String> {
        let all = self.json(&["--only", state]);
        let name = |saga: &Value| saga["id"].as_str().unwrap().to_owned();
        all["sagas"].as_array().unwrap().iter().map(name).collect()
    }

    fn whole(&self, id: &str) -> Value {
        self.json(&["--id", id])
    }

    /// What is said, and the exit status.
    fn says(&self, more: &[&str]) -> (String, i32) {
        let output = self.ask(more);
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8(said).unwrap(), output.status.code().unwrap())
    }
}

/// A step of the job `order`.
fn step(name: &str, shell: &str, undo: &str) -> String {
    let undo = match undo {
        "" => String::new(),
        shell => format!("undo = {{ command = ['sh', '-c', '''{shell}'''] }}\n"),
    };
    // What JSON escapes, TOML does alike.
    let name = serde_json::to_string(name).unwrap();
    format!(
        "[[job.order.saga.step]]\nname = {name}\ndo = {{ command = ['sh', '-c', '''{shell}'''] }}\n{undo}"
    )
}

fn order(schedule: &str, saga: &str) -> String {
    let retry = "retry = { attempts = 2, base = '1ms', cap = '1ms' }";
    format!("[job.order]\nschedule = '{schedule}'\n[job.order.saga]\n{retry}\n{saga}")
}

/// Keys that a step was told, a line each.
fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn goes_on_after_a_kill(place: &Place) {
    let folder = TempDir::new().unwrap();
    let [tried, go] = ["tried", "go"].map(|name| folder.path().join(name));
    let told = format!("echo \"$CRONX_SAGA_KEY\" >> {}", tried.display());
    let waits = format!("{told}; until [ -e {} ]; do sleep 0.02; done", go.display());
    let steps = [step("reserve", &told, &told), step("pay", &waits, ""), step("ship", &told, "")];
    let text = order("@every 200ms", &("pivot = 'pay'\n".to_owned() + &steps.concat()));
    let text = text + "[daemon]\nlease = '1s'\n";
    let mut daemon = place.start(&text);
    eventually("that it pays", || lines(&tried).iter().any(|key| key.ends_with("/pay/do")));
    daemon.signal(Signal::SIGKILL);
    daemon.ended();
    let left = place.names("executing");
    assert_eq!(left.len(), 1, "{left:?}");
    let id = &left[0];
    assert!(id.starts_with("order/20"), "{id}");
    let saga = place.whole(id);
    let state = |place: usize| saga["steps"][place]["done"].as_str().unwrap().to_owned();
    assert_eq!([state(0), state(1), state(2)], ["done", "running", "absent"]);
    let pay = saga["steps"][1]["do_key"].as_str().unwrap().to_owned();
    let mut daemon = place.start(&text);
    // By the same key; what was done before is not done again.
    let count = |key: &str| lines(&tried).iter().filter(|line| *line == key).count();
    eventually("that it pays again", || count(&pay) == 2);
    fs::write(&go, "").unwrap();
    eventually("that it has shipped", || place.whole(id)["state"] == "completed");
    let saga = place.whole(id);
    assert_eq!(count(saga["steps"][0]["do_key"].as_str().unwrap()), 1);
    assert_eq!(saga["events"][1]["said"], "whoever was at it is gone");
    let whole =
        |metrics: String| metrics.contains("cronx_sagas_total{job=\"order\",state=\"completed\"}");
    eventually("that it is counted", || whole(daemon.get("/metrics")));
    eventually("that its firing is over", || daemon.succeeded("order") >= 1);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.text());
    assert!(!lines(&tried).iter().any(|key| key.ends_with("/undo")));
}

#[test]
fn a_saga_goes_on_where_its_daemon_was_killed() {
    let folder = TempDir::new().unwrap();
    goes_on_after_a_kill(&Place::folder(&folder.path().join("state")));
}

#[test]
fn a_saga_goes_on_in_another_daemon() {
    let test = "a_saga_goes_on_in_another_daemon";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let url = format!("postgres://cronx@127.0.0.1:{}/postgres", server.port);
    goes_on_after_a_kill(&Place::url(&url));
}

/// A daemon that ends in order lets what is at work come to its end, and begins nothing after that.
#[test]
fn a_drain_waits_for_a_step_and_no_longer() {
    let folder = TempDir::new().unwrap();
    let place = Place::folder(&folder.path().join("state"));
    let [tried, go] = ["tried", "go"].map(|name| folder.path().join(name));
    let told = format!("echo \"$CRONX_SAGA_STEP\" >> {}", tried.display());
    let waits = format!("{told}; until [ -e {} ]; do sleep 0.02; done", go.display());
    let text = order("@every 200ms", &(step("reserve", &waits, "true") + &step("ship", &told, "")));
    let mut daemon = place.start(&text);
    eventually("that it reserves", || lines(&tried) == ["reserve"]);
    daemon.signal(Signal::SIGTERM);
    daemon.says("draining: ");
    fs::write(&go, "").unwrap();
    assert!(daemon.ended().success(), "{}", daemon.text());
    daemon.says("drained");
    assert_eq!(lines(&tried), ["reserve"]);
    let id = &place.names("executing")[0];
    assert_eq!(
        (&place.whole(id)["owner"], &place.whole(id)["step"]),
        (&Value::Null, &"ship".into())
    );
    let daemon = place.start(&text);
    eventually("that it ships", || place.whole(id)["state"] == "completed");
    drop(daemon);
}

#[test]
fn an_operator_decides_what_nobody_else_can() {
    let folder = TempDir::new().unwrap();
    let place = Place::folder(&folder.path().join("state"));
    let tried = folder.path().join("tried");
    let undo = format!("echo x >> {}; exit 4", tried.display());
    // A name is anybody's.
    let canary = "a\u{1b}]0;x\u{7}'";
    let steps = step("reserve", "true", "true") + &step(canary, "true", &undo);
    let text = order("@every 200ms", &(steps + &step("pay", "exit 3", "")));
    let text = text.replace("[job.order]\n", "[job.order]\nlimit = 1\n");
    let mut daemon = place.start(&text);
    daemon.says("attempt 2: exit status 3");
    daemon.says("needs an operator at 'a\\x1b]0;x\\x07'': a compensation failed for good");
    eventually("that it is told as a failure", || {
        daemon.job("order")["ended"]["failed"].as_u64().unwrap() >= 1
    });
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.text());
    let id = place.names("needs_operator").pop().unwrap();
    let saga = place.whole(&id);
    assert_eq!((&saga["why"], &saga["way"]), (&"compensation".into(), &"undo".into()));
    assert_eq!(saga["choices"], serde_json::json!(["retry", "done", "skip"]));
    assert_eq!(saga["steps"][0]["to_be_undone"], true);
    let (said, status) = place.says(&["--id", &id]);
    assert_eq!(status, 0, "{said}");
    for part in [
        "why      at 'a\\x1b]0;x\\x07'': a compensation failed for good",
        "  reserve: action done; compensation absent, to be undone",
        "compensation failed, to be undone",
        "  pay: action failed; has no compensation",
        "a%1B%5D0%3Bx%07%27/undo",
        "failed: exit status 4",
        "  --retry: ",
        "  --skip 'a\\x1b]0;x\\x07'' --reason WHY: it is not to be undone; go on",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (listed, _) = place.says(&[]);
    assert!(listed.contains("needs_operator") && !(said + &listed).contains('\u{1b}'), "{listed}");
    decides(&place, &id, canary);
    // The next daemon undoes the rest.
    let daemon = place.start(&text.replace("@every 200ms", "@never"));
    eventually("that it is undone", || place.whole(&id)["state"] == "compensated");
    daemon.says(&format!("order: the saga {id} is compensated"));
    let (said, status) = place.says(&["--id", &id, "--retry"]);
    assert_eq!((said, status), (format!("{id}: it is compensated, and needs no operator\n"), 1));
    let last = &place.whole(&id)["steps"];
    assert_eq!((&last[0]["undone"], &last[1]["undone"]), (&"done".into(), &"given as done".into()));
}

/// What cannot be decided, with its status, and what can.
fn decides(place: &Place, id: &str, step: &str) {
    let refused = [
        (&["--id", "none"][..], "there is no saga none", 1),
        (&["--id", "none", "--retry"], "there is no such saga", 1),
        (
            &["--id", id, "--done", "reserve", "--reason", "x"],
            "it stopped at 'a\\x1b]0;x\\x07''",
            1,
        ),
        (&["--id", id, "--compensate", "--reason", "x"], "it cannot turn back", 1),
        (&["--id", id, "--done", step], "--reason", 2),
        (&["--id", id, "--done", step, "--reason", " "], "say why", 1),
        (&["--id", id, "--retry", "--skip", step, "--reason", "x"], "cannot be used with", 2),
        (&["--retry"], "--id", 2),
        (&["--only", "stuck"], "needs_operator", 2),
    ];
    for (args, part, expected) in refused {
        let (said, status) = place.says(args);
        assert!(said.contains(part) && status == expected, "{args:?}: {status} {said}");
    }
    let (said, status) = place.says(&["--id", id, "--done", step, "--reason", "by hand \u{1b}"]);
    assert_eq!((said, status), (format!("{id}: it is compensating now\n"), 0));
    let events = &place.whole(id)["events"];
    let last = events.as_array().unwrap().last().unwrap();
    assert_eq!((&last["what"], &last["said"]), (&"given as done".into(), &"by hand \u{1b}".into()));
    assert!(last["who"].as_str().unwrap().contains('@'));
}

#[test]
fn a_call_finds_its_key_in_its_head() {
    let folder = TempDir::new().unwrap();
    let place = Place::folder(&folder.path().join("state"));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/pay", server.local_addr().unwrap());
    let asked = thread::spawn(move || {
        // One that fails may have done it: it is asked again, by the same key.
        ["500 Oh", "200 OK"].map(|status| {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            let request = String::from_utf8(request[..read].to_vec()).unwrap();
            let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            key.unwrap().to_owned()
        })
    });
    let call =
        format!("[[job.order.saga.step]]\nname = 'pay'\ndo = {{ http = {{ url = '{url}' }} }}\n");
    let daemon = place.start(&order("@every 200ms", &call));
    let [first, again] = asked.join().unwrap();
    assert!(first.starts_with("cronx/~saga/order%2F20") && first.ends_with("/pay/do"), "{first}");
    assert_eq!(first, again);
    daemon.says("doing 'pay', attempt 1: the answer is 500");
    eventually("that it is done", || !place.names("completed").is_empty());
}

/// A step that is given up is gone before anything else is done.
#[test]
fn no_step_runs_beside_what_is_left_of_another() {
    let folder = TempDir::new().unwrap();
    let place = Place::folder(&folder.path().join("state"));
    let (lock, done) = (folder.path().join("lock"), folder.path().join("done"));
    let alone = format!("mkdir {0} || echo not alone", lock.display());
    let act = format!(
        "{alone}; trap 'sleep 0.3; rmdir {0}; exit' TERM; while :; do sleep 0.02; done",
        lock.display()
    );
    let undo = format!("{alone}; rmdir {}; echo x >> {}", lock.display(), done.display());
    let text =
        order("@every 200ms", &("timeout = '300ms'\n".to_owned() + &step("hold", &act, &undo)));
    let daemon = place.start(&text);
    eventually("that it is undone", || lines(&done).len() == 1);
    daemon.says("doing 'hold', attempt 2: no end within 300ms");
    assert!(!daemon.text().contains("not alone"), "{}", daemon.text());
}

#[test]
fn a_ledger_without_sagas_is_refused() {
    let text = order("@daily", &step("reserve", "true", "true"));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jobs.toml");
    fs::write(&file, &text).unwrap();
    let refused = |ledger: &str| {
        let mut run = Command::new(CRONX);
        run.args(["run", "--listen", "127.0.0.1:0", "--ledger", ledger]).arg(&file);
        let output = run.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let why = "[job.order] is a saga, and sagas are kept in SQLite or PostgreSQL alone";
        assert!(said.contains(why) && output.status.code() == Some(2), "{said}");
        Place::url(ledger).says(&[])
    };
    assert_eq!(refused("memory:"), ("cronx: there are no sagas in memory\n".to_owned(), 2));
    let test = "a_ledger_without_sagas_is_refused";
    let settings = "appendonly yes\nappendfsync always\nmaxmemory-policy noeviction\n";
    let Some(server) = needs(test, redis(settings), "Redis") else { return };
    let (said, status) = refused(&format!("redis://127.0.0.1:{}", server.port));
    assert!(said.contains("SQLite or PostgreSQL alone") && status == 2, "{said}");
    // A daemon that runs stays as it is.
    let daemon = Daemon::start("[job.a]\nschedule = '@daily'\ncommand = ['true']\n");
    daemon.write(&text);
    daemon.signal(Signal::SIGHUP);
    daemon.says("not reloaded, the jobs are as they were: [job.order] is a saga");
}

#[test]
fn the_example_is_a_saga() {
    let folder = TempDir::new().unwrap();
    let place = Place::folder(&folder.path().join("state"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/saga.toml");
    let text = fs::read_to_string(path).unwrap();
    let check = Command::new(CRONX).args(["run", "--check", path]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let shop = folder.path().join("shop").display().to_string();
    let text = text.replace("/tmp/shop", &shop).replace("@every 10s", "@every 200ms");
    let daemon = place.start(&text);
    // It fails in one second of three.
    daemon.says("order: order of 20");
    daemon.says(" is compensated");
    let id = place.names("completed").pop().unwrap();
    let nominal = id.trim_start_matches("order/").replace(':', "-");
    assert!(Path::new(&shop).join(format!("reserved.{nominal}")).exists());
}
