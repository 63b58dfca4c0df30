use bytesize::ByteSize;
use maud::{Markup, html};

use super::chart::{Line, chart, short};
use super::layout::{self, ago, state, strip};
use super::{HistoryPoint, Neighbourhood, StreamPoint};
use crate::server::{CheckpointView, ProbeView, StatusView, StreamView, TrainView};

/// Checkpoints shown; the API lists all.
const CHECKPOINTS_SHOWN: usize = 8;
/// Lines in the chart of streams: more could not be told apart.
const STREAMS_DRAWN: usize = 6;

/// What the page is made of.
pub(super) struct Facts {
    pub now_unix_s: u64,
    pub status: StatusView,
    pub streams: Vec<StreamView>,
    pub checkpoints: Result<Vec<CheckpointView>, String>,
    pub history: Vec<HistoryPoint>,
    pub neighbours: Option<Neighbourhood>,
}

pub(super) fn page(facts: &Facts) -> Markup {
    let content = html! {
        h1 { "What the learner sees" }
        (at_a_glance(&facts.status))
        section aria-labelledby="streams" {
            h2 id="streams" { "Streams" }
            (streams(facts))
        }
        section aria-labelledby="learning" {
            h2 id="learning" { "Learning" }
            (learning(facts))
        }
        section aria-labelledby="alike" {
            h2 id="alike" { "What looks alike" }
            (alike(facts))
        }
        section aria-labelledby="checkpoints" {
            h2 id="checkpoints" { "Checkpoints" }
            (checkpoints(&facts.checkpoints))
        }
    };
    layout::page("Streams", true, &content)
}

fn at_a_glance(status: &StatusView) -> Markup {
    let uptime = std::time::Duration::from_secs(status.uptime_seconds as u64);
    let dead: Vec<_> = status.stages.iter().filter(|stage| !stage.alive).collect();
    html! {
        p.glance {
            "comove " (status.version) " is " b { (status.state) } ", up for " (humantime::format_duration(uptime)) "."
            @if let Some(due) = &status.checkpoint { " Checkpoints: " (due) "." }
            @if let Some(replay) = &status.replay {
                " Replay holds " b { (replay.samples) } " samples, " (ByteSize(replay.bytes)) " of " (ByteSize(replay.capacity_bytes)) "."
            }
        }
        @if !status.not_ready.is_empty() || !dead.is_empty() {
            ul.problems aria-label="Problems" {
                @for reason in &status.not_ready { li { (reason) } }
                @for stage in dead { li { (stage.stage) " gave no sign of life for " (format!("{:.0}", stage.silent_seconds)) " s" } }
            }
        }
    }
}

fn streams(facts: &Facts) -> Markup {
    if facts.streams.is_empty() {
        return html! { p.empty { "No streams are configured." } };
    }
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="streams" {
            table {
                thead {
                    tr {
                        th scope="col" { "Stream" } th scope="col" { "State" } th.number scope="col" { "Units/s" }
                        th.number scope="col" { "Lost/s" } th.number scope="col" { "Samples/min" } th.number scope="col" { "Restarts" }
                        th scope="col" { "Why" }
                    }
                }
                tbody {
                    @for stream in &facts.streams {
                        @let rates = rates(&facts.history, &stream.name);
                        tr {
                            th scope="row" { a href=(format!("/streams/{}", stream.name)) { (stream.name) } div.source { (stream.source) } }
                            td { (state(&stream.state)) }
                            td.number { (rates.map_or("–".to_owned(), |r| short(r.received))) }
                            td.number { (rates.map_or("–".to_owned(), |r| short(r.dropped))) }
                            td.number { (rates.map_or("–".to_owned(), |r| short(60.0 * r.samples))) }
                            td.number { (stream.restarts) }
                            td.why { (reasons(stream)) }
                        }
                    }
                }
            }
        }
    }
}

/// Why a stream loses what it loses, and what failed last.
pub(super) fn reasons(stream: &StreamView) -> Markup {
    let failing = stream.state != "running" && stream.state != "ended";
    html! {
        @if let Some(error) = &stream.last_error {
            span class=(if failing { "error" } else { "past" }) { @if !failing { "last failure: " } (error) }
        }
        @for (reason, units) in &stream.account.dropped {
            span.loss { (units) " lost: " (reason.replace('_', " ")) }
        }
    }
}

/// A stream's rates a second.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    pub received: f64,
    pub dropped: f64,
    pub samples: f64,
}

/// Over the last minute.
pub(super) fn rates(history: &[HistoryPoint], stream: &str) -> Option<Rates> {
    let newest = history.last()?;
    let before = history
        .iter()
        .rev()
        .skip(1)
        .take_while(|point| newest.at_unix_s - point.at_unix_s.min(newest.at_unix_s) <= 60)
        .last()?;
    between(before, newest, stream)
}

fn between(before: &HistoryPoint, after: &HistoryPoint, stream: &str) -> Option<Rates> {
    let (then, now) = (before.streams.get(stream)?, after.streams.get(stream)?);
    let seconds = after.at_unix_s.checked_sub(before.at_unix_s).filter(|s| *s > 0)? as f64;
    let rate = |of: fn(&StreamPoint) -> u64| of(now).saturating_sub(of(then)) as f64 / seconds;
    Some(Rates {
        received: rate(|point| point.received),
        dropped: rate(|point| point.dropped),
        samples: rate(|point| point.samples),
    })
}

/// A stream's figure over time, from point to point.
pub(super) fn rate_line(history: &[HistoryPoint], stream: &str, name: &str, of: fn(&Rates) -> f64) -> Line {
    let points = history.windows(2).map(|pair| {
        let value = between(&pair[0], &pair[1], stream).map_or(f64::NAN, |rates| of(&rates));
        (pair[1].at_unix_s, value)
    });
    Line {
        name: name.to_owned(),
        points: points.collect(),
    }
}

fn learning(facts: &Facts) -> Markup {
    let Some(train) = &facts.status.train else {
        return html! { p.empty { "No step yet: training begins when replay holds enough samples." } };
    };
    let line = |name: &str, of: &dyn Fn(&super::TrainPoint) -> f64| Line {
        name: name.to_owned(),
        points: facts
            .history
            .iter()
            .map(|point| (point.at_unix_s, point.train.as_ref().map_or(f64::NAN, of)))
            .collect(),
    };
    let streams = facts.streams.iter().take(STREAMS_DRAWN);
    html! {
        (figures(train, facts.status.probe.as_ref()))
        div.charts {
            (chart("Loss", "nats", &[
                line("joint", &|t| t.losses[0]), line("context", &|t| t.losses[1]), line("motion", &|t| t.losses[2]),
            ]))
            (chart("Top-1", "share", &[line("context", &|t| t.top1[0]), line("motion", &|t| t.top1[1])]))
            (chart("Samples trained on", "a second", &[line("samples", &|t| t.samples_per_second)]))
            (chart("Access units received", "a second", &streams.map(|stream| {
                rate_line(&facts.history, &stream.name, &stream.name, |rates| rates.received)
            }).collect::<Vec<_>>()))
        }
    }
}

fn figures(train: &TrainView, probe: Option<&ProbeView>) -> Markup {
    let percent = |share: f64| match share.is_finite() {
        true => format!("{:.1} %", 100.0 * share),
        false => "–".to_owned(),
    };
    html! {
        dl.figures {
            div { dt { "Step" } dd { (train.step) } }
            div { dt { "Loss" } dd { (short(train.loss)) } }
            div { dt { "Context top-1" } dd { (percent(train.context.top1)) small { " chance " (percent(train.context.chance)) } } }
            div { dt { "Motion top-1" } dd { (percent(train.motion.top1)) small { " chance " (percent(train.motion.chance)) } } }
            @if let Some(probe) = probe {
                div {
                    dt { "k-NN probe" }
                    @match &probe.last {
                        Some(last) => dd { (percent(last.accuracy)) small { " chance " (percent(last.chance)) ", step " (last.step) } },
                        None => dd { "–" small { " no figure yet" } },
                    }
                    @if let Some(reason) = &probe.failure { dd { small.error { (reason) } } }
                }
            }
            div { dt { "Effective rank" } dd { (short(train.effective_rank)) } }
            div { dt { "Samples/s" } dd { (short(train.samples_per_second)) } }
            div { dt { "Preset" } dd { (train.preset) small { " on " (train.device) } } }
        }
    }
}

fn alike(facts: &Facts) -> Markup {
    let Some(neighbours) = &facts.neighbours else {
        return html! { p.empty { "Nothing yet: samples can be compared once they were trained on." } };
    };
    let of = &neighbours.of;
    html! {
        p { "The newest sample that was trained on, and what in replay is nearest to it by the features of now (cosine)." }
        ol.strips {
            li.newest {
                (strip(of.id, &format!("The newest sample, of stream {}", of.stream)))
                div { b { "newest" } " " a href=(format!("/streams/{}", of.stream)) { (of.stream) } " " (ago(facts.now_unix_s, of.arrival_unix_ns)) }
            }
            @for (card, cosine) in &neighbours.nearest {
                li {
                    (strip(card.id, &format!("A neighbour, of stream {}, cosine {cosine:.2}", card.stream)))
                    div { b { (format!("{cosine:.2}")) } " " a href=(format!("/streams/{}", card.stream)) { (card.stream) } " " (ago(facts.now_unix_s, card.arrival_unix_ns)) }
                }
            }
        }
    }
}

fn checkpoints(list: &Result<Vec<CheckpointView>, String>) -> Markup {
    let list = match list {
        Ok(list) if list.is_empty() => return html! { p.empty { "None yet." } },
        Ok(list) => list,
        Err(reason) => return html! { p.error { "The folder cannot be read: " (reason) } },
    };
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="checkpoints" {
            table {
                thead { tr { th.number scope="col" { "Step" } th scope="col" { "Written" } th.number scope="col" { "Size" } th scope="col" { "" } } }
                tbody {
                    @for checkpoint in list.iter().take(CHECKPOINTS_SHOWN) {
                        tr {
                            th.number scope="row" { (checkpoint.step) }
                            td { @if let Some(written) = &checkpoint.written_at { time datetime=(written) { (written.replace('T', " ").trim_end_matches('Z')) } } }
                            td.number { @if let Some(bytes) = checkpoint.bytes { (ByteSize(bytes)) } }
                            td { @if checkpoint.latest { "latest" } @if let Some(error) = &checkpoint.error { span.error { (error) } } }
                        }
                    }
                }
            }
        }
        @if list.len() > CHECKPOINTS_SHOWN {
            p { "And " (list.len() - CHECKPOINTS_SHOWN) " older." }
        }
    }
}
