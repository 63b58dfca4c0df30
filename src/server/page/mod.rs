//! The page at `/`: what the learner sees, for people with a browser.
//!
//! HTML is made here from the same answers that the API gives, and from a [`Sight`]; a few lines of script fetch the page again and swap what
//! has changed, so that without script it is still right, only still. Style, script and pictures come from here alone, and a
//! content security policy says so to the browser. Everything that comes from outside (names, reasons, sources) is escaped by
//! maud. Nothing is made while nobody looks.

mod chart;
mod fleet;
mod layout;
mod motion_strip;
mod sight;
mod stream;
mod strip;
#[cfg(test)]
mod tests;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::Markup;

pub use sight::{HistoryPoint, KeyFrame, Neighbourhood, SampleCard, Sight, StreamPoint, TrainPoint};

use super::api::{Shared, ask};

/// Nothing from elsewhere, nothing inline, no frames around it.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a person's browser sent this, which can ask for a password.
pub(in crate::server) fn is_for_people(headers: &axum::http::HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT);
    accepted.is_some_and(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/html")))
}

/// Every route of the page; they only read.
pub(in crate::server) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(fleet_page))
        .route("/streams/{name}", get(stream_page))
        .route("/page/style.css", get(style))
        .route("/page/script.js", get(script))
        .route("/page/streams/{name}/key-frame.png", get(key_frame))
        .route("/page/samples/{id}/strip.png", get(sample_strip))
        .route("/page/samples/{id}/motion.png", get(sample_motion))
}

fn html(status: StatusCode, page: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, page.into_string()).into_response()
}

/// A picture whose address names its content: it never changes.
fn png(bytes: Vec<u8>) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, "private, max-age=3600, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, bytes).into_response()
}

fn not_found(what: &str) -> Response {
    html(StatusCode::NOT_FOUND, layout::not_found(what))
}

fn unix_now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

async fn fleet_page(State(shared): State<Shared>) -> Result<Response, Response> {
    let page = ask(&shared, |daemon| {
        let facts = fleet::Facts {
            now_unix_s: unix_now_s(),
            status: daemon.status(),
            streams: daemon.streams(),
            checkpoints: daemon.checkpoints(),
            history: daemon.history(),
            neighbours: daemon.neighbours(),
        };
        fleet::page(&facts)
    })
    .await?;
    Ok(html(StatusCode::OK, page))
}

async fn stream_page(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Response, Response> {
    let page = ask(&shared, move |daemon| {
        let stream = daemon.streams().into_iter().find(|stream| stream.name == name)?;
        let facts = stream::Facts {
            now_unix_s: unix_now_s(),
            key_frame: daemon.key_frame(&name),
            samples: daemon.samples_of(&name),
            history: daemon.history(),
            stream,
        };
        Some(stream::page(&facts))
    })
    .await?;
    Ok(match page {
        Some(page) => html(StatusCode::OK, page),
        None => not_found("There is no stream of this name."),
    })
}

async fn style(State(shared): State<Shared>) -> Result<Response, Response> {
    let (pictures, maps) = ask(&shared, |daemon| daemon.strip_lengths()).await?;
    let text = include_str!("style.css")
        .replace("/*PICTURES*/1", &pictures.max(1).to_string())
        .replace("/*MAPS*/1", &maps.max(1).to_string());
    Ok(([(header::CONTENT_TYPE, "text/css; charset=utf-8")], text).into_response())
}

async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("script.js")).into_response()
}

async fn key_frame(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Response, Response> {
    let picture = ask(&shared, move |daemon| daemon.key_frame(&name)).await?;
    Ok(match picture.and_then(|frame| frame.picture.ok()) {
        Some(bytes) => png(bytes.to_vec()),
        None => not_found("There is no key frame to show."),
    })
}

async fn sample_strip(State(shared): State<Shared>, Path(id): Path<u64>) -> Result<Response, Response> {
    let strip = ask(&shared, move |daemon| {
        daemon.sample(id).and_then(|sample| strip::clip(&sample))
    })
    .await?;
    Ok(strip.map_or_else(|| not_found("Replay does not hold this sample any more."), png))
}

async fn sample_motion(State(shared): State<Shared>, Path(id): Path<u64>) -> Result<Response, Response> {
    let strip = ask(&shared, move |daemon| {
        daemon.sample(id).and_then(|sample| motion_strip::target(&sample))
    })
    .await?;
    Ok(strip.map_or_else(|| not_found("Replay does not hold this sample any more."), png))
}
