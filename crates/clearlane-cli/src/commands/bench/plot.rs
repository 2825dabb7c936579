//! Latency over gallery size, as a picture.

use std::fmt::Write;

use clearlane_simulate::search::{SearchReport, SearchRow};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const MARGIN: f64 = 64.0;
/// Colours that are told apart by most eyes (Okabe and Ito 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// The median latencies of a report over gallery size, both axes logarithmic, a line for each mode; whiskers reach from
/// the median to the 99th percentile. An SVG document.
pub(super) fn svg(report: &SearchReport) -> String {
    let x = Axis::over(report.rows.iter().map(|row| row.size as f64));
    let y = Axis::over(report.rows.iter().flat_map(|row| [row.p50, row.p99]));
    let across = |row: &SearchRow| MARGIN + x.place(row.size as f64) * (WIDTH - 2.0 * MARGIN);
    let down = |milliseconds: f64| HEIGHT - MARGIN - y.place(milliseconds) * (HEIGHT - 2.0 * MARGIN);
    let mut lines = String::new();
    let mut line = |text: String| {
        lines.push_str(&text);
        lines.push('\n');
    };
    line(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
    ));
    line(format!(r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#));
    for decade in x.decades() {
        let at = MARGIN + x.place(decade) * (WIDTH - 2.0 * MARGIN);
        line(format!(r##"<path d="M{at:.1} {MARGIN}V{}" stroke="#ddd"/>"##, HEIGHT - MARGIN));
        line(format!(r#"<text x="{at:.1}" y="{}" text-anchor="middle">{decade}</text>"#, HEIGHT - MARGIN + 18.0));
    }
    for decade in y.decades() {
        let at = down(decade);
        line(format!(r##"<path d="M{MARGIN} {at:.1}H{}" stroke="#ddd"/>"##, WIDTH - MARGIN));
        line(format!(r#"<text x="{}" y="{:.1}" text-anchor="end">{decade} ms</text>"#, MARGIN - 6.0, at + 4.0));
    }
    line(format!(
        r#"<text x="{}" y="{}" text-anchor="middle">templates in the gallery</text>"#,
        WIDTH / 2.0,
        HEIGHT - 16.0
    ));
    let mut modes: Vec<_> = report.rows.iter().map(|row| row.mode).collect();
    modes.dedup();
    modes.sort_unstable_by_key(|mode| *mode as u8);
    modes.dedup();
    for (number, mode) in modes.into_iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut path = String::new();
        for row in report.rows.iter().filter(|row| row.mode == mode) {
            let (at, middle, top) = (across(row), down(row.p50), down(row.p99));
            let _ = write!(path, "{}{at:.1} {middle:.1}", if path.is_empty() { 'M' } else { 'L' });
            line(format!(r#"<path d="M{at:.1} {middle:.1}V{top:.1}" stroke="{colour}"/>"#));
            line(format!(r#"<circle cx="{at:.1}" cy="{middle:.1}" r="3.5" fill="{colour}"/>"#));
        }
        line(format!(r#"<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"/>"#));
        let name = format!("{mode:?}").to_lowercase();
        line(format!(
            r#"<text x="{}" y="{}" fill="{colour}">{name}</text>"#,
            MARGIN + 8.0,
            MARGIN + 16.0 * (number + 1) as f64
        ));
    }
    lines.push_str("</svg>\n");
    lines
}

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::MIN_POSITIVE), |(low, high), v| (low.min(v), high.max(v)));
        let low = if low.is_finite() && low > 0.0 { low.log10().floor() as i32 } else { 0 };
        Self { low, high: (high.log10().ceil() as i32).max(low + 1) }
    }

    /// From 0 at the low end to 1 at the high end.
    fn place(&self, value: f64) -> f64 {
        (value.max(f64::MIN_POSITIVE).log10() - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}
