//! Datagrams over loopback, one after the other.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use crate::log::{self, Log};

/// Sends to a socket that nobody reads: what is received is dropped by the softirq that received it.
#[derive(Debug, clap::Args)]
pub struct Flood {
    /// The CPU to send from.
    #[arg(long)]
    cpu: usize,
    /// Bytes of each datagram.
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// Between two datagrams.
    #[arg(long, default_value_t = 0)]
    pause_us: u64,
    /// Where to write that it is there.
    #[arg(long)]
    log: PathBuf,
}

impl Flood {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name("flood");
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port of our own");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a port of our own");
        let to = receiver.local_addr().expect("it is bound");
        sender.connect(to).expect("it is there");
        let datagram = vec![0_u8; self.bytes];
        let log = Log::open(&self.log);
        while !log::is_asked_to_stop() {
            // A queue may be full; the next one tries again.
            let _ = sender.send(&datagram);
            log::dally(Duration::from_micros(self.pause_us));
        }
        log.close();
    }
}
