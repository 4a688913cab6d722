//! Has the kernel time every program, and asks no sysctl for it: a descriptor, which ends with us.

use crate::{Error, bpf, stay};

pub(crate) fn run() -> Result<(), Error> {
    let _open = bpf::enable_stats()?;
    stay("statistics are on")
}
