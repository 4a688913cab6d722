//! What a service manager is told, as sd_notify(3) has it: a datagram to the socket it named.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::time::{ClockId, clock_gettime};

/// The jobs are on time from now.
pub(crate) fn ready() {
    send("READY=1\n");
}

/// The file is being read again; [`ready`] follows.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000);
    send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
}

/// Nothing new starts.
pub(crate) fn stopping() {
    send("STOPPING=1\n");
}

/// To nobody, if nobody asked; and what a manager does not take, it does not want.
fn send(text: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let socket = UnixDatagram::unbound();
    if let (Ok(socket), Ok(address)) = (socket, address) {
        let _ = socket.send_to_addr(text.as_bytes(), &address);
    }
}
