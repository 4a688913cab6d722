//! `cronx gate`: reads, decides, tells, and ends with a status that a build can trust.

mod ab;
mod annotations;
mod apart;
mod junit;
mod markdown;
mod tell;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cronx_gate::budget::{self, Budget};
use cronx_gate::comparison::Margins;
use cronx_gate::evidence::Evidence;
use cronx_gate::flaw::Limits;
use cronx_gate::growth;
use cronx_gate::quantity::Quantity;
use cronx_gate::{Decision, Verdict, stored};
use cronx_recording::{MetricName, Report};

use crate::cli::gate::{CountsAs, Deciding, Form, Gate};
use crate::input::{self, Input};
use tell::Sides;

/// The answer is no.
const REGRESSION: u8 = 1;
/// There is no answer.
const INCONCLUSIVE: u8 = 3;

/// Decides in the form that was asked for.
pub fn run(args: &Gate) -> Result<ExitCode> {
    if let Some(Form::Ab(args)) = &args.form {
        return ab::run(args);
    }
    let (verdict, sides) = if args.baseline.is_empty() { budgets(args)? } else { compare(args)? };
    let place = args.output.as_deref().map(|path| (path, args.force));
    tell::all(&args.telling, &verdict, &sides, place)?;
    Ok(status(&args.deciding, verdict.decision))
}

fn budgets(args: &Gate) -> Result<(Verdict, Sides)> {
    if args.budget.is_empty() {
        bail!("nothing to decide: give --budget and recordings, --baseline and --candidate, or ab");
    }
    if args.files.is_empty() {
        bail!("no recording to hold against the budget: give report.json, a folder, or a log");
    }
    let inputs = input::read_all(&[&args.files])?.concat();
    let mut checks = Vec::new();
    for budget in &args.budget {
        let mut budget: Budget = budget.parse()?;
        if args.deciding.self_caused {
            own(&mut budget.quantity)?;
        }
        let evidence = evidence(&inputs, &budget.quantity, args)?;
        checks.push(budget::decide(&budget, &evidence));
    }
    Ok((Verdict::of(checks), Sides::default()))
}

/// The same of what the load caused itself: of the whole wait there is such a part, of its parts not.
fn own(quantity: &mut Quantity) -> Result<()> {
    use cronx_gate::quantity::Metric::Report;
    match quantity.metric {
        Report(MetricName::WakeToRun | MetricName::SelfCaused) => {
            quantity.metric = Report(MetricName::SelfCaused);
            Ok(())
        }
        other => bail!("--self-caused is a part of wake_to_run, not of {}", other.name()),
    }
}

fn compare(args: &Gate) -> Result<(Verdict, Sides)> {
    let quantity = quantity(&args.deciding)?;
    let sides = input::read_all(&[&args.baseline, &args.candidate])?;
    let [baseline, candidate] = [&sides[0], &sides[1]];
    let (margins, limits) = (margins(&args.deciding), limits(&args.deciding));
    let of = |side: &[(PathBuf, Input)]| evidence(side, &quantity, args);
    let check = stored::decide(&quantity, of(baseline)?, of(candidate)?, &margins, &limits)?;
    let reports = |side: &[(PathBuf, Input)]| -> Vec<Report> {
        side.iter().filter_map(|(_, input)| input.report().cloned()).collect()
    };
    let sides = Sides { base: reports(baseline), candidate: reports(candidate) };
    Ok((grown(Verdict::of(vec![check]), &sides), sides))
}

/// What is asked for, if anything; else P99 of the whole wait, or of the load's own part of it.
fn quantity(deciding: &Deciding) -> Result<Quantity> {
    let asked = deciding.metric.as_deref().map(str::parse).transpose()?;
    let mut quantity = asked.unwrap_or(Quantity::p99(MetricName::WakeToRun));
    if deciding.self_caused {
        own(&mut quantity)?;
    }
    Ok(quantity)
}

fn evidence(
    inputs: &[(PathBuf, Input)],
    quantity: &Quantity,
    args: &Gate,
) -> Result<Vec<Evidence>> {
    let limits = limits(&args.deciding);
    let of = |(path, input): &(PathBuf, Input)| {
        input.evidence(path, quantity, &limits, args.unit.map(Into::into))
    };
    inputs.iter().map(of).collect()
}

/// Whose blame grew, beside a verdict of two sides of ours.
fn grown(mut verdict: Verdict, sides: &Sides) -> Verdict {
    let (base, candidate) = sides.both();
    if !base.is_empty() && !candidate.is_empty() {
        verdict.grown = growth::by_culprit(&base, &candidate);
        verdict.grown.retain(|growth| growth.by_ns() > 0.0);
    }
    verdict
}

fn margins(deciding: &Deciding) -> Margins {
    Margins {
        regression: deciding.regression_margin,
        pass: deciding.pass_margin,
        alpha: deciding.alpha,
        floor_ns: deciding.floor.unwrap_or_default().as_nanos() as u64,
    }
}

fn limits(deciding: &Deciding) -> Limits {
    Limits {
        loss: deciding.max_loss,
        steal: deciding.max_steal,
        throttled: deciding.max_throttled,
        foreign: deciding.max_foreign,
        drift: deciding.max_drift,
        self_caused: deciding.self_caused,
    }
}

fn status(deciding: &Deciding, decision: Decision) -> ExitCode {
    let status = match (decision, deciding.inconclusive) {
        (Decision::Pass, _) | (Decision::Inconclusive, Some(CountsAs::Pass)) => 0,
        (Decision::Regression, _) | (Decision::Inconclusive, Some(CountsAs::Fail)) => REGRESSION,
        (Decision::Inconclusive, None) => INCONCLUSIVE,
    };
    ExitCode::from(status)
}
