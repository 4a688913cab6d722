//! Datagrams over loopback, one after the other.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
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
    /// Datagrams at once.
    #[arg(long, default_value_t = 1)]
    burst: u32,
    /// Whether to receive one shall take longer than to send it, so that a burst is one softirq.
    #[arg(long)]
    slow: bool,
    /// Between two bursts.
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
        if self.slow {
            slow_down(&receiver);
        }
        let datagram = vec![0_u8; self.bytes];
        let log = Log::open(&self.log);
        while !log::is_asked_to_stop() {
            for _ in 0..self.burst {
                // A queue may be full; the next one tries again.
                let _ = sender.send(&datagram);
            }
            log::dally(Duration::from_micros(self.pause_us));
        }
        log.close();
    }
}

/// Instructions of a filter: more would not be taken, by the limit of a socket's own memory.
const FILTER_LEN: usize = 600;

/// A filter that reads a byte again and again and drops the datagram.
fn slow_down(receiver: &UdpSocket) {
    let load = libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let mut program = vec![load; FILTER_LEN];
    program[FILTER_LEN - 1].code = (libc::BPF_RET | libc::BPF_K) as u16;
    let filter = libc::sock_fprog { len: FILTER_LEN as u16, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads the program, which outlives the call.
    let done = unsafe {
        libc::setsockopt(
            receiver.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as u32,
        )
    };
    assert_eq!(done, 0, "the filter is taken");
}
