use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api::{ErrorView, Shared, ask, refusal};
use super::refusals::ReadRefusals;
use super::{CheckpointView, ReplayView, StageView, StatusView, StreamView, TrainStateView};

/// `GET /healthz`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct HealthView {
    /// Whether every stage gives signs of life.
    pub alive: bool,
    /// Which do not, and for how long.
    pub reasons: Vec<String>,
    /// Each stage.
    pub stages: Vec<StageView>,
}

/// `GET /readyz`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct ReadyView {
    /// Whether the program does its work.
    pub ready: bool,
    /// What is missing.
    pub reasons: Vec<String>,
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "read", responses(
    (status = 200, description = "text exposition format", body = String, content_type = "text/plain"),
    ReadRefusals,
))]
pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Response> {
    const TEXT_FORMAT: [(HeaderName, &str); 1] =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let registry = shared.registry.clone();
    let page = ask(&shared, move |_| registry.render()).await?;
    Ok((TEXT_FORMAT, page).into_response())
}

/// Alive? 503 names each stage that hangs.
#[utoipa::path(get, path = "/healthz", tag = "read", responses(
    (status = 200, description = "alive", body = HealthView),
    (status = 503, description = "something hangs", body = HealthView),
))]
pub(super) async fn healthz(State(shared): State<Shared>) -> Result<Response, Response> {
    let pulses = ask(&shared, |daemon| daemon.pulses()).await?;
    let reasons: Vec<_> = pulses.iter().filter_map(|pulse| pulse.complaint()).collect();
    let stages: Vec<StageView> = pulses.into_iter().map(StageView::from).collect();
    let alive = reasons.is_empty();
    let view = HealthView {
        alive,
        reasons,
        stages,
    };
    Ok((ok_if(alive), Json(view)).into_response())
}

/// At work? 503 says what is missing.
#[utoipa::path(get, path = "/readyz", tag = "read", responses(
    (status = 200, description = "at work", body = ReadyView),
    (status = 503, description = "not yet, or no more", body = ReadyView),
))]
pub(super) async fn readyz(State(shared): State<Shared>) -> Result<Response, Response> {
    let reasons = ask(&shared, |daemon| {
        let mut reasons = daemon.not_ready();
        reasons.extend(daemon.pulses().iter().filter_map(|pulse| pulse.complaint()));
        reasons
    })
    .await?;
    let ready = reasons.is_empty();
    Ok((ok_if(ready), Json(ReadyView { ready, reasons })).into_response())
}

fn ok_if(good: bool) -> StatusCode {
    match good {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The program as a whole.
#[utoipa::path(get, path = "/api/v1/status", tag = "read", responses(
    (status = 200, description = "the program", body = StatusView),
    ReadRefusals,
))]
pub(super) async fn status(State(shared): State<Shared>) -> Result<Response, Response> {
    Ok(Json(ask(&shared, |daemon| daemon.status()).await?).into_response())
}

/// Every stream and its account.
#[utoipa::path(get, path = "/api/v1/streams", tag = "read", responses(
    (status = 200, description = "in the config's order", body = Vec<StreamView>),
    ReadRefusals,
))]
pub(super) async fn streams(State(shared): State<Shared>) -> Result<Response, Response> {
    Ok(Json(ask(&shared, |daemon| daemon.streams()).await?).into_response())
}

/// One stream and its account.
#[utoipa::path(get, path = "/api/v1/streams/{name}", tag = "read", params(("name" = String, Path, description = "its name")),
    responses(
    (status = 200, description = "the stream", body = StreamView),
    (status = 400, description = "no text", body = ErrorView),
    (status = 404, description = "no such stream", body = ErrorView),
    ReadRefusals,
))]
pub(super) async fn stream(
    State(shared): State<Shared>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Response> {
    let name = name_of(name).await?;
    let wanted = name.clone();
    let found = ask(&shared, move |daemon| {
        daemon.streams().into_iter().find(|stream| stream.name == wanted)
    });
    match found.await? {
        Some(stream) => Ok(Json(stream).into_response()),
        None => Err(refusal(
            StatusCode::NOT_FOUND,
            format!("there is no stream {name:?}"),
        )),
    }
}

pub(super) async fn name_of(name: Result<Path<String>, PathRejection>) -> Result<String, Response> {
    match name {
        Ok(Path(name)) => Ok(name),
        Err(rejection) => Err(refusal(StatusCode::BAD_REQUEST, rejection.body_text())),
    }
}

/// Snapshots, newest first.
#[utoipa::path(get, path = "/api/v1/checkpoints", tag = "read", responses(
    (status = 200, description = "newest first", body = Vec<CheckpointView>),
    (status = 500, description = "the folder cannot be read", body = ErrorView),
    ReadRefusals,
))]
pub(super) async fn checkpoints(State(shared): State<Shared>) -> Result<Response, Response> {
    match ask(&shared, |daemon| daemon.checkpoints()).await? {
        Ok(list) => Ok(Json(list).into_response()),
        Err(reason) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, reason)),
    }
}

/// The replay buffer.
#[utoipa::path(get, path = "/api/v1/replay", tag = "read", responses(
    (status = 200, description = "the replay buffer", body = ReplayView),
    ReadRefusals,
))]
pub(super) async fn replay(State(shared): State<Shared>) -> Result<Response, Response> {
    Ok(Json(ask(&shared, |daemon| daemon.replay()).await?).into_response())
}

/// The learner.
#[utoipa::path(get, path = "/api/v1/train", tag = "read", responses(
    (status = 200, description = "the learner", body = TrainStateView),
    ReadRefusals,
))]
pub(super) async fn train(State(shared): State<Shared>) -> Result<Response, Response> {
    Ok(Json(ask(&shared, |daemon| daemon.train()).await?).into_response())
}
