//! Who we are, who called us, what we may do, and how to have less of it.
//!
//! Capabilities count, not uid 0. Loading and attaching needs CAP_BPF and CAP_PERFMON (or, alone,
//! CAP_SYS_ADMIN). Once everything is attached only CAP_SYS_PTRACE is of use: a culprit may be
//! anybody's process, and its functions are named from its `/proc/PID/maps`. CAP_BPF stays where the
//! kernel must be asked again: by the legacy object, whose table of threads is read at the end, and for
//! a cgroup, whose threads are followed. Both stay until the window closes where spans are listened to,
//! since programs with probes may begin at any time. Whom a recording is about changes nothing else:
//! whoever may load the probes sees every task of the machine through them.

use std::ffi::CString;
use std::fs;
use std::path::PathBuf;

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{self, Gid, Uid};

use crate::Error;

/// An account, as far as a process needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its uid.
    pub uid: Uid,
    /// Its primary group.
    pub gid: Gid,
    /// All its groups.
    pub groups: Vec<Gid>,
    /// Its name, home and shell, if the uid is in the password database.
    pub account: Option<Account>,
}

/// What the password database says of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub name: String,
    /// The home folder.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// The user who called sudo, if that is how we got here: SUDO_UID and SUDO_GID, believed only while
/// we are root. `None` if there is no one else to be.
pub fn invoking_user() -> Result<Option<User>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let (uid, gid) = (std::env::var("SUDO_UID"), std::env::var("SUDO_GID"));
    let (Ok(uid), Ok(gid)) = (&uid, &gid) else {
        return match uid.or(gid) {
            Err(_) => Ok(None),
            Ok(_) => Err(not_a_user("one of SUDO_UID and SUDO_GID is set, the other is not")),
        };
    };
    match (uid.parse(), gid.parse()) {
        (Ok(0), _) => Ok(None),
        // To setresuid these mean "as it is", which is root.
        (Ok(u32::MAX), _) | (_, Ok(u32::MAX)) => Err(not_a_user("4294967295 is nobody's number")),
        (Ok(uid), Ok(gid)) => User::known(Uid::from_raw(uid), Gid::from_raw(gid)).map(Some),
        _ => Err(not_a_user("SUDO_UID and SUDO_GID are not both numbers")),
    }
}

fn not_a_user(why: &str) -> Error {
    Error::NotSupported {
        feature: "running the load as the user who called sudo",
        needs: format!("SUDO_UID and SUDO_GID as sudo sets them; {why}"),
    }
}

impl User {
    fn known(uid: Uid, gid: Gid) -> Result<Self, Error> {
        let entry = unistd::User::from_uid(uid).map_err(Error::system("the password database"))?;
        let mut groups = vec![gid];
        if let Some(entry) = &entry {
            let name = CString::new(entry.name.as_str()).expect("a name from C holds no NUL");
            groups =
                unistd::getgrouplist(&name, gid).map_err(Error::system("the group database"))?;
        }
        let account = entry.map(|e| Account { name: e.name, home: e.dir, shell: e.shell });
        Ok(Self { uid, gid, groups, account })
    }

    /// Becomes this user, for good: groups first, then gid, then uid.
    pub(crate) fn become_it(&self) -> nix::Result<()> {
        unistd::setgroups(&self.groups)?;
        unistd::setresgid(self.gid, self.gid, self.gid)?;
        unistd::setresuid(self.uid, self.uid, self.uid)
    }
}

/// What a recording needs and this process has not, one sentence each; empty if all is there.
pub fn missing() -> Vec<String> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if has(Capability::CAP_SYS_ADMIN) {
        return Vec::new();
    }
    [
        (Capability::CAP_BPF, "loads the probes"),
        (Capability::CAP_PERFMON, "lets them read the kernel"),
    ]
    .into_iter()
    .filter(|(capability, _)| !has(*capability))
    .map(|(capability, what)| format!("{capability}, which {what}: run it with sudo"))
    .collect()
}

/// Refuses, in words, if [`missing`] is not empty.
pub fn demand() -> Result<(), Error> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::NotSupported { feature: "recording", needs: missing.join("; ") })
}

/// Becomes `user`, if there is one, and gives up every capability but the one that names the
/// functions of other users' processes, and those that are `needed` later. There is no way back.
pub fn drop_to(user: Option<&User>, needed: &[Later]) -> Result<(), Error> {
    let kept = kept(needed);
    if let Some(user) = user {
        nix::sys::prctl::set_keepcaps(true).map_err(Error::system("PR_SET_KEEPCAPS"))?;
        user.become_it().map_err(Error::system("becoming the invoking user"))?;
    }
    keep(&kept)
}

/// Gives up what was kept for a window that has closed, but for what `needed` says.
pub fn drop_more(needed: &[Later]) -> Result<(), Error> {
    keep(&kept(needed))
}

/// What the kernel will be asked once privileges are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// To read a map, for which some kernels want CAP_BPF.
    Maps,
    /// To attach a probe, which wants CAP_BPF and CAP_PERFMON.
    Attach,
}

fn keep(kept: &CapsHashSet) -> Result<(), Error> {
    let none = CapsHashSet::new();
    let set = |which, to: &CapsHashSet| {
        caps::set(None, which, to).map_err(|e| Error::NotSupported {
            feature: "giving up privileges",
            needs: e.to_string(),
        })
    };
    // A kernel before 4.3 has no ambient set, and nothing in it.
    let _ = set(CapSet::Ambient, &none);
    set(CapSet::Inheritable, &none)?;
    set(CapSet::Effective, kept)?;
    set(CapSet::Permitted, kept)
}

fn kept(needed: &[Later]) -> CapsHashSet {
    let attaches = needed.contains(&Later::Attach);
    let useful = |capability: &Capability| match capability {
        Capability::CAP_SYS_PTRACE => true,
        Capability::CAP_BPF => !needed.is_empty(),
        Capability::CAP_PERFMON => attaches,
        _ => false,
    };
    caps::read(None, CapSet::Permitted).unwrap_or_default().into_iter().filter(useful).collect()
}

/// Puts this process before others, so that the rings are emptied in time. Needs CAP_SYS_NICE; call
/// it after the load was forked, and before privileges are dropped. False if it is not to be had.
pub fn raise_priority() -> bool {
    set_niceness(-20)
}

/// Takes back what [`raise_priority`] did: an analysis is in no hurry, and anybody may have less.
pub fn lower_priority() {
    set_niceness(0);
}

fn set_niceness(niceness: i32) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) == 0 }
}

/// `/sys/kernel/security/lockdown`'s mode; `None` if there is no such file.
pub fn lockdown() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let mode = text.split('[').nth(1)?.split(']').next()?;
    Some(mode.to_owned())
}
