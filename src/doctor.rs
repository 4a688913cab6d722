//! `cronx doctor`: what this machine can and cannot do, and the command that mends it.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use cronx_collector::doctor::{Finding, Standing, examine};
use serde_json::json;

use crate::cli::Doctor;

/// Prints what was found; 1 if something that a recording needs is missing.
pub fn run(args: &Doctor) -> Result<ExitCode> {
    let findings = examine();
    let possible = !findings.iter().any(|finding| finding.standing == Standing::Missing);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", as_json(&findings, possible))?;
    } else {
        for finding in &findings {
            write!(out, "{}", as_text(finding))?;
        }
        let verdict =
            if possible { "cronx record works here" } else { "cronx record cannot work here" };
        writeln!(out, "\n{verdict}")?;
    }
    Ok(ExitCode::from(u8::from(!possible)))
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Degraded => "degraded",
        Standing::Missing => "missing",
    }
}

fn as_text(finding: &Finding) -> String {
    let Finding { subject, standing, found, cost, mend } = finding;
    let line = format!("{:9} {subject}: {found}\n", word(*standing));
    if *standing == Standing::Good {
        return line;
    }
    format!("{line}{0:9} costs: {cost}\n{0:9} mend:  {mend}\n", "")
}

fn as_json(findings: &[Finding], possible: bool) -> serde_json::Value {
    let missing = findings.iter().filter(|f| f.standing == Standing::Missing);
    json!({
        "schema": "cronx.doctor/1",
        "record": possible,
        "missing": missing
            .map(|f| format!("{}: {} (mend: {})", f.subject, f.found, f.mend))
            .collect::<Vec<_>>(),
        "findings": findings
            .iter()
            .map(|f| json!({
                "subject": f.subject,
                "standing": word(f.standing),
                "found": f.found,
                "cost": f.cost,
                "mend": f.mend,
            }))
            .collect::<Vec<_>>(),
    })
}
