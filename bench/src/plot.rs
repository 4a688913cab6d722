//! Draws a table of lateness against live timers: both axes by powers of ten.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use plotters::prelude::*;

use crate::Error;

/// What is drawn.
#[derive(Debug, clap::Args)]
pub(crate) struct Plot {
    /// `who,timers,p50_ms,p99_ms,p999_ms,worst_ms`, a line each below these names.
    csv: PathBuf,
    /// The picture to write.
    svg: PathBuf,
}

/// Of one scheduler and quantile: lateness in ms by number of timers.
type Curves = BTreeMap<(String, &'static str), Vec<(f64, f64)>>;

const QUANTILES: [&str; 3] = ["P50", "P99", "P99.9"];
const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 119, 180), RGBColor(214, 39, 40), RGBColor(44, 160, 44), RGBColor(148, 103, 189)];

impl Plot {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let text = fs::read_to_string(&self.csv).map_err(|source| Error::System {
            what: format!("cannot read {}", self.csv.display()),
            source,
        })?;
        let curves = parse(&text);
        draw(&curves, &self.svg).map_err(|error| Error::Plot(error.to_string()))
    }
}

fn parse(text: &str) -> Curves {
    let mut curves = Curves::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let Some(who) = cells.next() else { continue };
        let numbers: Vec<f64> = cells.filter_map(|cell| cell.parse().ok()).collect();
        let [timers, quantiles @ ..] = numbers.as_slice() else { continue };
        for (name, &ms) in QUANTILES.iter().zip(quantiles) {
            curves.entry((who.to_owned(), name)).or_default().push((*timers, ms));
        }
    }
    curves
}

fn draw(curves: &Curves, svg: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.values().flatten();
    let least = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
    let across = (least(|p| p.0).max(1.0)..most(|p| p.0).max(10.0)).log_scale();
    let up = (least(|p| p.1).max(0.001) / 2.0..most(|p| p.1).max(0.01) * 2.0).log_scale();
    let area = SVGBackend::new(svg, (960, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Lateness against live timers, 9,000 due a second", ("sans-serif", 20))
        .margin(16)
        .margin_right(48)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(across, up)?;
    let mesh = &mut chart.configure_mesh();
    mesh.x_label_formatter(&|timers| format!("{timers:.0}"));
    mesh.x_desc("live timers").y_desc("ms").draw()?;
    let mut names: Vec<&String> = curves.keys().map(|(who, _)| who).collect();
    names.dedup();
    for ((who, quantile), curve) in curves {
        let number = names.iter().position(|name| *name == who).unwrap_or_default();
        let wide =
            1 + QUANTILES.iter().position(|name| name == quantile).unwrap_or_default() as u32;
        let style = COLOURS[number % COLOURS.len()].stroke_width(wide);
        chart
            .draw_series(LineSeries::new(curve.iter().copied(), style).point_size(wide + 1))?
            .label(format!("{who} {quantile}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
