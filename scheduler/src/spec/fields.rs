//! The fields of a pattern, one by one: which is wrong, and what the hours say.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::CronParser;

/// By number of fields, what they are.
const NAMES: [&str; 7] =
    ["second", "minute", "hour", "day of month", "month", "day of week", "year"];

/// What stands for a whole pattern.
const NICKNAMES: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];

/// Reads it, or says which field cannot be read, and why.
pub(super) fn parse(text: &str) -> Result<Cron, String> {
    let parser = CronParser::new();
    let fields: Vec<&str> = text.split_whitespace().collect();
    if text.starts_with('@') {
        if !NICKNAMES.iter().any(|name| text.eq_ignore_ascii_case(name)) {
            let known = "@yearly, @monthly, @weekly, @daily, @hourly, @never and @every SPAN";
            return Err(format!("there is {known}"));
        }
    } else if !(5..=7).contains(&fields.len()) {
        let count = fields.len();
        return Err(format!("a pattern has 5, 6 or 7 fields, and this has {count}"));
    }
    if let Some(field) = fields.iter().find(|field| field.split(',').any(str::is_empty)) {
        return Err(format!("the list '{field}' has an empty part"));
    }
    parser.parse(text).map_err(|whole| culprit(parser, &fields, &whole))
}

/// The first field that is wrong with all others `*`.
fn culprit(parser: CronParser, fields: &[&str], whole: &CronError) -> String {
    let missing = usize::from(fields.len() == 5);
    for (at, field) in fields.iter().enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = field;
        if let (Err(error), Some(name)) = (parser.parse(&alone.join(" ")), NAMES.get(at + missing))
        {
            return format!("field {} ({name}) '{field}': {}", at + 1, reason(&error));
        }
    }
    reason(whole)
}

fn reason(error: &CronError) -> String {
    match error {
        CronError::InvalidPattern(why)
        | CronError::IllegalCharacters(why)
        | CronError::ComponentError(why) => why.trim_end_matches('.').to_owned(),
        other => other.to_string().trim_end_matches('.').to_owned(),
    }
}

/// Whether the pattern is due in any hour, or every so many: it asks for a pace, not for a time of day.
pub(super) fn has_any_hour(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let hour = match fields.len() {
        5 => fields[1],
        6 | 7 => fields[2],
        _ => return text.eq_ignore_ascii_case("@hourly"),
    };
    hour.starts_with('*')
}
