//! An actor's file: its threads, and when each of them ran. The form is `cronx-actor`'s (`log.rs`).

use anyhow::{Context, Result, bail};

/// What the threads of one actor wrote.
#[derive(Debug, Default)]
pub struct Log {
    pub threads: Vec<Thread>,
    /// When the victim was put on which CPU, in order.
    pub placed: Vec<Placed>,
    /// How long other threads ran, as the kernel counts it.
    pub counted: Vec<(u32, u64)>,
}

/// One thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thread {
    pub tid: u32,
    pub name: String,
    /// Its run_delay up to `counted_ns`, CLOCK_MONOTONIC.
    pub waited_ns: u64,
    pub counted_ns: u64,
    /// In order.
    pub ran: Vec<Ran>,
    /// When it kept a CPU and did not progress, in order: interrupts, or the host.
    pub held: Vec<Ran>,
    /// When it may have run beside that.
    pub near: Vec<(u64, u64)>,
}

/// It progressed on that CPU all the time, CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    pub from_ns: u64,
    pub to_ns: u64,
    pub cpu: u16,
}

/// The victim came to that CPU between the two instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub from_ns: u64,
    pub to_ns: u64,
    pub cpu: u16,
}

/// Reads the text of one file into what is there already.
pub fn read(text: &str, into: &mut Log) -> Result<()> {
    text.lines()
        .try_for_each(|line| read_line(line, into).with_context(|| format!("in the line {line:?}")))
}

fn read_line(line: &str, log: &mut Log) -> Result<()> {
    let words: Vec<_> = line.split(' ').collect();
    if let ["thread", tid, name] = words[..] {
        log.threads.push(Thread { tid: tid.parse()?, name: name.into(), ..Thread::default() });
        return Ok(());
    }
    let thread = log.threads.last_mut().context("no thread before it")?;
    match words[..] {
        ["waited", ns, at] => (thread.waited_ns, thread.counted_ns) = (ns.parse()?, at.parse()?),
        [what @ ("ran" | "held"), from, to, cpu] => {
            let (from_ns, to_ns, cpu) = (from.parse()?, to.parse()?, cpu.parse()?);
            let into = if what == "ran" { &mut thread.ran } else { &mut thread.held };
            into.push(Ran { from_ns, to_ns, cpu });
        }
        ["near", from, to] => thread.near.push((from.parse()?, to.parse()?)),
        ["placed", from, to, cpu] => {
            let (from_ns, to_ns, cpu) = (from.parse()?, to.parse()?, cpu.parse()?);
            log.placed.push(Placed { from_ns, to_ns, cpu });
        }
        ["counted", tid, ns] => log.counted.push((tid.parse()?, ns.parse()?)),
        _ => bail!("it says nothing that is known"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_belong_to_the_thread_before_them() {
        let mut log = Log::default();
        let text = "thread 7 hog\nwaited 9 300\nran 100 200 1\nheld 200 210 1\nnear 200 250\nthread 8 mover\nwaited 0 300\nplaced 150 160 0\n\
                    counted 54 900";
        read(text, &mut log).unwrap();
        let ran = vec![Ran { from_ns: 100, to_ns: 200, cpu: 1 }];
        let held = vec![Ran { from_ns: 200, to_ns: 210, cpu: 1 }];
        let near = vec![(200, 250)];
        let name = "hog".to_owned();
        let hog = Thread { tid: 7, name, waited_ns: 9, counted_ns: 300, ran, held, near };
        assert_eq!(log.threads[0], hog);
        assert_eq!(log.threads[1].tid, 8);
        assert_eq!(log.placed, [Placed { from_ns: 150, to_ns: 160, cpu: 0 }]);
        assert_eq!(log.counted, [(54, 900)]);
    }

    #[test]
    fn what_is_not_a_line_of_it_is_an_error() {
        let read = |text: &str| read(text, &mut Log::default());
        assert!(read("ran 1 2 3").is_err());
        assert!(read("thread 1 a\nran 1 2").is_err());
        assert!(read("thread x a").is_err());
    }
}
