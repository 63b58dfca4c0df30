use maud::{Markup, html};

/// Width and height of a chart's drawing area, in its own units.
const SIZE: (f64, f64) = (600.0, 160.0);
/// Room for the numbers at the left, and for those below.
const MARGIN: (f64, f64) = (52.0, 22.0);

/// A line of a chart.
pub(super) struct Line {
    pub name: String,
    /// Seconds since the Unix epoch and value; what is not finite makes a gap.
    pub points: Vec<(u64, f64)>,
}

/// Lines over time with a legend, as SVG. Colours and dashes come from the style sheet, so that lines can be told apart without colour.
pub(super) fn chart(title: &str, unit: &str, lines: &[Line]) -> Markup {
    let known = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .filter(|(_, v)| v.is_finite())
    };
    let (Some(first), Some(last)) = (known().map(|(at, _)| *at).min(), known().map(|(at, _)| *at).max())
    else {
        return html! {
            figure.chart {
                figcaption { (title) }
                p.empty { "No figures yet." }
            }
        };
    };
    let low = known().map(|(_, v)| *v).fold(0.0, f64::min);
    let high = nice_top(known().map(|(_, v)| *v).fold(low, f64::max), low);
    let span = (last - first).max(1) as f64;
    let x = |at: u64| MARGIN.0 + (at - first) as f64 / span * SIZE.0;
    let y = |value: f64| SIZE.1 - (value - low) / (high - low) * SIZE.1 + 6.0;
    let newest = lines.iter().filter_map(|line| {
        let (_, value) = line.points.iter().rev().find(|(_, v)| v.is_finite())?;
        Some(format!("{} {}", line.name, short(*value)))
    });
    let newest = newest.collect::<Vec<_>>().join(", ");
    let time = match span {
        s if s < 120.0 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    };
    html! {
        figure.chart {
            figcaption { (title) span.unit { " " (unit) } }
            svg viewBox=(format!("0 0 {} {}", MARGIN.0 + SIZE.0 + 8.0, SIZE.1 + MARGIN.1 + 6.0)) role="img"
                aria-label=(format!("{title}, the last {time}. Now: {newest}")) {
                @for step in 0..=2 {
                    @let value = low + (high - low) * f64::from(step) / 2.0;
                    line.grid x1=(MARGIN.0) x2=(MARGIN.0 + SIZE.0) y1=(y(value)) y2=(y(value)) {}
                    text.axis x=(MARGIN.0 - 6.0) y=(y(value) + 4.0) text-anchor="end" { (short(value)) }
                }
                text.axis x=(MARGIN.0) y=(SIZE.1 + MARGIN.1) { "−" (time) }
                text.axis x=(MARGIN.0 + SIZE.0) y=(SIZE.1 + MARGIN.1) text-anchor="end" { "now" }
                @for (place, line) in lines.iter().enumerate() {
                    @for run in runs(&line.points) {
                        polyline class=(format!("line l{}", place % 6))
                            points=(run.iter().map(|(at, v)| format!("{:.1},{:.1}", x(*at), y(*v))).collect::<Vec<_>>().join(" ")) {}
                    }
                }
            }
            ul.legend {
                @for (place, line) in lines.iter().enumerate() {
                    li class=(format!("l{}", place % 6)) {
                        svg.key viewBox="0 0 24 8" aria-hidden="true" { line class=(format!("line l{}", place % 6)) x1="0" x2="24" y1="4" y2="4" {} }
                        (line.name)
                        @if let Some((_, value)) = line.points.iter().rev().find(|(_, v)| v.is_finite()) {
                            " " b { (short(*value)) }
                        }
                    }
                }
            }
        }
    }
}

/// Stretches without a gap.
fn runs(points: &[(u64, f64)]) -> Vec<Vec<(u64, f64)>> {
    let split = points.split(|(_, value)| !value.is_finite());
    split.filter(|run| !run.is_empty()).map(<[_]>::to_vec).collect()
}

/// The next round number above.
fn nice_top(high: f64, low: f64) -> f64 {
    if high <= low {
        return low + 1.0;
    }
    let power = 10f64.powf(high.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= high)
        .unwrap_or(high)
}

/// A number in three digits or so.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() => "–".to_owned(),
        v if v >= 1e6 => format!("{:.1} M", value / 1e6),
        v if v >= 1e4 => format!("{:.0} k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_is_known() {
        let line = Line {
            name: "loss".to_owned(),
            points: vec![(0, 1.0), (10, f64::NAN), (20, 3.0), (30, 2.0)],
        };
        let svg = chart("Loss", "nats", &[line]).into_string();
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert!(svg.contains("loss 2.00"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn without_figures_it_says_so() {
        let svg = chart("Loss", "", &[]).into_string();
        assert!(svg.contains("No figures yet"), "{svg}");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.50"),
            (3.04, "3.04"),
            (12.34, "12.3"),
            (512.4, "512"),
            (12_345.0, "12 k"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(
            (nice_top(3.1, 0.0), nice_top(0.0, 0.0), nice_top(20.0, 0.0)),
            (4.0, 1.0, 20.0)
        );
    }
}
