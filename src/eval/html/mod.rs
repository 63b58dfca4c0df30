//! A report → one HTML file that needs nothing else: no script, no font, no address.

mod charts;
mod strips;
mod tables;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::strips::{Gallery, gallery};
use super::EvalError;
use super::report::EvalReport;
use super::score::{Comparison, Protocol};

const STYLE: &str = include_str!("style.css");
/// Files that are named before "and N more".
const NAMED_FILES: usize = 50;

/// Writes the page beside its place and renames it. `paths` are the files of the comparison's videos.
pub fn write_page(
    path: &Path,
    report: &EvalReport,
    comparison: &Comparison<'_>,
    paths: &[&Path],
) -> Result<(), EvalError> {
    let gallery = gallery(report, comparison, paths);
    let text = page(report, &gallery).into_string();
    let partial = path.with_extension("html.part");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(|error| EvalError::Write {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

fn page(report: &EvalReport, gallery: &Gallery) -> Markup {
    let task = task_name(report);
    let title = format!("comove eval {task}: {}", report.dataset.root.display());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#figures" { "Skip to the figures" }
                header {
                    p class="kind" { "comove eval " (task) }
                    h1 { (heading(report)) }
                    p { (report.weights.to_string()) }
                    (facts(report))
                }
                main id="figures" {
                    (figures(report))
                    (gallery_section(gallery, report))
                    (notes(report))
                }
                footer { p { "Made by comove " (env!("CARGO_PKG_VERSION")) ". " (report.schema) "." } }
            }
        }
    }
}

fn task_name(report: &EvalReport) -> &'static str {
    match (&report.retrieval, &report.knn, &report.probe) {
        (Some(_), ..) => "retrieval",
        (_, Some(_), _) => "knn",
        (.., Some(_)) => "probe",
        _ => "finetune",
    }
}

fn heading(report: &EvalReport) -> String {
    let name = report
        .dataset
        .root
        .file_name()
        .unwrap_or(report.dataset.root.as_os_str());
    let label = report
        .dataset
        .annotations
        .as_ref()
        .and_then(|facts| facts.label.as_ref());
    match label {
        Some(label) => format!("{}, by {label}", name.to_string_lossy()),
        None => name.to_string_lossy().into_owned(),
    }
}

fn facts(report: &EvalReport) -> Markup {
    let used = report.dataset.videos_used;
    let videos = match used.whole {
        0 => format!("{} train, {} test", used.train, used.test),
        whole => whole.to_string(),
    };
    let left_out = report.dataset.skipped.len() + report.dataset.missing.len();
    html! {
        dl class="facts" {
            div { dt { "Videos" } dd { (videos) } }
            div { dt { "Left out" } dd { (left_out) } }
            div { dt { "Classes" } dd { (report.dataset.classes.len()) } }
            div { dt { "Clips" } dd { (report.dataset.clips) } }
            div { dt { "Clip" } dd { (report.settings.clip_frames) " pictures, stride " (report.settings.clip_stride) } }
            div { dt { "Feature" } dd { (report.settings.feature_channels) " channels" } }
        }
    }
}

fn figures(report: &EvalReport) -> Markup {
    let classes = &report.dataset.classes;
    html! {
        @if let Some(retrieval) = &report.retrieval {
            section aria-labelledby="recall" {
                h2 id="recall" { "Recall" }
                p {
                    @match retrieval.protocol {
                        Protocol::TrainTest => "Of each test video, is one of its class among the k nearest train videos?",
                        _ => "Of each video, is one of its class among the k nearest others?",
                    }
                    " " (retrieval.queries) " videos are asked about, " (retrieval.gallery) " searched."
                }
                (charts::recall(retrieval))
                (tables::recall(retrieval))
            }
            section aria-labelledby="classes" {
                h2 id="classes" { "Class by class" }
                (tables::recall_by_class(retrieval, classes))
            }
        }
        @if let Some(classification) = report.classification() {
            section aria-labelledby="accuracy" {
                h2 id="accuracy" { "Accuracy" }
                (tables::accuracy(classification))
                @if let Some(probe) = &report.probe { (charts::penalties(probe)) }
                @if let Some(finetune) = &report.finetune { (charts::epochs(finetune)) }
            }
            section aria-labelledby="classes" {
                h2 id="classes" { "Class by class" }
                (tables::accuracy_by_class(classification, classes))
            }
            section aria-labelledby="confusion" {
                h2 id="confusion" { "Confusion" }
                p { "Rows are what the videos are, columns what they were taken for, in videos." }
                (tables::confusion(classification, classes))
            }
        }
    }
}

fn gallery_section(gallery: &Gallery, report: &EvalReport) -> Markup {
    let classes = &report.dataset.classes;
    html! {
        @if !gallery.rows.is_empty() {
            section aria-labelledby="gallery" {
                h2 id="gallery" { "Gallery" }
                p {
                    "Videos asked about, and the nearest of those searched. Each strip shows four pictures from the middle of a video. "
                    "A ✓ stands for the same class, a ✗ for another."
                }
                @for row in &gallery.rows {
                    article class="query" {
                        h3 { (classes[row.query.class]) span class="file" { (row.query.name) } }
                        div class="strips" {
                            (strip(&row.query, classes, None))
                            @for (neighbour, cosine) in &row.neighbours {
                                (strip(neighbour, classes, Some((*cosine, neighbour.class == row.query.class))))
                            }
                        }
                    }
                }
            }
        }
        @if !gallery.failed.is_empty() {
            p class="warn" { (gallery.failed.len()) " strips could not be made: " (gallery.failed.join("; ")) }
        }
    }
}

fn strip(shown: &strips::Shown, classes: &[String], judged: Option<(f32, bool)>) -> Markup {
    let class = &classes[shown.class];
    let kind = match judged {
        None => "asked",
        Some((_, true)) => "right",
        Some((_, false)) => "wrong",
    };
    html! {
        figure class=(kind) {
            @match &shown.image {
                Some(image) => {
                    img src=(image) width="384" height="72" loading="lazy" alt={ "Four pictures of " (shown.name) ", class " (class) };
                },
                None => { div class="no-image" { "no picture" } },
            }
            figcaption {
                @match judged {
                    None => { strong { "asked about" } },
                    Some((cosine, right)) => {
                        span class="mark" { @if right { "✓" } @else { "✗" } }
                        " " (class) " " span class="number" { (format!("{cosine:.3}")) }
                    },
                }
            }
        }
    }
}

fn notes(report: &EvalReport) -> Markup {
    let dataset = &report.dataset;
    let named = |videos: &[super::report::SkippedVideo]| -> Vec<String> {
        videos
            .iter()
            .map(|video| format!("{}: {}", video.video, video.reason))
            .collect()
    };
    let short: Vec<String> = dataset
        .short
        .iter()
        .map(|video| format!("{}: lacks {} frames", video.video, video.missing_frames))
        .collect();
    let lists = [
        ("Listed, but not there", named(&dataset.missing)),
        ("Could not be read", named(&dataset.skipped)),
        ("Shorter than a clip; the last picture is repeated", short),
        (
            "Classes without a train video",
            dataset.classes_without_train.clone(),
        ),
        ("Other files", dataset.other_files.clone()),
    ];
    html! {
        section aria-labelledby="left-out" {
            h2 id="left-out" { "What was left out" }
            @if lists.iter().all(|(_, names)| names.is_empty()) {
                p { "Nothing: every video was read whole." }
            }
            @for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
                details {
                    summary { (what) ": " (names.len()) }
                    ul {
                        @for name in names.iter().take(NAMED_FILES) { li { (name) } }
                        @if names.len() > NAMED_FILES { li { "and " (names.len() - NAMED_FILES) " more" } }
                    }
                }
            }
            @if let Some(facts) = &dataset.annotations {
                p {
                    (facts.format) ": " (facts.listed) " videos listed for use, " (facts.left_out) " lines left out, "
                    (facts.unlisted) " video files not listed."
                }
            }
            @if let Some(groups) = dataset.groups.filter(|_| dataset.videos_used.whole > 0) {
                p { (groups) " groups; videos of one group are never set against each other." }
            }
        }
    }
}

#[cfg(test)]
mod tests;
