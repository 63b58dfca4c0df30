//! Curves as inline SVG. Every curve's numbers also stand in a table or in its description.

use maud::{Markup, html};

use super::super::finetune::FinetuneFigures;
use super::super::probe::ProbeFigures;
use super::super::score::RetrievalFigures;
use super::percent;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

struct Curve<'a> {
    name: &'a str,
    /// Class of the style sheet: colour and dashes.
    style: &'a str,
    values: Vec<f64>,
}

/// Curves over evenly spaced places. Every place has a label, of which some are written.
fn chart(
    title: &str,
    description: &str,
    places: &[String],
    curves: &[Curve<'_>],
    top: f64,
    unit: fn(f64) -> String,
) -> Markup {
    let count = places.len().max(2) as f64 - 1.0;
    let x = |place: usize| LEFT + (WIDTH - LEFT - RIGHT) * place as f64 / count;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
    let every = places.len().div_ceil(8).max(1);
    // Names of curves that end close to each other are moved apart.
    let mut ends: Vec<(f64, usize)> = curves
        .iter()
        .enumerate()
        .filter_map(|(n, curve)| curve.values.last().map(|&value| (y(value), n)))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    for n in 1..ends.len() {
        ends[n].0 = ends[n].0.max(ends[n - 1].0 + 15.0);
    }
    html! {
        figure class="chart" {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (title) ". " (description) } {
                @for line in 0..=4 {
                    @let value = top * f64::from(line) / 4.0;
                    line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(value)) y2=(y(value)) {}
                    text x=(LEFT - 8.0) y=(y(value) + 4.0) text-anchor="end" { (unit(value)) }
                }
                @for (place, label) in places.iter().enumerate().filter(|(place, _)| place % every == 0) {
                    text x=(x(place)) y=(HEIGHT - BOTTOM + 20.0) text-anchor="middle" { (label) }
                }
                @for curve in curves {
                    @let points: Vec<String> = curve.values.iter().enumerate()
                        .map(|(place, &value)| format!("{:.1},{:.1}", x(place), y(value))).collect();
                    polyline class={ "curve " (curve.style) } points=(points.join(" ")) {}
                    @if curve.values.len() <= 12 {
                        @for (place, &value) in curve.values.iter().enumerate() {
                            circle class={ "dot " (curve.style) } cx=(format!("{:.1}", x(place))) cy=(format!("{:.1}", y(value))) r="3.5" {}
                        }
                    }
                }
                @for (height, n) in &ends {
                    text class={ "name " (curves[*n].style) } x=(WIDTH - RIGHT + 8.0) y=(height + 4.0) { (curves[*n].name) }
                }
            }
            figcaption { (title) }
        }
    }
}

fn whole_percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}

/// Recall over the number of neighbours, and what chance reaches.
pub fn recall(figures: &RetrievalFigures) -> Markup {
    let places: Vec<String> = figures
        .recall_at
        .iter()
        .map(|at| format!("k = {}", at.k))
        .collect();
    let curves = [
        Curve {
            name: "recall",
            style: "first",
            values: figures.recall_at.iter().map(|at| at.recall).collect(),
        },
        Curve {
            name: "by chance",
            style: "chance",
            values: figures.recall_at.iter().map(|at| at.chance).collect(),
        },
    ];
    let description = "The numbers stand in the table that follows.";
    chart(
        "Recall among the k nearest",
        description,
        &places,
        &curves,
        1.0,
        whole_percent,
    )
}

/// What each penalty reached in the choice.
pub fn penalties(figures: &ProbeFigures) -> Markup {
    let places: Vec<String> = figures
        .choice
        .iter()
        .map(|choice| choice.penalty.to_string())
        .collect();
    let curves = [Curve {
        name: "accuracy",
        style: "first",
        values: figures.choice.iter().map(|choice| choice.accuracy).collect(),
    }];
    let told: Vec<String> = figures
        .choice
        .iter()
        .map(|choice| format!("{}: {}", choice.penalty, percent(choice.accuracy)))
        .collect();
    let title = "Accuracy on held-out train videos by the penalty on weights, which is chosen there";
    chart(title, &told.join(", "), &places, &curves, 1.0, whole_percent)
}

/// How training went.
pub fn epochs(figures: &FinetuneFigures) -> Markup {
    let places: Vec<String> = (1..=figures.epochs.len())
        .map(|epoch| epoch.to_string())
        .collect();
    let loss: Vec<f64> = figures.epochs.iter().map(|epoch| epoch.loss).collect();
    let accuracy: Vec<f64> = figures.epochs.iter().map(|epoch| epoch.accuracy).collect();
    let top = loss.iter().copied().fold(1e-3, f64::max);
    let told = |values: &[f64], unit: fn(f64) -> String| {
        let ends = values.first().zip(values.last());
        ends.map(|(first, last)| format!("{} in the first, {} in the last epoch", unit(*first), unit(*last)))
            .unwrap_or_default()
    };
    let nats: fn(f64) -> String = |value| format!("{value:.2}");
    let loss_told = told(&loss, nats);
    let accuracy_told = told(&accuracy, percent);
    let curve = |name, values| Curve {
        name,
        style: "first",
        values,
    };
    html! {
        (chart("Loss on train clips by epoch, nats", &loss_told, &places, &[curve("loss", loss)], top, nats))
        (chart("Accuracy on train clips by epoch", &accuracy_told, &places, &[curve("accuracy", accuracy)], 1.0, whole_percent))
    }
}
