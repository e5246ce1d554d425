//! The plot: two panels of bars, one a peer.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::fixture::OPS;
use crate::peer::PEERS;
use crate::report::Results;
use crate::rounds::Figure;

const COLOURS: [RGBColor; 4] =
    [RGBColor(208, 48, 48), RGBColor(160, 168, 180), RGBColor(84, 110, 148), RGBColor(205, 212, 222)];

/// Draws CPU and latency of every request to an SVG file.
pub fn draw(results: &Results, file: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (1000, 760)).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(380);
    panel(results, &upper, "CPU of the Worker's process, µs a request", Figure::Cpu)?;
    panel(results, &lower, "p50 at 20 ms of D1 latency, ms", Figure::P50(20))?;
    root.present()?;
    Ok(())
}

fn panel(
    results: &Results,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    figure: Figure,
) -> Result<(), Box<dyn Error>> {
    /// A group of bars is around a whole number; five of these wide, with the gap to the next.
    const BAR: f64 = 0.2;
    let values = OPS.map(|op| PEERS.map(|peer| results.median(peer, op, figure)));
    let most = values.as_flattened().iter().copied().fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.5..OPS.len() as f64 - 0.5, 0.0..most * 1.12)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(OPS.len())
        .x_label_formatter(&|x| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list of five")]
            let op = OPS.get(x.round() as usize);
            op.map(|op| op.name().to_owned()).unwrap_or_default()
        })
        .label_style(("sans-serif", 15))
        .draw()?;
    for (place, (peer, colour)) in PEERS.into_iter().zip(COLOURS).enumerate() {
        let left = (0..OPS.len()).map(|group| group as f64 + (place as f64 - 2.0) * BAR);
        let bars: Vec<(f64, f64)> = left.zip(values.map(|of_op| of_op[place])).collect();
        chart
            .draw_series(
                bars.iter().map(|&(x, y)| Rectangle::new([(x + 0.01, 0.0), (x + BAR - 0.01, y)], colour.filled())),
            )?
            .label(peer.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 12, y + 6)], colour.filled()));
        chart.draw_series(bars.iter().map(|&(x, y)| {
            let label = if y < 10.0 { format!("{y:.1}") } else { format!("{y:.0}") };
            Text::new(label, (x + 0.03, y + most * 0.05), ("sans-serif", 12))
        }))?;
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.2)).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}
