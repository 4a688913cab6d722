//! A reader of `format`, tracefs' description of a tracepoint's record: a pure function of text.
//!
//! ```text
//! name: sched_switch
//! ID: 316
//! format:
//!         field:unsigned short common_type;   offset:0;   size:2;   signed:0;
//!         field:pid_t prev_pid;               offset:24;  size:4;   signed:1;
//! ```
//!
//! Kernels differ in their common fields, which shifts all others, and in which fields there are: so
//! an offset is asked for by name, each time, and never assumed. Source of the text:
//! `kernel/trace/trace_events.c`, `f_show`. What it does not do: open tracefs, read a record.
//!
//! ```
//! use cronx_collector::tracepoint_format::Format;
//!
//! let text = "name: softirq_entry\nID: 147\nformat:\n\
//!             \tfield:unsigned int vec;\toffset:8;\tsize:4;\tsigned:0;\n";
//! let format = Format::parse(text)?;
//! assert_eq!(format.id(), 147);
//! assert_eq!(format.field("vec")?.offset, 8);
//! # Ok::<(), cronx_collector::tracepoint_format::FormatError>(())
//! ```

/// No record of a tracepoint is longer: it has to fit a page of the trace buffer.
const RECORD_MAX: u32 = 64 << 10;

/// Why a text is no `format`, or does not hold what was asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// It names no event.
    #[error("it has no line `name:`")]
    NoName,
    /// It numbers no event.
    #[error("the format of {event} has no line `ID:` with a number")]
    NoId {
        /// The event.
        event: String,
    },
    /// A field's line is not what a kernel writes.
    #[error("line {line} is no field: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No such field.
    #[error("the tracepoint {event} has no field {field}")]
    NoField {
        /// The event.
        event: String,
        /// The field.
        field: String,
    },
}

/// The layout of one tracepoint's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    name: String,
    id: u32,
    fields: Vec<(String, Field)>,
}

/// Where a field lies in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the record's start, common fields included.
    pub offset: u32,
    /// Bytes; of an array, all of it.
    pub size: u32,
    /// Whether it is a signed number; kernels before 2.6.32 do not say, and then it is not.
    pub signed: bool,
    /// The field is no value but says where one lies: `__data_loc` and `__rel_loc`.
    pub indirect: bool,
}

impl Format {
    /// Parses the text of a `format` file.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let named = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let name = named("name:").filter(|name| !name.is_empty()).ok_or(FormatError::NoName)?;
        let id = named("ID:").and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| FormatError::NoId { event: name.to_owned() })?;
        let lines = text.lines().enumerate();
        let fields = lines.filter_map(|(number, line)| {
            let field = line.trim_start().strip_prefix("field:")?;
            Some(
                parse_field(field).map_err(|reason| FormatError::Line { line: number + 1, reason }),
            )
        });
        Ok(Self { name: name.to_owned(), id, fields: fields.collect::<Result<_, _>>()? })
    }

    /// The number by which the kernel knows the event; another one after each boot.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The event's name, without its subsystem.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Result<Field, FormatError> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, field)| *field).ok_or_else(|| FormatError::NoField {
            event: self.name.clone(),
            field: name.to_owned(),
        })
    }

    /// Every field with its name, in the kernel's order, common ones first.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Field)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), *field))
    }
}

/// `char comm[16]; offset:8; size:16; signed:0;`, with tabs between.
fn parse_field(line: &str) -> Result<(String, Field), &'static str> {
    let mut parts = line.split(';').map(str::trim);
    let declaration = parts.next().unwrap_or_default();
    let name = declared(declaration).ok_or("its declaration ends in no name")?;
    let (mut offset, mut size, mut signed) = (None, None, false);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", number)) => offset = number.parse::<u32>().ok(),
            Some(("size", number)) => size = number.parse::<u32>().ok(),
            Some(("signed", flag)) => signed = flag != "0",
            _ => {}
        }
    }
    let (offset, size) = (offset.ok_or("it has no offset")?, size.ok_or("it has no size")?);
    if offset.checked_add(size).is_none_or(|end| end > RECORD_MAX) {
        return Err("it ends behind the longest record");
    }
    let indirect = ["__data_loc ", "__rel_loc "].iter().any(|word| declaration.starts_with(word));
    Ok((name.to_owned(), Field { offset, size, signed, indirect }))
}

/// The name that a declaration declares: `prev_comm` of `char prev_comm[16]`.
fn declared(declaration: &str) -> Option<&str> {
    let mut rest = declaration;
    while rest.ends_with(']') {
        rest = rest[..rest.rfind('[')?].trim_end();
    }
    let name = rest.rsplit([' ', '\t', '*']).next()?;
    let whole = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (whole && !name.is_empty() && name.len() < rest.len()).then_some(name)
}

#[cfg(test)]
mod tests;
