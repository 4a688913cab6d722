//! A log of decisions, decided once more: what breakers were asked and told is fed to new ones of the file's
//! rules, which have to decide the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::breaker::{
    Ended, Event, Forced, Permit, Record, Rejected, Rule, Share, Snapshot, State, Turn, replay,
};
use cronx_scheduler::{Mono, TraceId};
use serde_json::Value;

use crate::breakers::wanted;
use crate::file::Jobs;

/// What came of one breaker's part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its name.
    pub breaker: Arc<str>,
    /// How many records there are of it.
    pub records: usize,
    /// How often it turned, as it did then; or where it would have done otherwise, or cannot be read.
    pub turns: Result<usize, String>,
}

/// Decides once more what the log says, by the rules that the file has now. A breaker that the file does not
/// have is left out; one that begins again in the log, begins again.
pub fn replayed(log: &str, file: &Jobs) -> Result<Vec<Replayed>, String> {
    let mut lives: BTreeMap<Arc<str>, Vec<Vec<Record>>> = BTreeMap::new();
    for (number, line) in log.lines().enumerate() {
        let unread = |why: &str| format!("line {}: {why}", number + 1);
        let line: Value = serde_json::from_str(line).map_err(|error| unread(&error.to_string()))?;
        let Some(breaker) = line["breaker"].as_str() else { continue };
        let lives = lives.entry(breaker.into()).or_default();
        if line["event"] == "begun" || lives.is_empty() {
            lives.push(Vec::new());
        }
        if line["event"] != "begun" {
            let record = record(&line, breaker).ok_or_else(|| unread("it is no decision"))?;
            if let Some(life) = lives.last_mut() {
                life.push(record);
            }
        }
    }
    let plans = wanted(file);
    let known =
        lives.into_iter().filter_map(|(name, lives)| Some((plans.get(&name)?, name, lives)));
    let replayed = known.map(|(plan, breaker, lives)| {
        let records = lives.iter().map(Vec::len).sum();
        let turns = lives.iter().map(|records| replay(plan.rules, records)).sum::<Result<_, _>>();
        Replayed { breaker, records, turns: turns.map_err(|differs| differs.to_string()) }
    });
    Ok(replayed.collect())
}

fn record(line: &Value, breaker: &str) -> Option<Record> {
    let trace = match &line["trace"] {
        Value::Null => None,
        trace => Some(TraceId(u128::from_str_radix(trace.as_str()?, 16).ok()?)),
    };
    Some(Record {
        breaker: breaker.into(),
        shadow: line["shadow"].as_bool()?,
        at: mono(&line["at_ns"])?,
        trace,
        event: event(line)?,
    })
}

fn event(line: &Value) -> Option<Event> {
    Some(match line["event"].as_str()? {
        "probed" => Event::Probed(permit(&line["permit"])?),
        "rejected" => Event::Rejected(Rejected {
            state: State::of_word(line["state"].as_str()?)?,
            rule: Rule::of_word(line["rule"].as_str()?)?,
            until: maybe(&line["until_ns"])?,
        }),
        "told" => Event::Told {
            permit: permit(&line["permit"])?,
            ended: Ended::of_word(line["ended"].as_str()?)?,
            took: Duration::from_nanos(line["took_ns"].as_u64()?),
            counted: line["counted"].as_bool()?,
        },
        "looked" => Event::Looked,
        "forced" => Event::Forced(match line["to"].as_str() {
            Some("closed") => Some(Forced::Closed),
            Some("open") => Some(Forced::Open),
            _ => None,
        }),
        "heard" => Event::Heard {
            taken: mono(&line["taken_ns"])?,
            failed: share(&line["failed_millionths"])?,
            counted: line["counted"].as_bool()?,
        },
        "turned" => Event::Turned(turn(line)?),
        "remedy" => Event::Remedy {
            job: line["job"].as_str()?.into(),
            refused: line["refused"].as_str().map(str::to_owned),
        },
        _ => return None,
    })
}

fn turn(line: &Value) -> Option<Turn> {
    let window = &line["window"];
    let count = |key: &str| u32::try_from(window[key].as_u64()?).ok();
    Some(Turn {
        at: mono(&line["turned_ns"])?,
        from: State::of_word(line["from"].as_str()?)?,
        to: State::of_word(line["to"].as_str()?)?,
        rule: Rule::of_word(line["rule"].as_str()?)?,
        window: Snapshot {
            calls: count("calls")?,
            failures: count("failures")?,
            slow: count("slow")?,
            in_row: count("in_row")?,
            threshold: share(&window["threshold_millionths"]),
            probes: count("probes")?,
            succeeded: count("succeeded")?,
        },
        until: maybe(&line["until_ns"])?,
    })
}

fn permit(parts: &Value) -> Option<Permit> {
    let probe = match &parts[1] {
        Value::Null => None,
        probe => Some(u32::try_from(probe.as_u64()?).ok()?),
    };
    Some(Permit::from_parts(parts[0].as_u64()?, probe))
}

fn share(millionths: &Value) -> Option<Share> {
    Some(Share::from_millionths(u32::try_from(millionths.as_u64()?).ok()?))
}

fn mono(ns: &Value) -> Option<Mono> {
    ns.as_u64().map(Mono)
}

/// An instant, or that there is none.
#[expect(clippy::option_option, reason = "what cannot be read is not what is not there")]
fn maybe(ns: &Value) -> Option<Option<Mono>> {
    if ns.is_null() { Some(None) } else { mono(ns).map(Some) }
}

#[cfg(test)]
mod tests {
    use cronx_scheduler::{Clock, SystemClock};

    use super::super::line;
    use super::*;

    fn written(event: Event) -> Record {
        let trace = Some(TraceId(7));
        let record = Record { breaker: "a".into(), shadow: false, at: Mono(5), trace, event };
        let line = line::of(&record, SystemClock.read()).to_string();
        let read = super::record(&serde_json::from_str(&line).unwrap(), "a").unwrap();
        assert_eq!(read, record, "{line}");
        record
    }

    /// Every kind of record is read as it was written.
    #[test]
    fn a_line_says_all_that_a_record_does() {
        for probe in [None, Some(3)] {
            let permit = Permit::from_parts(9, probe);
            written(Event::Probed(permit));
            let took = Duration::from_nanos(12);
            for ended in Ended::ALL {
                written(Event::Told { permit, ended, took, counted: true });
            }
        }
        let window =
            Snapshot { threshold: Some(Share::percent(5)), calls: 4, ..Snapshot::default() };
        for (from, rule) in State::ALL.iter().flat_map(|state| Rule::ALL.map(|rule| (*state, rule)))
        {
            let until = Some(Mono(9));
            written(Event::Rejected(Rejected { state: from, rule, until }));
            written(Event::Turned(Turn { at: Mono(4), from, to: from, rule, window, until: None }));
        }
        for forced in [None, Some(Forced::Closed), Some(Forced::Open)] {
            written(Event::Forced(forced));
        }
        written(Event::Looked);
        written(Event::Heard { taken: Mono(1), failed: Share::percent(2), counted: false });
        for refused in [None, Some("full".to_owned())] {
            written(Event::Remedy { job: "heal".into(), refused });
        }
    }

    #[test]
    fn what_is_no_log_is_said_with_its_line() {
        let file = Jobs::parse("[job.a]\nschedule = '@never'\ncommand = ['true']\nbreaker = {}\n");
        let file = file.unwrap();
        let good = "{\"event\":\"begun\",\"breaker\":\"job:a\"}\n{\"event\":\"healed\"}\n";
        let nothing = Replayed { breaker: "job:a".into(), records: 0, turns: Ok(0) };
        assert_eq!(replayed(good, &file), Ok(vec![nothing]));
        let bad = good.to_owned() + "{\"event\":\"told\",\"breaker\":\"job:a\"}\n";
        assert_eq!(replayed(&bad, &file), Err("line 3: it is no decision".to_owned()));
        assert!(replayed("no", &file).unwrap_err().starts_with("line 1: "));
    }
}
