//! One line of the screen: painted pieces, cut to the width before they are painted.

use cronx_recording::Class;
use unicode_width::UnicodeWidthChar;

/// How a piece looks where there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Dim,
    /// For what must not be overlooked.
    Loud,
    Of(Class),
}

impl Paint {
    /// The parameters of its SGR sequence.
    const fn sgr(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Loud => "1;31",
            Self::Of(class) => class_sgr(class),
        }
    }
}

/// As the flamegraph has them, as far as sixteen colours go.
const fn class_sgr(class: Class) -> &'static str {
    match class {
        Class::Unknown | Class::Steal | Class::Profiler => "90",
        Class::Irq => "31",
        Class::Softirq => "35",
        Class::Throttled => "95",
        Class::Rt => "91",
        Class::Kernel | Class::Foreign => "33",
        Class::Own | Class::Load | Class::Cgroup => "93",
        Class::Placement => "32",
        Class::IdleExit => "36",
        Class::Idle => "34",
    }
}

/// Painted pieces, left to right. Their text must be free of control characters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<(Paint, String)>);

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(mut self, paint: Paint, text: impl Into<String>) -> Self {
        self.0.push((paint, text.into()));
        self
    }

    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.add(Paint::Plain, text)
    }

    /// Appends another line, padding this one to `columns` first.
    pub(crate) fn beside(mut self, columns: usize, other: Self) -> Self {
        let have = self.0.iter().map(|(_, text)| width(text)).sum();
        let gap = " ".repeat(columns.saturating_sub(have));
        self = self.plain(gap);
        self.0.extend(other.0);
        self
    }

    /// The text, at most `columns` wide, without blanks at its end.
    pub(crate) fn render(&self, columns: usize, color: bool) -> String {
        let mut pieces = self.cut(columns);
        while let Some((_, last)) = pieces.last_mut() {
            last.truncate(last.trim_end().len());
            if !last.is_empty() {
                break;
            }
            pieces.pop();
        }
        let painted = pieces.into_iter().map(|(paint, text)| match paint.sgr() {
            sgr if color && !sgr.is_empty() => format!("\x1b[{sgr}m{text}\x1b[0m"),
            _ => text,
        });
        painted.collect()
    }

    fn cut(&self, columns: usize) -> Vec<(Paint, String)> {
        if self.0.iter().map(|(_, text)| width(text)).sum::<usize>() <= columns {
            return self.0.clone();
        }
        let mut left = columns.saturating_sub(1);
        let mut pieces = Vec::new();
        for (paint, text) in &self.0 {
            let kept = prefix(text, left);
            if kept.len() < text.len() {
                pieces.push((*paint, format!("{kept}…")));
                break;
            }
            left -= width(kept);
            pieces.push((*paint, text.clone()));
        }
        pieces
    }
}

/// Columns that `text` takes in a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// `text` itself if it is at most `columns` wide, or so much of it as leaves room for `…`.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    format!("{}…", prefix(text, columns.saturating_sub(1)))
}

/// As much of `text` as `columns` hold.
fn prefix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > columns
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// `text` cut or filled up to exactly `columns`.
pub(crate) fn column(text: &str, columns: usize) -> String {
    let mut text = fit(text, columns);
    text.push_str(&" ".repeat(columns.saturating_sub(width(&text))));
    text
}

/// A bar of `columns` for a whole, filled for its part to an eighth of a column, blank after it.
/// A part that is not nothing is seen.
pub(crate) fn bar(part: u64, whole: u64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) };
    let eighths = (share * columns as f64 * 8.0).round() as usize;
    let eighths = eighths.max(usize::from(part > 0 && columns > 0));
    column(&("█".repeat(eighths / 8) + EIGHTHS[eighths % 8]), columns)
}

/// A sentence over as many lines as it needs, the later ones indented.
pub(crate) fn wrap(paint: Paint, text: &str, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut row = String::new();
    for word in text.split(' ') {
        if !row.trim().is_empty() && width(&row) + 1 + width(word) > columns {
            lines.push(std::mem::replace(&mut row, "  ".to_owned()));
        } else if !row.is_empty() {
            row.push(' ');
        }
        row.push_str(word);
    }
    lines.push(row);
    lines.into_iter().map(|row| Line::new().add(paint, row)).collect()
}

#[cfg(test)]
mod tests;
