//! What is measured, of whom, and where in the distribution: `METRIC[{axis="value"}].QUANTILE`.

use std::fmt;
use std::str::FromStr;

use cronx_recording::MetricName;

use crate::Error;

/// A metric by its name, in a Report or elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// One that every Report has.
    Report(MetricName),
    /// How late firings of a scheduler started.
    Lateness,
    /// What a foreign log holds.
    Latency,
}

impl Metric {
    const ALL: [Self; 6] = [
        Self::Report(MetricName::WakeToRun),
        Self::Report(MetricName::Placement),
        Self::Report(MetricName::RunQueue),
        Self::Report(MetricName::SelfCaused),
        Self::Lateness,
        Self::Latency,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report(name) => name.name(),
            Self::Lateness => "lateness",
            Self::Latency => "latency",
        }
    }

    fn find(given: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|metric| metric.name() == given).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::UnknownMetric { given: given.to_owned(), known }
        })
    }
}

/// By what the waits are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// The process's name.
    Process,
    /// The thread's name.
    Thread,
    /// The path of the cgroup.
    Cgroup,
    /// The CPU it ran on.
    Cpu,
}

impl Axis {
    const ALL: [Self; 4] = [Self::Process, Self::Thread, Self::Cgroup, Self::Cpu];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Cgroup => "cgroup",
            Self::Cpu => "cpu",
        }
    }
}

/// A place in a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// The largest.
    Max,
}

impl Quantile {
    const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::Max];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
        }
    }

    /// The share of values up to it.
    pub const fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::Max => 1.0,
        }
    }

    /// Effective values that it takes to decide anything by it: thirty beyond it.
    pub fn needed(self) -> f64 {
        match self {
            Self::Max => 1.0,
            quantile => (30.0 / (1.0 - quantile.share())).round(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// The metric.
    pub metric: Metric,
    /// Of whom alone, if not of all.
    pub of: Option<(Axis, String)>,
    /// The quantile.
    pub quantile: Quantile,
}

impl Quantity {
    /// P99 of this metric, of all.
    pub const fn p99(metric: MetricName) -> Self {
        Self { metric: Metric::Report(metric), of: None, quantile: Quantile::P99 }
    }
}

const FORM: &str = r#"METRIC.QUANTILE or METRIC{axis="value"}.QUANTILE"#;

impl FromStr for Quantity {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let syntax = || Error::Syntax { given: given.trim().to_owned(), expected: FORM };
        let text = given.trim();
        let (metric, of, quantile) = if let Some((metric, rest)) = text.split_once('{') {
            let (of, rest) = axis(rest, syntax)?;
            (metric, Some(of), rest.trim_start().strip_prefix('.').ok_or_else(syntax)?)
        } else {
            let (metric, quantile) = text.split_once('.').ok_or_else(syntax)?;
            (metric, None, quantile)
        };
        let metric = Metric::find(metric.trim())?;
        let quantile = quantile.trim();
        let known = Quantile::ALL.into_iter().find(|known| known.name() == quantile);
        let quantile =
            known.ok_or_else(|| Error::UnknownQuantile { given: quantile.to_owned() })?;
        Ok(Self { metric, of, quantile })
    }
}

/// `axis="value"}`, and what comes after it.
fn axis(text: &str, syntax: impl Fn() -> Error) -> Result<((Axis, String), &str), Error> {
    let (name, rest) = text.split_once('=').ok_or_else(&syntax)?;
    let axis = Axis::ALL.into_iter().find(|axis| axis.name() == name.trim());
    let axis = axis.ok_or_else(|| Error::UnknownAxis { given: name.trim().to_owned() })?;
    let quoted = rest.trim_start().strip_prefix('"').ok_or_else(&syntax)?;
    let (value, rest) = unquote(quoted).ok_or_else(&syntax)?;
    let rest = rest.trim_start().strip_prefix('}').ok_or_else(&syntax)?;
    Ok(((axis, value), rest))
}

/// Up to the closing quote; `\"` and `\\` stand for themselves.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.name())?;
        if let Some((axis, value)) = &self.of {
            let value = value.replace('\\', r"\\").replace('"', "\\\"");
            write!(f, "{{{}=\"{value}\"}}", axis.name())?;
        }
        write!(f, ".{}", self.quantile.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, says: &str) {
        assert_eq!(text.parse::<Quantity>().unwrap_err().to_string(), says);
    }

    #[test]
    fn a_quantity_is_read_as_it_is_written() {
        for text in [
            "wake_to_run.p99",
            "latency.p99.9",
            "lateness.max",
            r#"self_caused{process="a b"}.p50"#,
            r#"run_queue{cgroup="/a{=}.\"\\"}.p90"#,
            r#"placement{cpu="3"}.p99"#,
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), text);
        }
        let loose = r#" wake_to_run { thread = "x" } . p99 "#.parse::<Quantity>().unwrap();
        assert_eq!(loose.to_string(), r#"wake_to_run{thread="x"}.p99"#);
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        refused(
            "wakeup.p99",
            "there is no metric 'wakeup': wake_to_run, placement, run_queue, self_caused, \
             lateness, latency",
        );
        refused("wake_to_run.p98", "there is no quantile 'p98': p50, p90, p99, p99.9, max");
        refused(
            r#"wake_to_run{comm="x"}.p99"#,
            "there is no axis 'comm': process, thread, cgroup, cpu",
        );
        for text in ["", "p99", "wake_to_run", r#"wake_to_run{thread="x}.p99"#, "run_queue{}.p99"] {
            let says = format!("'{text}' is not {FORM}");
            refused(text, &says);
        }
        refused(
            "wake_to_run{thread=x}.p99",
            &format!("'wake_to_run{{thread=x}}.p99' is not {FORM}"),
        );
        refused(
            r#"wake_to_run{thread="x"}p99"#,
            &format!("'wake_to_run{{thread=\"x\"}}p99' is not {FORM}"),
        );
    }
}
