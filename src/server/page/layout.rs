use maud::{DOCTYPE, Markup, html};

/// The frame around every page. `here` is the page's own name, for the title.
pub(super) fn page(here: &str, fleet: bool, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (here) " · comove" }
                link rel="stylesheet" href="/page/style.css";
                script src="/page/script.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    nav aria-label="Pages" {
                        a.brand href="/" aria-current=[fleet.then_some("page")] { "comove" }
                        a href="/metrics" { "metrics" }
                        a href="/api/v1/status" { "API" }
                    }
                    p.refresh hidden {
                        span role="status" id="refreshed" {}
                        button type="button" id="pause" aria-pressed="false" { "Pause" }
                    }
                }
                main id="main" tabindex="-1" { (content) }
            }
        }
    }
}

pub(super) fn not_found(what: &str) -> Markup {
    page(
        "Not found",
        false,
        &html! {
            h1 { "Not found" }
            p { (what) " " a href="/" { "All streams" } }
        },
    )
}

/// How long ago, as people say it; the exact time is in the element for machines.
pub(super) fn ago(now_unix_s: u64, at_unix_ns: u64) -> Markup {
    let at_s = at_unix_ns / 1_000_000_000;
    let exact = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at_s);
    let text = match now_unix_s.saturating_sub(at_s) {
        0..=1 => "just now".to_owned(),
        s @ 2..=119 => format!("{s} s ago"),
        s @ 120..=7199 => format!("{} min ago", s / 60),
        s => format!("{} h ago", s / 3600),
    };
    html! { time datetime=(humantime::format_rfc3339_seconds(exact)) { (text) } }
}

/// A clip that plays; people who want no motion see its first picture.
pub(super) fn strip(id: u64, what: &str) -> Markup {
    html! {
        div.strip { img src=(format!("/page/samples/{id}/strip.png")) alt=(what) loading="lazy"; }
    }
}

/// A state as a word with a mark, so that its colour is not all that tells it.
pub(super) fn state(name: &str) -> Markup {
    let (kind, mark) = match name {
        "running" => ("good", "●"),
        "ended" | "disabled" => ("idle", "■"),
        "starting" | "waiting_for_key_frame" => ("wait", "◐"),
        _ => ("bad", "▲"),
    };
    html! { span class=(format!("state {kind}")) { span aria-hidden="true" { (mark) } " " (name.replace('_', " ")) } }
}
