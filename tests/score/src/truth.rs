//! What really was: the logs, and a wait, give nanoseconds by actor.
//!
//! Blame and truth of a wait are [`Shares`] of the same places: one for each actor, one for the class
//! that a case is about, the rest, and one for who cannot be guilty.

use cronx_abi::TaskKey;
use cronx_blame::{TiledWait, Who};
use cronx_recording::Class;

use crate::log::{Placed, Ran, Thread};

/// A log may begin late and end early by so much, and does not see a stint as short as this: the
/// kernel's own time for a thread leaves no trace in it.
pub const MARGIN_NS: u64 = 50_000;

/// Nanoseconds by place.
pub type Shares = Vec<u64>;

/// Who can be blamed and knows when it ran.
#[derive(Debug, Default)]
pub struct Cast {
    actors: Vec<Actor>,
    /// What is judged beside the actors.
    pub class: Option<Class>,
}

#[derive(Debug)]
struct Actor {
    tid: u32,
    /// Of several tasks with that number the last one that began before its log did.
    key: Option<TaskKey>,
    ran: Vec<Ran>,
    held: Vec<Ran>,
    near: Vec<(u64, u64)>,
}

/// A part of a wait on one CPU's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    pub from_ns: u64,
    pub to_ns: u64,
    pub cpu: u16,
}

/// What really was of one wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Real {
    pub length_ns: u64,
    pub shares: Shares,
    /// Whether the actor ran at all in it, the margin included; not of the class and the rest.
    pub ran: Vec<bool>,
}

impl Actor {
    fn new(thread: &Thread, key: Option<TaskKey>) -> Self {
        let Thread { ran, held, near, .. } = thread.clone();
        Self { tid: thread.tid, key, ran, held, near }
    }

    /// Whether it ran at all, or may have.
    fn is_near(&self, stay: &Stay) -> bool {
        let (from_ns, to_ns) = (stay.from_ns.saturating_sub(MARGIN_NS), stay.to_ns + MARGIN_NS);
        within(&self.ran, from_ns, to_ns, stay.cpu).next().is_some()
            || within(&self.held, from_ns, to_ns, stay.cpu).next().is_some()
            || self.near.iter().any(|near| near.0 < to_ns && near.1 > from_ns)
    }
}

impl Cast {
    /// The threads that logged. `seen` are the tasks that anybody could blame: a thread that executes
    /// another program stays one of them, and a number may be given out twice.
    pub fn new(threads: &[Thread], seen: &[TaskKey], class: Option<Class>) -> Self {
        let mut actors: Vec<Actor> = Vec::new();
        for thread in threads {
            let first_ns = thread.ran.first().map_or(u64::MAX, |ran| ran.from_ns);
            let begun = |key: &&TaskKey| key.tid == thread.tid && key.start_ns <= first_ns;
            let key = seen.iter().filter(begun).max_by_key(|key| key.start_ns).copied();
            let same = |actor: &&mut Actor| actor.tid == thread.tid && actor.key == key;
            match actors.iter_mut().find(same) {
                Some(actor) => {
                    actor.ran.extend(&thread.ran);
                    actor.held.extend(&thread.held);
                    actor.near.extend(&thread.near);
                }
                None => actors.push(Actor::new(thread, key)),
            }
        }
        Self { actors, class }
    }

    /// Places in [`Shares`].
    pub fn places(&self) -> usize {
        self.actors.len() + 3
    }

    /// The place of whoever cannot be guilty: the victim.
    pub fn nowhere(&self) -> usize {
        self.actors.len() + 2
    }

    /// The place of the class.
    pub fn class_place(&self) -> usize {
        self.actors.len()
    }

    /// The place of everything else.
    pub fn rest(&self) -> usize {
        self.actors.len() + 1
    }

    /// The place of a task.
    pub fn place_of(&self, task: TaskKey) -> usize {
        let own = self.actors.iter().position(|actor| actor.key == Some(task));
        own.unwrap_or(self.rest())
    }

    /// What of those stays anybody can know: not when an actor kept the CPU and did not progress, for less
    /// than so long. An interrupt can be told from the host by no log.
    pub fn known(&self, stays: Vec<Stay>, shorter_than_ns: u64) -> Vec<Stay> {
        self.actors.iter().fold(stays, |stays, actor| {
            let held = |stay| without(stay, &actor.held, shorter_than_ns);
            stays.into_iter().flat_map(held).collect()
        })
    }

    /// What of a wait was blamed on whom, in those stays.
    pub fn blamed(&self, wait: &TiledWait, stays: &[Stay]) -> Shares {
        let mut shares = vec![0; self.places()];
        for tile in &wait.tiles {
            let place = match tile.who {
                _ if Some(tile.class) == self.class => self.class_place(),
                Who::Task(task) if tile.class.is_task() => self.place_of(task),
                _ => self.rest(),
            };
            let common = |stay: &Stay| {
                tile.to_ns.min(stay.to_ns).saturating_sub(tile.from_ns.max(stay.from_ns))
            };
            shares[place] += stays.iter().map(common).sum::<u64>();
        }
        shares
    }

    /// A wait and an actor, for whoever wants to know what was wrong there.
    pub fn show(&self, wait: &TiledWait, actor: usize) -> String {
        let Actor { tid, key, ran, .. } = &self.actors[actor];
        let next = ran.partition_point(|ran| ran.to_ns <= wait.open_ns);
        let near = &ran[next.saturating_sub(1)..ran.len().min(next + 2)];
        let at = |ns: u64| (ns as f64 - wait.open_ns as f64) / 1e3;
        let near: Vec<_> = near
            .iter()
            .map(|ran| {
                format!("{:.1}..{:.1} us on CPU {}", at(ran.from_ns), at(ran.to_ns), ran.cpu)
            })
            .collect();
        let own = wait.tiles.iter().filter(|tile| tile.who == key.map_or(Who::Nobody, Who::Task));
        let own: Vec<_> = own
            .map(|tile| format!("{:.1}..{:.1} on {:?}", at(tile.from_ns), at(tile.to_ns), tile.cpu))
            .collect();
        format!(
            "wait at {} of {:.1} us, thread {tid} blamed {}, logged {}",
            wait.open_ns,
            at(wait.close_ns),
            own.join(" "),
            near.join(" ")
        )
    }

    /// What really was in those stays of a wait, by the logs.
    pub fn real(&self, stays: &[Stay]) -> Real {
        let length_ns = length_ns(stays);
        let each = |actor: &Actor| stays.iter().map(|stay| overlap_ns(&actor.ran, *stay)).sum();
        let mut shares: Shares = self.actors.iter().map(each).collect();
        let known: u64 = shares.iter().sum();
        shares.extend([0, length_ns.saturating_sub(known), 0]);
        let near = |actor: &Actor| stays.iter().any(|stay| actor.is_near(stay));
        Real { length_ns, shares, ran: self.actors.iter().map(near).collect() }
    }
}

/// All of them.
pub fn length_ns(stays: &[Stay]) -> u64 {
    stays.iter().map(|stay| stay.to_ns - stay.from_ns).sum()
}

/// What is left of a stay.
fn without(stay: Stay, held: &[Ran], shorter_than_ns: u64) -> Vec<Stay> {
    let mut left = Vec::new();
    let mut from_ns = stay.from_ns;
    let held = within(held, stay.from_ns, stay.to_ns, stay.cpu);
    for held in held.filter(|held| held.to_ns - held.from_ns < shorter_than_ns) {
        left.push(Stay { from_ns, to_ns: held.from_ns.max(from_ns), ..stay });
        from_ns = held.to_ns.min(stay.to_ns);
    }
    left.push(Stay { from_ns, ..stay });
    left.retain(|stay| stay.from_ns < stay.to_ns);
    left
}

fn within(ran: &[Ran], from_ns: u64, to_ns: u64, cpu: u16) -> impl Iterator<Item = &Ran> {
    let first = ran.partition_point(|ran| ran.to_ns <= from_ns);
    ran[first..].iter().take_while(move |ran| ran.from_ns < to_ns).filter(move |r| r.cpu == cpu)
}

fn overlap_ns(ran: &[Ran], stay: Stay) -> u64 {
    let Stay { from_ns, to_ns, cpu } = stay;
    let part = |ran: &Ran| ran.to_ns.min(to_ns) - ran.from_ns.max(from_ns);
    within(ran, from_ns, to_ns, cpu).map(part).sum()
}

/// All of a wait on one CPU.
pub fn pinned(wait: &TiledWait, cpu: u16) -> Vec<Stay> {
    vec![Stay { from_ns: wait.open_ns, to_ns: wait.close_ns, cpu }]
}

/// Where it waited by the log of who moved it; what was before the first move is nowhere.
pub fn placed(wait: &TiledWait, placed: &[Placed]) -> Vec<Stay> {
    let ends = placed.iter().skip(1).map(|next| next.to_ns).chain([u64::MAX]);
    let stays = placed.iter().zip(ends).map(|(place, end_ns)| Stay {
        from_ns: place.to_ns.max(wait.open_ns),
        to_ns: end_ns.min(wait.close_ns),
        cpu: place.cpu,
    });
    stays.filter(|stay| stay.from_ns < stay.to_ns).collect()
}

/// Whether who moved it can say where it was, all the time: a move that took long may have been at
/// its beginning or at its end.
pub fn is_certain(wait: &TiledWait, placed: &[Placed]) -> bool {
    let within = |place: &&Placed| place.from_ns < wait.close_ns && place.to_ns > wait.open_ns;
    let long = |place: &Placed| place.to_ns - place.from_ns > MARGIN_NS;
    placed.first().is_some_and(|first| first.to_ns <= wait.open_ns)
        && !placed.iter().filter(within).any(long)
}

/// Where it waited by the recording itself.
pub fn recorded(wait: &TiledWait) -> Vec<Stay> {
    let stay = |tile: &cronx_blame::TiledPiece| {
        Some(Stay { from_ns: tile.from_ns, to_ns: tile.to_ns, cpu: tile.cpu? })
    };
    wait.tiles.iter().filter_map(stay).collect()
}

#[cfg(test)]
mod tests;
