//! A log of decisions, decided once more: what breakers were asked and told is fed to new ones of the file's
//! rules, which have to decide the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::breaker::{
    Ended, Event, Forced, Permit, Record, Rejected, Rule, Rules, Share, Snapshot, State, Turn,
    replay, replay_rest,
};
use cronx_scheduler::{Mono, TraceId};
use serde_json::Value;

use super::file::older;
use crate::breakers::wanted;
use crate::file::Jobs;

/// What came of one breaker's part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its name.
    pub breaker: Arc<str>,
    /// How many records there are of it.
    pub records: usize,
    /// Of these, such as cannot be decided once more, since what was before them is not there.
    pub left_out: usize,
    /// How often it turned, as it did then; or where it would have done otherwise, or cannot be read.
    pub turns: Result<usize, String>,
}

/// Of one breaker, from where it begins in the log to where something of it is not there.
#[derive(Default)]
struct Life {
    /// Its beginning is not there: an older file had it, or it found no room.
    is_cut: bool,
    records: Vec<Record>,
    /// Which, of one daemon's.
    number: u64,
    /// The number of the next record.
    next: u64,
}

/// The log in this file and in the one before it, as it is written; `Err` says which cannot be read.
pub fn read(path: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let text = |path: PathBuf| match fs::read(&path) {
        // Half a line may end in the middle of a letter.
        Ok(bytes) => Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    };
    let (older, newer) = (text(older(path))?, text(path.to_owned())?);
    let newer = newer.ok_or_else(|| format!("there is no {}", path.display()))?;
    Ok(older.into_iter().chain([newer]).collect())
}

/// Decides once more what a log says, by the rules that the file of jobs has now. A breaker that this does
/// not have is left out; one that begins again in the log, begins again.
pub fn replayed(log: &[(PathBuf, String)], file: &Jobs) -> Result<Vec<Replayed>, String> {
    let mut lives = BTreeMap::new();
    for (path, text) in log {
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let next = lines.peek().map(|(_, next)| *next);
            let taken = match parsed(line) {
                Ok(line) => take(&line, &mut lives),
                Err(_) if is_torn(line, next) => Ok(()),
                Err(why) => Err(why),
            };
            let unread = |why| format!("{}, line {}: {why}", path.display(), number + 1);
            taken.map_err(unread)?;
        }
    }
    let plans = wanted(file);
    let known =
        lives.into_iter().filter_map(|(name, lives)| Some((plans.get(&name)?, name, lives)));
    Ok(known.map(|(plan, name, lives)| of_one(plan.rules, name, &lives)).collect())
}

fn parsed(line: &str) -> Result<Value, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}

/// A daemon ended in the middle of it: it is the last one, or the next daemon's breakers begin behind it.
fn is_torn(line: &str, next: Option<&str>) -> bool {
    let begins = |next| parsed(next).is_ok_and(|next| next["event"] == "begun");
    line.starts_with('{') && next.is_none_or(begins)
}

fn take(line: &Value, lives: &mut BTreeMap<Arc<str>, Vec<Life>>) -> Result<(), String> {
    let Some(breaker) = line["breaker"].as_str() else { return Ok(()) };
    let lives = lives.entry(breaker.into()).or_default();
    let number = line["life"].as_u64().ok_or("it is of no life")?;
    if line["event"] == "begun" {
        lives.push(Life { number, ..Life::default() });
        return Ok(());
    }
    let place = line["record"].as_u64();
    let (record, place) = record(line, breaker).zip(place).ok_or("it is no decision")?;
    let known = lives.iter_mut().rfind(|life| life.number == number);
    if let Some(life) = known.filter(|life| life.next == place) {
        life.records.push(record);
        life.next += 1;
    } else {
        let (records, next) = (vec![record], place.saturating_add(1));
        lives.push(Life { is_cut: true, records, number, next });
    }
    Ok(())
}

fn of_one(rules: Rules, breaker: Arc<str>, lives: &[Life]) -> Replayed {
    let all = lives.iter().map(|life| life.records.len()).sum();
    let (mut left_out, mut sum) = (0, 0);
    for Life { is_cut, records, .. } in lives {
        let decided = if *is_cut {
            replay_rest(rules, records)
        } else {
            replay(rules, records).map(|turns| (0, turns))
        };
        match decided {
            Ok((left, turns)) => (left_out, sum) = (left_out + left, sum + turns),
            Err(differs) => {
                let turns = Err(differs.to_string());
                return Replayed { breaker, records: all, left_out, turns };
            }
        }
    }
    Replayed { breaker, records: all, left_out, turns: Ok(sum) }
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
        number: line["number"].as_u64()?,
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
    use cronx_scheduler::breaker::Breaker;
    use cronx_scheduler::{Clock, SystemClock};

    use super::super::{Place, line};
    use super::*;

    fn written(event: Event) -> Record {
        let trace = Some(TraceId(7));
        let record = Record { breaker: "a".into(), shadow: false, at: Mono(5), trace, event };
        let place = Place { life: 0, number: 0 };
        let line = line::of(&record, place, SystemClock.read()).to_string();
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
            written(Event::Turned(Turn {
                number: 3,
                at: Mono(4),
                from,
                to: from,
                rule,
                window,
                until: None,
            }));
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
        let replayed = |text: &str| replayed(&[("a.jsonl".into(), text.to_owned())], &file);
        let good =
            "{\"event\":\"begun\",\"breaker\":\"job:a\",\"life\":0}\n{\"event\":\"healed\"}\n";
        let nothing = Replayed { breaker: "job:a".into(), records: 0, left_out: 0, turns: Ok(0) };
        assert_eq!(replayed(good), Ok(vec![nothing]));
        let bad = good.to_owned() + "{\"event\":\"told\",\"breaker\":\"job:a\",\"life\":0}\n";
        assert_eq!(replayed(&bad), Err("a.jsonl, line 3: it is no decision".to_owned()));
        assert!(replayed("no").unwrap_err().starts_with("a.jsonl, line 1: "));
    }

    /// Of a breaker that opens, probes, and closes.
    #[test]
    fn what_is_not_there_is_left_out_and_hides_nothing_else() {
        let file = Jobs::parse(
            "[job.a]\nschedule = '@never'\ncommand = ['true']\nbreaker = { preset = 'paper-ch1' }\n",
        );
        let file = file.unwrap();
        let records = Arc::new(std::sync::Mutex::new(Vec::new()));
        let witnessed = Arc::clone(&records);
        let witness =
            Arc::new(move |record: &Record| witnessed.lock().unwrap().push(record.clone()));
        let rules = wanted(&file)["job:a"].rules;
        let breaker = Breaker::watched("job:a", rules, witness).unwrap();
        for (at, ended) in (0..).zip([Ended::Failed; 8].into_iter().chain([Ended::Succeeded; 4])) {
            let at = Mono(at * 20_000_000_000);
            if let Ok(call) = breaker.ask(at, None, &mut Vec::new()) {
                call.end(ended, Duration::ZERO, at, &mut Vec::new());
            }
        }
        let records = records.lock().unwrap();
        let line = |(number, record): (usize, &Record)| {
            let place = Place { life: 7, number: number as u64 };
            line::of(record, place, SystemClock.read()).to_string()
        };
        let lines: Vec<String> = records.iter().enumerate().map(line).collect();
        let begun = "{\"event\":\"begun\",\"breaker\":\"job:a\",\"life\":7}".to_owned();
        let replayed = |lines: &[String]| {
            let text = lines.join("\n");
            replayed(&[("a.jsonl".into(), text)], &file).map(|mut all| all.remove(0))
        };
        let whole = [vec![begun.clone()], lines.clone()].concat();
        let turns = records.iter().filter(|record| matches!(record.event, Event::Turned(_)));
        let turns = turns.count();
        assert!(turns > 2);
        let first = replayed(&whole).unwrap();
        assert_eq!((first.left_out, first.turns.clone()), (0, Ok(turns)));
        // A daemon ended in the middle of its last line; another came.
        let half = whole[whole.len() - 1][..20].to_owned();
        let torn = [&whole[..whole.len() - 1], std::slice::from_ref(&half), &whole[..]].concat();
        let twice = replayed(&torn).unwrap();
        assert_eq!((twice.records, twice.left_out), (2 * first.records - 1, 0));
        let torn = [&[half], &whole[1..]].concat();
        assert!(replayed(&torn).is_err(), "no breaker begins behind it");
        // Whichever is not there, the others are decided as they were, or left out.
        for missing in 1..whole.len() {
            let mut rest = whole.clone();
            rest.remove(missing);
            let rest = replayed(&rest).unwrap();
            let closes = |record: &Record| {
                matches!(record.event, Event::Turned(Turn { to: State::Closed, .. }))
            };
            // What is behind a gap is known again from the next closing on.
            let gap = missing - 1;
            let behind = records[missing..].iter().position(closes);
            let left_out = behind.map_or(records.len() - missing, |place| place + 1);
            assert_eq!(rest.left_out, left_out, "without {}", whole[missing]);
            let is_decided = |(at, record): &(usize, &Record)| {
                let known = *at < gap || *at >= missing + left_out;
                known && matches!(record.event, Event::Turned(_))
            };
            let decided = records.iter().enumerate().filter(is_decided).count();
            assert_eq!(rest.turns, Ok(decided), "without {}", whole[missing]);
        }
        // A call of a breaker that has begun again since comes to its end later.
        let late = whole.last().unwrap().clone();
        let other = begun.replace('7', "8");
        let parted = [&whole[..whole.len() - 1], &[other, late]].concat();
        assert_eq!(replayed(&parted).unwrap(), first);
    }
}
