//! Programs with a known behaviour, for the tests and the demo to record.
//!
//! `hog` burns one CPU; `timers` are threads that sleep and wake; `inherit` shows what a load was
//! given; `jit` runs code that it made itself; `storm` forks; `twins` share a number; `gauge` measures
//! itself how late it is, and burns its own CPU if it is asked to; `beat` is a scheduler and `serve` a
//! server, and both announce what they do. The others exist for
//! `cargo xtask score`: they make somebody wait, and `log` what they did.

mod ask;
mod beat;
mod burst;
mod doze;
mod flip;
mod flood;
mod gauge;
mod hog;
mod inherit;
#[cfg(target_arch = "x86_64")]
mod jit;
mod keys;
mod locks;
mod log;
mod place;
mod rotate;
mod serve;
mod shake;
mod storm;
mod timers;
mod twins;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cronx-actor")]
struct Cli {
    #[command(flatten)]
    place: place::Place,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Burns a CPU in code of its own.
    Hog(hog::Hog),
    /// Threads that wake by a timer, work a little, and sleep again.
    Timers(timers::Timers),
    /// Forks without a pause, each child under a name of its own.
    Storm(storm::Storm),
    /// Two children with one number, under three names.
    Twins(twins::Twins),
    /// Writes down who it is and what it was given.
    Inherit(inherit::Inherit),
    /// Burns a CPU in code that it made at run time, and names it in a perf map.
    #[cfg(target_arch = "x86_64")]
    Jit(jit::Jit),
    /// Threads that hand one CPU on among them.
    Rotate(rotate::Rotate),
    /// Bursts with sleep between them.
    Burst(burst::Burst),
    /// A thread that is moved between CPUs while it waits.
    Flip(flip::Flip),
    /// A thread that waits for another's answer.
    Ask(ask::Ask),
    /// System calls that hold their CPU.
    Locks(locks::Locks),
    /// Interrupts from another CPU.
    Shake(shake::Shake),
    /// Datagrams over loopback.
    Flood(flood::Flood),
    /// Wake-ups of a thread that still runs.
    Doze(doze::Doze),
    /// Threads that measure themselves how late they run.
    Gauge(gauge::Gauge),
    /// Work for a kernel worker.
    Keys(keys::Keys),
    /// A scheduler with a job that is due all the time.
    Beat(beat::Beat),
    /// A server that announces its requests.
    Serve(serve::Serve),
}

fn main() {
    // An actor ends with whoever started it, however that came to its end.
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let Cli { place, role } = Cli::parse();
    place.take();
    match role {
        Role::Hog(hog) => hog.run(),
        Role::Timers(timers) => timers.run(),
        Role::Storm(storm) => storm.run(),
        Role::Twins(twins) => twins.run(),
        Role::Inherit(inherit) => inherit.run(),
        #[cfg(target_arch = "x86_64")]
        Role::Jit(jit) => jit.run(),
        Role::Rotate(rotate) => rotate.run(),
        Role::Burst(burst) => burst.run(),
        Role::Flip(flip) => flip.run(),
        Role::Ask(ask) => ask.run(),
        Role::Locks(locks) => locks.run(),
        Role::Shake(shake) => shake.run(),
        Role::Flood(flood) => flood.run(),
        Role::Doze(doze) => doze.run(),
        Role::Gauge(gauge) => gauge.run(),
        Role::Keys(keys) => keys.run(),
        Role::Beat(beat) => beat.run(),
        Role::Serve(serve) => serve.run(),
    }
}

/// Runs the calling thread on one CPU alone.
fn pin(cpu: usize) {
    pin_thread(0, cpu);
}

/// Runs a thread of ours on one CPU alone; 0 is the calling one.
fn pin_thread(tid: i32, cpu: usize) {
    // SAFETY: a set of CPUs is plain data, and the call only reads it.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(tid, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    assert_eq!(done, 0, "CPU {cpu} is not ours to run on");
}

/// Names the calling thread, as other tools see it.
fn name(name: &str) {
    let name = std::ffi::CString::new(name).expect("names of actors hold no NUL");
    // SAFETY: a NUL-terminated string that outlives the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}
