//! An owner that is stopped in the middle of a transaction: what it says does not reach the server any more, and
//! its connection stays.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use cronx_ledger::Ledger;

use super::asked::{claim, is_granted};

/// What would end the transaction.
const END: &[u8] = b"COMMIT";
const BOUND: Duration = Duration::from_mins(1);

/// A way to a server, on which the end of a transaction may not arrive.
pub struct Way {
    pub port: u16,
    freezes: Arc<AtomicBool>,
    frozen: Receiver<()>,
}

impl Way {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let (freezes, (tell, frozen)) = (Arc::new(AtomicBool::new(false)), channel());
        let held = Arc::clone(&freezes);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (back, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (held, tell) = (Arc::clone(&held), tell.clone());
                thread::spawn(move || forward(back, to, None));
                thread::spawn(move || forward(client, server, Some((&held, &tell))));
            }
        });
        Self { port: own, freezes, frozen }
    }
}

fn forward(
    mut source: TcpStream,
    mut sink: TcpStream,
    freezes: Option<(&AtomicBool, &Sender<()>)>,
) {
    let mut buffer = vec![0; 65536];
    loop {
        let read = source.read(&mut buffer).unwrap_or(0);
        let said = &buffer[..read];
        if read == 0 {
            let _ = sink.shutdown(Shutdown::Write);
            return;
        }
        let ends = said.windows(END.len()).any(|part| part == END);
        if let Some((_, tell)) = freezes.filter(|(now, _)| ends && now.load(Ordering::SeqCst)) {
            tell.send(()).unwrap();
            // It stays open, as that of a process that is stopped.
            thread::park();
        }
        if sink.write_all(said).is_err() {
            return;
        }
    }
}

/// `stopped` says what it says by that way.
pub async fn holds_nobody_up(way: Way, stopped: Arc<dyn Ledger>, other: &dyn Ledger) {
    way.freezes.store(true, Ordering::SeqCst);
    let stops = tokio::spawn(async move { stopped.act(claim("x", "stopped", 1)).await });
    let frozen = tokio::task::spawn_blocking(move || way.frozen.recv_timeout(BOUND));
    frozen.await.unwrap().expect("it comes to the end of its transaction");
    assert!(is_granted(&other.act(claim("x", "other", 2)).await.unwrap()));
    stops.abort();
}
