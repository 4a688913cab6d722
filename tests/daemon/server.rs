//! Daemons whose ledger is on a server, which the tests start.

use std::process::{Command, Output};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::job;
use super::ledger::{begun, gaps};
use crate::daemon::{CRONX, Daemon, eventually};
use cronx_servers::{mariadb, needs, postgres, redis};

const SECRET: &str = "Tr0ub4dor";

fn start(text: &str, url: &str) -> Daemon {
    Daemon::start_with(text, |command| _ = command.env("CRONX_LEDGER", url))
}

fn look(what: &str, url: &str) -> Output {
    Command::new(CRONX).args(["ledger", what, "--ledger", url]).output().unwrap()
}

/// All that a command says.
fn words(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A ledger is looked into, and what one daemon leaves another has.
fn one_after_the_other(url: &str) {
    let folder = TempDir::new().unwrap();
    let none = look("status", url);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    let file = folder.path().join("begun");
    let date = format!("date -d \"$CRONX_NOMINAL\" +%s%3N >> {}", file.display());
    let shell = format!("{date}; echo ledger ${{CRONX_LEDGER-none}}");
    let more = "misfire = { fire-all = 1000 }\noverlap = 'allow'";
    let text = job("tick", "@every 100ms", &shell, more);
    let mut first = start(&text, url);
    eventually("some instants", || begun(&file).len() >= 5);
    // A command has no business there.
    first.says("tick: ledger none\n");
    let says = |what| words(&look(what, url));
    assert!(says("status").contains(" tick\n"), "{}", says("status"));
    assert!(says("runs").contains("cronx/tick/"), "{}", says("runs"));
    let mut second = start(&text, url);
    first.signal(Signal::SIGTERM);
    assert!(first.ended().success(), "{}", first.text());
    second.says(" is ours: 1 job\n");
    let seen = begun(&file).len();
    eventually("some more instants", || begun(&file).len() > seen + 5);
    second.signal(Signal::SIGTERM);
    assert!(second.ended().success(), "{}", second.text());
    let begun = begun(&file);
    assert_eq!(gaps(&begun), 0, "{begun:?}");
    assert!(begun.values().all(|&times| times == 1), "{begun:?}");
    assert!(says("verify").ends_with(" 0 findings\n"), "{}", says("verify"));
    assert!(!(second.text() + &first.text()).contains(SECRET));
}

#[test]
fn daemons_on_one_redis() {
    let settings = format!("appendonly yes\nrequirepass {SECRET}\n");
    let Some(server) = needs("daemons_on_one_redis", redis(&settings), "Redis") else { return };
    one_after_the_other(&format!("redis://:{SECRET}@127.0.0.1:{}", server.port));
    // Who may not come in is told so, and not what he said.
    for url in [
        format!("redis://:{SECRET}x@127.0.0.1:{}", server.port),
        format!("redis://me:{SECRET}@127.0.0.1:1"),
        format!("redis://me:{SECRET}@127.0.0.1:port"),
    ] {
        let refused = look("status", &url);
        assert_eq!(refused.status.code(), Some(2));
        assert!(!words(&refused).contains(SECRET), "{}", words(&refused));
    }
    let help = Command::new(CRONX).args(["run", "--help"]).env("CRONX_LEDGER", SECRET).output();
    assert!(!words(&help.unwrap()).contains(SECRET));
}

#[test]
fn daemons_on_one_postgres() {
    let test = "daemons_on_one_postgres";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    one_after_the_other(&format!("postgres://cronx:{SECRET}@127.0.0.1:{}/postgres", server.port));
    for url in [
        format!("postgres://me:{SECRET}@127.0.0.1:1/postgres"),
        format!("postgres://me:{SECRET}@127.0.0.1:port/postgres"),
        format!("mysql://me:{SECRET}@127.0.0.1:1/jobs"),
        format!("mysql://me:{SECRET}@127.0.0.1:port/jobs"),
    ] {
        let refused = look("status", &url);
        assert_eq!(refused.status.code(), Some(2));
        assert!(!words(&refused).contains(SECRET), "{}", words(&refused));
    }
}

#[test]
fn daemons_on_one_mariadb() {
    let Some(server) = needs("daemons_on_one_mariadb", mariadb(), "MariaDB") else { return };
    // There is always this one.
    one_after_the_other(&format!("mysql://root@127.0.0.1:{}/mysql", server.port));
}
