//! The flamegraph of blame: below each thread that waited, whose doing it was; width is
//! nanoseconds waited.

use std::io::Write;

use cronx_recording::{Class, MetricName, Report};
use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

use crate::{Error, folded, units};

const TITLE: &str = "Why they waited";

/// Frames narrower than this share of the picture, in percent, are not drawn.
pub(crate) const MIN_WIDTH_PERCENT: f64 = 0.1;

pub(crate) const BACKGROUND: Color = Color { r: 252, g: 252, b: 250 };
const VICTIM: Color = Color { r: 226, g: 223, b: 214 };

/// Writes the flamegraph as SVG for a browser: victim, class, culprit, the culprit's stack, from
/// the top down, each class in a colour of its own.
///
/// Names are text in it and nothing else. Without a complete wait it is a picture
/// that says so.
pub fn write_svg(report: &Report, mut out: impl Write) -> Result<(), Error> {
    let total = report.folds.iter().try_fold(0_u64, |sum, fold| sum.checked_add(fold.waited_ns));
    if total.ok_or(Error::TooLong)? == 0 {
        return Ok(out.write_all(EMPTY.as_bytes())?);
    }
    let lines = folded::lines(report);
    let mut palette = palette(report);
    let mut options = options(TITLE, subtitle(report), &mut palette);
    Ok(from_lines(&mut options, lines.iter().map(String::as_str), out)?)
}

const EMPTY: &str = r##"<?xml version="1.0" standalone="no"?>
<svg version="1.1" width="1200" height="120" viewBox="0 0 1200 120" xmlns="http://www.w3.org/2000/svg">
<rect width="100%" height="100%" fill="#fcfcfa"/>
<text x="50%" y="45" text-anchor="middle" font-family="monospace" font-size="17">Why they waited</text>
<text x="50%" y="80" text-anchor="middle" font-family="monospace" font-size="12">No complete wait for a CPU was recorded.</text>
</svg>
"##;

/// How both of our flamegraphs are drawn.
pub(crate) fn options<'a>(
    title: &str,
    subtitle: String,
    palette: &'a mut PaletteMap,
) -> Options<'a> {
    let mut options = Options::default();
    options.title = title.into();
    options.subtitle = Some(subtitle);
    options.count_name = "ns".into();
    options.name_type = "Name:".into();
    options.min_width = MIN_WIDTH_PERCENT;
    options.direction = Direction::Inverted;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat(BACKGROUND));
    options.palette_map = Some(palette);
    // For a name that the palette does not have: by its hash, never by chance.
    options.deterministic = true;
    options
}

fn subtitle(report: &Report) -> String {
    let p99 = report
        .metrics
        .iter()
        .find(|metric| metric.name == MetricName::WakeToRun)
        .and_then(|metric| metric.all.p99_ns)
        .map_or_else(
            || "too few for a P99".to_owned(),
            |ns| format!("P99 {}", units::duration(ns)),
        );
    let plural = if report.waits == 1 { "" } else { "s" };
    format!(
        "{} wait{plural}, {} in all, {p99}. From the top: who waited, for what, for whom, and what that was doing",
        units::count(report.waits),
        units::duration(report.waited_ns),
    )
}

/// A colour for every frame: victims plain, classes full, what is below a class a shade of it. A
/// name under two classes has the colour of the one it cost more under.
fn palette(report: &Report) -> PaletteMap {
    let mut folds: Vec<_> = report.folds.iter().collect();
    folds.sort_by_key(|fold| fold.waited_ns);
    let mut palette = PaletteMap::default();
    palette.insert("", VICTIM);
    for fold in folds {
        let frames = folded::frames(fold);
        for frame in frames.iter().skip(2) {
            palette.insert(frame, lighten(class_color(fold.class), shade(frame)));
        }
    }
    for fold in &report.folds {
        let frames = folded::frames(fold);
        palette.insert(&frames[0], VICTIM);
        palette.insert(&frames[1], class_color(fold.class));
    }
    palette
}

/// Tasks are warm, what the machine does is cool, and what is not known is grey.
pub(crate) const fn class_color(class: Class) -> Color {
    let (r, g, b) = match class {
        Class::Unknown => (172, 172, 172),
        Class::Steal => (126, 116, 112),
        Class::Irq => (232, 104, 96),
        Class::Softirq => (188, 134, 206),
        Class::Throttled => (206, 92, 148),
        Class::Profiler => (146, 158, 180),
        Class::Rt => (214, 84, 42),
        Class::Kernel => (166, 138, 98),
        Class::Own => (238, 214, 104),
        Class::Load => (244, 186, 78),
        Class::Cgroup => (224, 158, 112),
        Class::Foreign => (240, 150, 60),
        Class::Placement => (128, 194, 110),
        Class::IdleExit => (92, 196, 190),
        Class::Idle => (120, 180, 226),
    };
    Color { r, g, b }
}

/// How far towards white, in percent: by name, so that neighbours part and a name keeps its shade.
fn shade(name: &str) -> u32 {
    let hash = name
        .bytes()
        .fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    15 + (hash >> 8) % 45
}

fn lighten(color: Color, percent: u32) -> Color {
    let channel = |c: u8| (u32::from(c) + (255 - u32::from(c)) * percent / 100) as u8;
    Color { r: channel(color.r), g: channel(color.g), b: channel(color.b) }
}

#[cfg(test)]
mod tests;
