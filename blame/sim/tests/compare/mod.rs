//! What blame says of one wait against what is true of it, nanosecond by nanosecond.

use cronx_blame::{TiledPiece, TiledWait, Who as Said};
use cronx_recording::Class;
use cronx_sim::{TrueTile, TrueWait, Who};

/// How much of the evidence blame had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "not every property asks for all of it")]
pub enum Strict {
    /// All that the probes wrote: `unknown` only where that is not enough.
    Whole,
    /// Some was lost: anything may be unknown, but what is said is true.
    Lost,
    /// The same, and records of who a task is were lost, which the probes would have told again:
    /// whose time it was is true, and of what class he was, or whose quota the victim waited for, may
    /// be as it was told before.
    NamesLost,
}

/// An error says where the two part.
pub fn tiles(said: &TiledWait, truth: &TrueWait, strict: Strict) -> Result<(), String> {
    let part = |piece: &TiledPiece, tile: &TrueTile| {
        let (open_ns, close_ns) = (truth.open_ns, truth.close_ns);
        Err(format!("said {piece:?}\nwas  {tile:?}\nof {:?} {open_ns}..{close_ns}", said.victim))
    };
    let mut at_ns = said.open_ns;
    for piece in &said.tiles {
        if piece.from_ns != at_ns || piece.to_ns <= at_ns {
            return Err(format!("a gap at {at_ns} in {said:?}"));
        }
        at_ns = piece.to_ns;
        let meets = |t: &&TrueTile| t.from_ns < piece.to_ns && piece.from_ns < t.to_ns;
        for tile in truth.tiles.iter().filter(meets) {
            if !agrees(piece, tile, strict) {
                return part(piece, tile);
            }
        }
    }
    if at_ns == said.close_ns { Ok(()) } else { Err(format!("{said:?} ends at {at_ns}")) }
}

fn agrees(piece: &TiledPiece, tile: &TrueTile, strict: Strict) -> bool {
    let said = (piece.class, who(piece.who), piece.cpu);
    if said == (tile.class, tile.who, tile.cpu) {
        return true;
    }
    let same_task = piece.class.is_task() && (said.1, said.2) == (tile.who, tile.cpu);
    match piece.class {
        Class::Unknown => tile.leeway.unknown || strict != Strict::Whole,
        Class::Steal => tile.leeway.steal,
        Class::Placement if tile.leeway.placement => (said.1, said.2) == (Who::Nobody, None),
        _ if strict == Strict::NamesLost => {
            // When it was let go decides which idle slice it found.
            let idle = |class| [Class::Idle, Class::IdleExit].contains(&class);
            let quota = [piece.class, tile.class].contains(&Class::Throttled);
            same_task || quota || (idle(piece.class) && idle(tile.class))
        }
        _ => same_task && tile.leeway.class,
    }
}

fn who(said: Said) -> Who {
    match said {
        Said::Nobody => Who::Nobody,
        Said::Task(task) => Who::Task(task),
        Said::Interrupt { layer, vector } => Who::Interrupt { layer, vector },
    }
}
