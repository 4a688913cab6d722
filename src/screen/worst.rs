//! The worst misses one by one, tile by tile.

use cronx_flamegraph::units::duration;
use cronx_recording::{Link, Miss, Report, TileReport, Untrusted};

use super::blame;
use super::line::{Line, Paint, bar, column, fit};

/// Misses shown; the Report has more.
const MISSES: usize = 3;
/// Lines of tiles a miss may have.
const TILES: usize = 5;
const NAME_MAX: usize = 24;
const BAR: usize = 10;
/// The priority of who asked for none.
const NICE_0: i32 = 120;

/// Nothing if no thread waited.
pub(crate) fn lines(report: &Report, _width: usize) -> Vec<Line> {
    let shown = &report.worst[..report.worst.len().min(MISSES)];
    let title = match shown.len() {
        0 => return Vec::new(),
        1 => "The longest wait".to_owned(),
        2 => "The two longest waits".to_owned(),
        _ => "The three longest waits".to_owned(),
    };
    let mut lines = vec![Line::new().add(Paint::Bold, title)];
    for miss in shown {
        lines.push(head(miss));
        lines.extend(tiles(miss));
        lines.extend(chain(&miss.chain));
    }
    lines
}

/// `31.2 ms  worker 4711 (app), at 4.201 s, ran on CPU 2, woken by ...`
fn head(miss: &Miss) -> Line {
    let thread = fit(&miss.thread.terminal().to_string(), NAME_MAX);
    let process = match &miss.process {
        process if process.raw().is_empty() || *process == miss.thread => String::new(),
        process => format!(" ({})", fit(&process.terminal().to_string(), NAME_MAX)),
    };
    let opening = Untrusted::from(miss.opening.as_str());
    let how = match (miss.opening.as_str(), miss.waker.terminal().to_string()) {
        ("wakeup", waker) if waker.is_empty() => "woken by nobody known".to_owned(),
        ("wakeup", waker) => format!("woken by {waker}"),
        ("fork", _) => "newly forked".to_owned(),
        _ => opening.terminal().to_string(),
    };
    let at = miss.at_ns as f64 / 1e9;
    Line::new()
        .add(Paint::Bold, format!("{:>9}  {thread} {}", duration(miss.waited_ns), miss.tid))
        .plain(process + &favour(miss.priority))
        .add(Paint::Dim, format!("  at {at:.3} s on CPU {}, {how}", miss.cpu))
}

/// The longest tiles in the order of time, and the sum of the others.
fn tiles(miss: &Miss) -> Vec<Line> {
    let room = if miss.tiles.len() > TILES { TILES - 1 } else { TILES };
    let mut by_length: Vec<usize> = (0..miss.tiles.len()).collect();
    by_length.sort_by_key(|&i| (std::cmp::Reverse(miss.tiles[i].length_ns), i));
    let (longest, rest) = by_length.split_at(room.min(by_length.len()));
    let mut longest = longest.to_vec();
    longest.sort_unstable();
    let mut lines: Vec<_> =
        longest.into_iter().map(|i| tile(&miss.tiles[i], miss.waited_ns)).collect();
    if !rest.is_empty() {
        let sum = rest.iter().map(|&i| miss.tiles[i].length_ns).fold(0, u64::saturating_add);
        let text =
            format!("{:>11}{}  {:>9}  and {} more", "", " ".repeat(BAR), duration(sum), rest.len());
        lines.push(Line::new().add(Paint::Dim, text));
    }
    lines
}

fn tile(tile: &TileReport, whole_ns: u64) -> Line {
    let mut line = Line::new()
        .plain(" ".repeat(11))
        .add(Paint::Of(tile.class), bar(tile.length_ns, whole_ns, BAR))
        .plain(format!("  {:>9}  ", duration(tile.length_ns)))
        .add(Paint::Of(tile.class), column(tile.class.name(), 10))
        .plain(fit(&blame::name(tile.class, &tile.culprit), 2 * NAME_MAX));
    if tile.culprit.tid != 0 {
        line = line.plain(format!(" {}{}", tile.culprit.tid, favour(tile.culprit.priority)));
    }
    line
}

/// How a priority differs from everybody's, as `chrt` and `nice` count it; empty if it does not.
fn favour(priority: Option<i32>) -> String {
    match priority {
        Some(i32::MIN..0) => " deadline".to_owned(),
        Some(real_time @ 0..100) => format!(" rt {}", 99 - real_time),
        Some(nice @ 100..140) if nice != NICE_0 => format!(" nice {}", nice - NICE_0),
        _ => String::new(),
    }
}

/// Why nobody woke it earlier, back to the root culprit.
fn chain(links: &[Link]) -> Option<Line> {
    let waited: Vec<_> = links.iter().map(link).collect();
    let text = format!("{}before that {}", " ".repeat(11), waited.join("; before that "));
    (!waited.is_empty()).then(|| Line::new().add(Paint::Dim, text))
}

fn link(link: &Link) -> String {
    let thread = fit(&link.thread.terminal().to_string(), NAME_MAX);
    let culprit = fit(&blame::name(link.class, &link.culprit), NAME_MAX);
    let (waited, owed) = (duration(link.waited_ns), duration(link.owed_ns));
    let most = if link.owed_ns == link.waited_ns { String::new() } else { format!(", {owed}") };
    format!("{thread} {} waited {waited}{most} for {culprit}", link.tid)
}
