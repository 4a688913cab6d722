//! cronx: why did the P99 miss?

mod screen;

use anyhow::Context as _;
use cronx_recording::Report;

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).context("name a report.json")?;
    let file = std::fs::File::open(&path)
        .with_context(|| format!("cannot open {}", path.to_string_lossy()))?;
    let style = screen::Style { width: 80, color: false };
    print!("{}", screen::render(&Report::read(file)?, &style));
    Ok(())
}
