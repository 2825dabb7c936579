//! Charts as SVG, in colours that a page turns into its own: dark on light, or light on dark.

use std::fmt::Write as _;
use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Colours that are told apart by most eyes (Okabe and Ito 2008), but for black and yellow, which vanish on one ground each.
pub(crate) const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];
const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
const GRID: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
const SIZE: (u32, u32) = (640, 400);

/// What is drawn, and what its axes say.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: Axis<'a>,
    pub(crate) y: Axis<'a>,
    pub(crate) series: Vec<Series>,
}

/// An axis; what lies outside of its range is not drawn.
pub(crate) struct Axis<'a> {
    pub(crate) label: &'a str,
    pub(crate) range: Range<f64>,
    /// Logarithmic; the range is then above 0.
    pub(crate) logarithmic: bool,
}

/// A line of its own colour.
pub(crate) struct Series {
    pub(crate) name: String,
    /// By ascending x.
    pub(crate) points: Vec<(f64, f64)>,
    /// At x, from low to high: an interval around the line.
    pub(crate) band: Vec<(f64, f64, f64)>,
    pub(crate) mark: Mark,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Line,
    /// A line, a dot at each point, and the band as whiskers.
    Dots,
    /// The area under the points.
    Area,
}

impl<'a> Axis<'a> {
    pub(crate) fn linear(label: &'a str, range: Range<f64>) -> Self {
        Self { label, range, logarithmic: false }
    }

    /// From the power of ten below the least of `values` to the one above the greatest; those that are not above 0 do not count.
    pub(crate) fn decades(label: &'a str, values: impl Iterator<Item = f64>) -> Self {
        let above = values.filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) = above.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let low = if low.is_finite() { low.log10().floor() } else { -1.0 };
        let high = if high > 0.0 { high.log10().ceil().max(low + 1.0) } else { low + 1.0 };
        Self { label, range: 10_f64.powf(low)..10_f64.powf(high), logarithmic: true }
    }
}

impl Series {
    /// A line without an interval.
    pub(crate) fn line(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, band: Vec::new(), mark: Mark::Line }
    }
}

/// The chart with its legend, for a page.
pub(crate) fn figure(chart: &Chart<'_>) -> Markup {
    let names = chart.series.iter().zip(COLOURS.iter().cycle());
    html! {
        figure {
            figcaption { (chart.title) }
            div role="img" aria-label=(chart.title) { (PreEscaped(svg(chart, false))) }
            @if chart.series.len() > 1 {
                ul.legend { @for (series, colour) in names { li style=(format!("--colour:{}", hex(*colour))) { (series.name) } } }
            }
        }
    }
}

/// The chart as an SVG document of its own, its legend in it.
pub(crate) fn document(chart: &Chart<'_>) -> String {
    svg(chart, true)
}

/// What a page adds to its style so that charts take its colours.
pub(crate) fn style() -> String {
    let mut style = String::new();
    for (colour, variable) in [(INK, "ink"), (GRID, "line")] {
        let hex = hex(colour);
        // Writing to a String cannot fail.
        let _ = write!(
            style,
            "svg [fill=\"{hex}\"]{{fill:var(--{variable})}}svg [stroke=\"{hex}\"]{{stroke:var(--{variable})}}"
        );
    }
    style
}

/// As the SVG has it.
fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn svg(chart: &Chart<'_>, legend: bool) -> String {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let (x, y) = (&chart.x, &chart.y);
        let (across, up) = (x.range.clone(), y.range.clone());
        // Writing to a String cannot fail, and a chart that could not be drawn would be an empty picture.
        let _ = match (x.logarithmic, y.logarithmic) {
            (false, false) => draw(chart, &root, across, up, legend),
            (true, false) => draw(chart, &root, across.log_scale(), up, legend),
            (false, true) => draw(chart, &root, across, up.log_scale(), legend),
            (true, true) => draw(chart, &root, across.log_scale(), up.log_scale(), legend),
        };
        let _ = root.present();
    }
    text
}

type Area<'s> = DrawingArea<SVGBackend<'s>, plotters::coord::Shift>;

fn draw<'s, X, Y>(
    chart: &Chart<'_>,
    root: &Area<'s>,
    x: X,
    y: Y,
    legend: bool,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    if legend {
        root.fill(&WHITE)?;
    }
    let text = ("sans-serif", 17).into_font().color(&INK);
    let mut context =
        ChartBuilder::on(root).margin(10).x_label_area_size(44).y_label_area_size(64).build_cartesian_2d(x, y)?;
    context
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .x_desc(chart.x.label)
        .y_desc(chart.y.label)
        .x_labels(7)
        .y_labels(7)
        .x_label_formatter(&|value| label(*value, &chart.x))
        .y_label_formatter(&|value| label(*value, &chart.y))
        .draw()?;
    let inside = |(x, y): &(f64, f64)| {
        let (across, up) = (&chart.x.range, &chart.y.range);
        *x >= across.start && *x <= across.end && *y >= up.start && *y <= up.end
    };
    for (series, colour) in chart.series.iter().zip(COLOURS.into_iter().cycle()) {
        let points: Vec<_> = series.points.iter().copied().filter(inside).collect();
        let clamped = |y: f64| y.clamp(chart.y.range.start, chart.y.range.end);
        if series.mark == Mark::Dots {
            let whisker = |&(x, low, high): &(f64, f64, f64)| {
                PathElement::new(vec![(x, clamped(low)), (x, clamped(high))], colour)
            };
            context.draw_series(series.band.iter().map(whisker))?;
            context.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
        } else if !series.band.is_empty() {
            let upper = series.band.iter().map(|&(x, _, high)| (x, clamped(high)));
            let lower = series.band.iter().rev().map(|&(x, low, _)| (x, clamped(low)));
            let polygon = Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour.mix(0.2));
            context.draw_series(std::iter::once(polygon))?;
        }
        if series.mark == Mark::Area {
            context.draw_series(AreaSeries::new(points.iter().copied(), chart.y.range.start, colour.mix(0.25)))?;
        }
        context
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(series.name.as_str())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    if legend {
        context
            .configure_series_labels()
            .background_style(WHITE)
            .border_style(GRID)
            .label_font(text)
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
    }
    Ok(())
}

/// A power of ten as such where the axis is logarithmic, other values with as few digits as tell them apart.
fn label(value: f64, axis: &Axis<'_>) -> String {
    if axis.logarithmic && !(1e-3..1e6).contains(&value) {
        return format!("1e{:.0}", value.log10());
    }
    let digits = if axis.logarithmic { 3 } else { 2 };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
