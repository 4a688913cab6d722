//! What a stream can show: its width, and whether colours are wanted.

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd};

use crate::screen::Style;

/// Columns where nobody can be asked.
const PLAIN_WIDTH: usize = 80;

/// How to write to `out`. Colour only on a terminal, and not where NO_COLOR is set and not empty.
pub fn style<T: AsFd + IsTerminal>(out: &T) -> Style {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Style { width: width(out).unwrap_or(PLAIN_WIDTH), color: wanted && out.is_terminal() }
}

fn width(out: &impl AsFd) -> Option<usize> {
    // SAFETY: plain data, filled by the call if it succeeds.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let asked = libc::ioctl(out.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size);
        (asked == 0).then_some(size)?
    };
    (size.ws_col > 0).then_some(size.ws_col.into())
}
