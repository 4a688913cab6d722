//! What becomes of a firing that cannot simply start when it is due.
//!
//! One algebra of independent parts; every combination is allowed, tested, and means what its parts
//! say. In the timelines `.` is an instant of the schedule, `#` a run that starts, `x` a firing that is
//! left out, `=` a run at work, and time goes on by a cell.
//!
//! A firing is on time up to [`Policy::grace`] after its instant. Later it is a misfire: the process was
//! down or stopped, the machine asleep, the clock put forward, or the queue full. [`Misfire`] says
//! which misfires start. What starts meets the runs of its own job that are still at work:
//! [`Overlap`] says what then. What the clock does to a schedule is said by [`Leap`] and [`Back`],
//! and what daylight saving time does by [`Gap`](crate::Gap) and [`Fold`](crate::Fold).

pub(crate) mod change;
pub(crate) mod misfire;
pub(crate) mod overlap;

use std::time::Duration;

/// Which misfires start.
///
/// ```text
///  due            .   .   .   .   .   .   .
///  down             [-------------]           grace: less than the time between two
///  Skip           #   x   x   x   x   #   #
///  FireOnce       #   x   x   x   . # #   #   the newest that is due starts, for all of them
///  FireAll 3      #   x   .   .   . ###   #   the newest three start, oldest first
///  Within 9       #   x   x   .   . ##    #   those start that are not more than nine cells late
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Misfire {
    /// None.
    Skip,
    /// The newest of all that is due, for all of them: there is one run, however long it was.
    FireOnce,
    /// Each, and of more than so many the newest.
    FireAll {
        /// How many.
        cap: u32,
    },
    /// Those that are no later than this.
    Within {
        /// How late.
        grace: Duration,
    },
}

/// What a firing does that finds as many runs of its job at work as may be at once.
///
/// ```text
///  due            .     .     .     .     .
///  Allow          #=============             its own limit is only that of all jobs together
///                       #=============
///                             #===========
///  Skip           #=============             the second and third are left out
///                       x     x     #======
///  BufferOne      #=============#==========  the second starts as soon as it can; the third finds
///                       .     x              that place taken
///  BufferAll 2    #=============#==========  each waits its turn, up to so many
///                       .     .
///  CancelOther    #=====c#====c#====         the run at work is told to stop, and when it has, the
///                       .     .              newest starts
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// It starts all the same.
    Allow,
    /// It is left out.
    Skip,
    /// One waits; others are left out.
    BufferOne,
    /// So many wait, in order; others are left out.
    BufferAll {
        /// How many.
        cap: u32,
    },
    /// Those at work are told to stop; the newest waits for that.
    CancelOther,
}

/// What becomes of instants that the clock passes at a leap: it is put forward, or the machine sleeps.
///
/// ```text
///  due            .  .  .  .  .  .
///  clock          -->      >------->         two instants are leapt over
///  Misfire        #        ????  #  #        they are misfires, and Misfire decides
///  Forget         #  x  x        #  #        they are left out, whatever Misfire says
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leap {
    /// They are misfires like any other.
    Misfire,
    /// They have not been.
    Forget,
}

/// What becomes of instants that come again, since the clock was put back.
///
/// ```text
///  due            .  .  .  .
///  clock          ------->
///                    ------------>           two instants come again
///  Wait           #  #  #     .  .  #        what has been decided stays so
///  Repeat         #  #  #     #  #  #        they are due again
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Back {
    /// A firing happens once.
    Wait,
    /// The new time is right and the old one never was.
    Repeat,
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How late a firing may be and still be on time.
    pub grace: Duration,
    /// Which of those that are later start.
    pub misfire: Misfire,
    /// How many runs of the job may be at work at once; `Allow` does not ask. 0 is 1.
    pub limit: u32,
    /// What a firing does that finds so many.
    pub overlap: Overlap,
    /// What the clock leaps over when it is put forward.
    pub forward: Leap,
    /// What comes again when it is put back.
    pub back: Back,
    /// What the machine sleeps through.
    pub suspend: Leap,
}

impl Default for Policy {
    /// One run at a time, one for all that was missed, and no firing twice.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(1),
            misfire: Misfire::FireOnce,
            limit: 1,
            overlap: Overlap::Skip,
            forward: Leap::Misfire,
            back: Back::Wait,
            suspend: Leap::Misfire,
        }
    }
}

/// Why a firing was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was late, and its policy is not to start then.
    Misfire,
    /// Runs of its job were at work.
    Overlap,
    /// Its job was paused.
    Paused,
    /// The clock was put forward over it.
    Forward,
    /// The machine slept through it.
    Suspend,
}

#[cfg(test)]
mod tests;
