use bytesize::ByteSize;
use maud::{Markup, html};

use super::chart::{chart, short};
use super::fleet::{rate_line, rates, reasons};
use super::layout::{self, ago, state, strip};
use super::{HistoryPoint, KeyFrame, SampleCard};
use crate::server::StreamView;

/// What the page is made of.
pub(super) struct Facts {
    pub now_unix_s: u64,
    pub stream: StreamView,
    pub key_frame: Option<KeyFrame>,
    pub samples: Vec<SampleCard>,
    pub history: Vec<HistoryPoint>,
}

pub(super) fn page(facts: &Facts) -> Markup {
    let stream = &facts.stream;
    let content = html! {
        h1 { (stream.name) " " (state(&stream.state)) }
        p.source {
            (stream.source)
            @if let Some(place) = &stream.place { br; "now " (place) }
            @if let (Some(width), Some(height)) = (stream.width, stream.height) { br; (width) "×" (height) }
        }
        @if let Some(reason) = &stream.reason { p { (reason) } }
        p.why { (reasons(stream)) }
        section aria-labelledby="key-frame" {
            h2 id="key-frame" { "Newest key frame, and the motion after it" }
            (key_frame(facts))
        }
        section aria-labelledby="samples" {
            h2 id="samples" { "Samples that it gave" }
            (samples(facts))
        }
        section aria-labelledby="units" {
            h2 id="units" { "Access units" }
            (account(facts))
        }
    };
    layout::page(&stream.name, false, &content)
}

fn key_frame(facts: &Facts) -> Markup {
    let Some(frame) = &facts.key_frame else {
        return html! { p.empty { "None yet." } };
    };
    let name = &facts.stream.name;
    html! {
        @match &frame.picture {
            Ok(_) => {
                figure.picture {
                    img src=(format!("/page/streams/{name}/key-frame.png?unit={}", frame.index))
                        alt=(format!("Key frame of {name}{}", if frame.has_motion { ", with arrows that show where its content moves" } else { "" }));
                    figcaption {
                        (ago(facts.now_unix_s, frame.arrival_unix_ns)) ", access unit " (frame.index) ". "
                        @if frame.has_motion {
                            "An arrow shows where a macroblock's content moves; its colour is its direction, as on the wheel, whose arrows say how long a motion is drawn. \
                             Pink: coded without motion."
                        } @else {
                            "No motion was read after it."
                        }
                    }
                }
            }
            Err(reason) => p.error { (reason) }
        }
    }
}

fn samples(facts: &Facts) -> Markup {
    if facts.samples.is_empty() {
        return html! { p.empty { "Replay holds none of it." } };
    }
    html! {
        p { "The newest in replay: the clip, and below it the motion that is to be predicted from it (colour: direction, brightness: speed, grey: not known)." }
        ol.strips {
            @for sample in &facts.samples {
                li {
                    (strip(sample.id, &format!("Clip of sample {}", sample.id)))
                    div.strip.motion { img src=(format!("/page/samples/{}/motion.png", sample.id)) alt=(format!("Motion after the clip of sample {}", sample.id)) loading="lazy"; }
                    div { "sample " (sample.id) " " (ago(facts.now_unix_s, sample.arrival_unix_ns)) }
                }
            }
        }
    }
}

fn account(facts: &Facts) -> Markup {
    let stream = &facts.stream;
    let account = &stream.account;
    let skipped: u64 = account.skipped.values().sum();
    let dropped: u64 = account.dropped.values().sum();
    let now = rates(&facts.history, &stream.name);
    html! {
        dl.figures {
            div { dt { "Received" } dd { (account.received) small { " " (ByteSize(account.received_bytes)) } } }
            div { dt { "Used" } dd { (account.used) } }
            div { dt { "Skipped" } dd { (skipped) } }
            div { dt { "Lost" } dd { (dropped) } }
            div { dt { "Held" } dd { (account.buffered) } }
            div { dt { "Units/s" } dd { (now.map_or("–".to_owned(), |rates| short(rates.received))) } }
            div { dt { "Restarts" } dd { (stream.restarts) } }
        }
        @if !account.skipped.is_empty() || !account.dropped.is_empty() {
            table {
                caption { "By reason" }
                thead { tr { th scope="col" { "Reason" } th scope="col" { "" } th.number scope="col" { "Units" } } }
                tbody {
                    @for (kind, reasons) in [("lost", &account.dropped), ("skipped", &account.skipped)] {
                        @for (reason, units) in reasons {
                            tr { th scope="row" { (reason.replace('_', " ")) } td { (kind) } td.number { (units) } }
                        }
                    }
                }
            }
        }
        div.charts {
            (chart("Access units", "a second", &[
                rate_line(&facts.history, &stream.name, "received", |rates| rates.received),
                rate_line(&facts.history, &stream.name, "lost", |rates| rates.dropped),
            ]))
            (chart("Samples", "a minute", &[rate_line(&facts.history, &stream.name, "samples", |rates| 60.0 * rates.samples)]))
        }
    }
}
