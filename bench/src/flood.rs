//! A flood of softirqs: datagrams over the loopback to a socket that nobody reads.
//!
//! The loopback hands each datagram to a softirq on the sender's own CPU, and a full socket drops it
//! there. With two senders on a CPU one always waits beneath the other's softirqs.

use std::io::Error as IoError;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::Error;
use crate::race::Field;

/// Datagrams of one system call.
const BATCH: usize = 64;

/// Datagrams to a socket of its own that nobody reads, on the loopback alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Flood {
    #[command(flatten)]
    field: Field,
    /// Datagrams of each sender, rounded up to whole batches.
    #[arg(long)]
    count: u64,
    /// The longest it may take.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl Flood {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let drain = bound()?;
        self.field.run(|| self.send(&connected(&drain)?))
    }

    fn send(&self, socket: &UdpSocket) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(self.seconds);
        let mut done = 0;
        while done < self.count {
            done += send_batch(socket)?;
            if Instant::now() > deadline {
                return Err(Error::Slow { done, count: self.count, seconds: self.seconds });
            }
        }
        Ok(())
    }
}

fn bound() -> Result<UdpSocket, Error> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(system("binding a socket"))
}

fn connected(drain: &UdpSocket) -> Result<UdpSocket, Error> {
    let socket = bound()?;
    let address = drain.local_addr().map_err(system("naming a socket"))?;
    socket.connect(address).map_err(system("connecting a socket"))?;
    Ok(socket)
}

fn system(what: &str) -> impl Fn(IoError) -> Error {
    move |source| Error::System { what: what.to_owned(), source }
}

/// Sends a batch; gives how many of it went.
fn send_batch(socket: &UdpSocket) -> Result<u64, Error> {
    let byte = [0_u8];
    let mut piece = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: byte.len() };
    // SAFETY: integers and pointers, for which null is a value.
    let mut batch: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    for message in &mut batch {
        message.msg_hdr.msg_iov = &raw mut piece;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: as many headers as it is told, all of the one piece; sending only reads that.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), batch.as_mut_ptr(), BATCH as u32, 0) };
    u64::try_from(sent).map_err(|_| Error::last("sending"))
}
