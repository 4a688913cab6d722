//! What a saga consists of, and how each of its steps is to be done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::Retry;

use super::ask::Question;
use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::key::STEP_MOST;

/// Longest name of a definition, bytes.
pub const NAME_MOST: usize = 255;
/// Most steps that a saga has.
pub const STEPS_MOST: usize = 64;

/// Most bytes of what a saga's steps are told.
pub const PAYLOAD_MOST: usize = 64 << 10;

/// A kind of saga: its steps, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    name: Arc<str>,
    steps: Vec<Step>,
}

/// A step of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// 1 to [`STEP_MOST`] bytes, which no other step of the saga has.
    pub name: Arc<str>,
    /// Whether there is something to be done when it is to be undone. One that only looks has nothing.
    pub compensates: bool,
    /// Whether it divides the saga: once it is done, the saga only goes forward.
    pub is_pivot: bool,
    /// Whether its action can be asked if it happened; see [`Steps::ask`](super::Steps::ask).
    pub asks: bool,
    /// How often its action is tried, and its compensation, and when. Of a rejection it knows nothing.
    pub retry: Retry,
    /// How long an attempt may take; then its outcome is unknown.
    pub timeout: Duration,
}

impl Step {
    /// Five attempts, of half a minute at most each.
    pub const USUAL_RETRY: Retry = Retry {
        attempts: 5,
        base: Duration::from_secs(1),
        cap: Duration::from_mins(1),
        rejected: false,
    };
    /// See above.
    pub const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

    /// One with a compensation, and all else as usual.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            compensates: true,
            is_pivot: false,
            asks: false,
            retry: Self::USUAL_RETRY,
            timeout: Self::USUAL_TIMEOUT,
        }
    }
}

impl Definition {
    /// Of at least one step, and of at most one pivot.
    pub fn new(name: &str, steps: Vec<Step>) -> Result<Self, Error> {
        within("saga", name, NAME_MOST)?;
        let unfit = |reason: String| Error::Saga { name: name.to_owned(), reason };
        if !(1..=STEPS_MOST).contains(&steps.len()) {
            return Err(unfit(format!("it has {} steps, not 1 to {STEPS_MOST}", steps.len())));
        }
        let mut names = BTreeSet::new();
        for step in &steps {
            within("step", &step.name, STEP_MOST)?;
            if !names.insert(&step.name) {
                return Err(unfit(format!("two of its steps are '{}'", step.name)));
            }
            if step.name.contains('\0') {
                return Err(unfit("the name of a step has a NUL".to_owned()));
            }
            if step.timeout.is_zero() {
                return Err(unfit(format!("its step '{}' has no time", step.name)));
            }
        }
        if steps.iter().filter(|step| step.is_pivot).count() > 1 {
            return Err(unfit("it has more than one pivot".to_owned()));
        }
        Ok(Self { name: name.into(), steps })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// In their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The question that a saga of it begins with.
    pub fn begin(&self, payload: &str) -> Result<Question, Error> {
        let length = payload.len();
        let unfit = |reason| Error::Saga { name: self.name.to_string(), reason };
        if length > PAYLOAD_MOST {
            let reason = format!("its payload has {length} bytes, and {PAYLOAD_MOST} are the most");
            return Err(unfit(reason));
        }
        if payload.contains('\0') {
            return Err(unfit("its payload has a NUL".to_owned()));
        }
        let (name, payload) = (Arc::clone(&self.name), payload.into());
        Ok(Question::Begin { name, payload, plan: self.plan() })
    }

    /// What a saga keeps of it.
    pub fn plan(&self) -> Plan {
        let part = |step: &Step| Part { name: step.name.clone(), compensates: step.compensates };
        let pivot = self.steps.iter().position(|step| step.is_pivot);
        Plan { parts: self.steps.iter().map(part).collect(), pivot }
    }
}

fn within(what: &'static str, name: &str, most: usize) -> Result<(), Error> {
    let length = name.len();
    (1..=most).contains(&length).then_some(()).ok_or(Error::Name { what, length, most })
}

/// The steps of a saga as they were when it began: it is done by these and no others. How often and how long
/// a step is tried is not among them, nor what it does: whoever mends that mends the sagas on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// At least one.
    pub parts: Vec<Part>,
    /// The place of the step after which there is no way back.
    pub pivot: Option<usize>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: Arc<str>,
    /// Whether there is something to be done when it is to be undone.
    pub compensates: bool,
}

impl Plan {
    /// Of its steps. A definition with another one is not what a saga was begun by.
    pub fn fingerprint(&self) -> Fingerprint {
        let pivot = self.pivot.map_or(-1, |place| place as i64).to_string();
        let parts = self.parts.iter().enumerate().map(|(place, part)| {
            (format!("{place} {}", u8::from(part.compensates)), part.name.as_bytes())
        });
        let parts: Vec<_> = parts.collect();
        let mut fields = vec![("pivot", pivot.as_bytes())];
        fields.extend(parts.iter().map(|(place, name)| (place.as_str(), *name)));
        Fingerprint::of_fields(&fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(steps: Vec<Step>) -> String {
        Definition::new("order", steps).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_saga_is_refused() {
        assert!(refused(vec![]).contains("0 steps"));
        assert!(refused(vec![Step::new("a"), Step::new("a")]).contains("two of its steps"));
        assert!(refused(vec![Step::new("")]).contains("0 bytes"));
        let pivot = |name| Step { is_pivot: true, ..Step::new(name) };
        assert!(refused(vec![pivot("a"), pivot("b")]).contains("pivot"));
        assert!(refused(vec![Step { timeout: Duration::ZERO, ..Step::new("a") }]).contains("time"));
        let many = (0..=STEPS_MOST).map(|number| Step::new(&number.to_string())).collect();
        assert!(refused(many).contains("65 steps"));
        assert!(Definition::new("", vec![Step::new("a")]).is_err());
    }

    #[test]
    fn a_plan_is_its_steps_alone() {
        let print = |steps| Definition::new("x", steps).unwrap().plan().fingerprint();
        let (a, b) = (Step::new("a"), Step::new("b"));
        let usual = print(vec![a.clone(), b.clone()]);
        let often = Step { retry: Retry::NEVER, asks: true, ..a.clone() };
        assert_eq!(print(vec![often, b.clone()]), usual);
        let others = [
            vec![b.clone(), a.clone()],
            vec![a.clone()],
            vec![a.clone(), Step { is_pivot: true, ..b.clone() }],
            vec![a.clone(), Step { compensates: false, ..b.clone() }],
            vec![a, Step::new("c")],
        ];
        assert!(others.into_iter().all(|steps| print(steps) != usual));
    }
}
