use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::json;

use super::guard::{ApiToken, may_change};
use super::listener::Peer;
use super::{Daemon, SnapshotError, StageView, page};
use crate::telemetry::Registry;

/// The largest request body. No call takes one of any size yet.
const BODY_LIMIT_BYTES: usize = 16 * 1024;
/// An answer that only reads is ready by then, or something hangs.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// A checkpoint is in place by then, or the caller asks again later.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

const INDEX: &str = "comove

GET  /                      what the learner sees, for people
GET  /metrics               figures for Prometheus
GET  /healthz               alive?
GET  /readyz                at work? if not, why
GET  /api/v1/status         the program as a whole
GET  /api/v1/streams        every stream and its account
GET  /api/v1/checkpoints    snapshots, newest first
POST /api/v1/checkpoints    write one now
";

#[derive(Clone)]
pub(super) struct Shared {
    pub daemon: Arc<dyn Daemon>,
    pub registry: Registry,
    pub token: Option<ApiToken>,
}

pub(super) fn router(shared: Shared) -> Router {
    let reading = Router::new()
        .merge(page::routes())
        .route("/api", get(|| async { INDEX }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/streams", get(streams))
        .route("/api/v1/checkpoints", get(checkpoints))
        .layer(middleware::from_fn(answer_in_time));
    Router::new()
        .merge(reading)
        .merge(Router::new().route("/api/v1/checkpoints", post(write_checkpoint)))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such page; GET /api lists them") })
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(shared)
}

fn refusal(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(json!({ "error": message.into() }))).into_response()
}

async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(READ_PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no answer within {} s", READ_PATIENCE.as_secs()),
        ),
    }
}

/// Asks the daemon on a blocking thread; a panic there is this request's failure alone.
pub(super) async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&dyn Daemon) -> T + Send + 'static,
) -> Result<T, Response> {
    let daemon = Arc::clone(&shared.daemon);
    tokio::task::spawn_blocking(move || question(&*daemon))
        .await
        .map_err(|error| {
            tracing::error!(%error, "the daemon could not answer the API");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the answer failed; the log says why",
            )
        })
}

async fn metrics(State(shared): State<Shared>) -> Result<Response, Response> {
    const TEXT_FORMAT: [(HeaderName, &str); 1] =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let registry = shared.registry.clone();
    let page = ask(&shared, move |_| registry.render()).await?;
    Ok((TEXT_FORMAT, page).into_response())
}

async fn healthz(State(shared): State<Shared>) -> Result<Response, Response> {
    let pulses = ask(&shared, |daemon| daemon.pulses()).await?;
    let stages: Vec<StageView> = pulses.into_iter().map(StageView::from).collect();
    let alive = stages.iter().all(|stage| stage.alive);
    Ok((ok_if(alive), Json(json!({ "alive": alive, "stages": stages }))).into_response())
}

async fn readyz(State(shared): State<Shared>) -> Result<Response, Response> {
    let reasons = ask(&shared, |daemon| {
        let mut reasons = daemon.not_ready();
        let dead = daemon.pulses().into_iter().filter(|pulse| !pulse.is_alive());
        reasons.extend(dead.map(|pulse| {
            let silence_s = pulse.silence.as_secs();
            format!("{} gave no sign of life for {silence_s} s", pulse.stage)
        }));
        reasons
    })
    .await?;
    let ready = reasons.is_empty();
    Ok((ok_if(ready), Json(json!({ "ready": ready, "reasons": reasons }))).into_response())
}

fn ok_if(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn status(State(shared): State<Shared>) -> Result<Response, Response> {
    Ok(Json(ask(&shared, |daemon| daemon.status()).await?).into_response())
}

async fn streams(State(shared): State<Shared>) -> Result<Response, Response> {
    Ok(Json(ask(&shared, |daemon| daemon.streams()).await?).into_response())
}

async fn checkpoints(State(shared): State<Shared>) -> Result<Response, Response> {
    match ask(&shared, |daemon| daemon.checkpoints()).await? {
        Ok(list) => Ok(Json(list).into_response()),
        Err(reason) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, reason)),
    }
}

async fn write_checkpoint(
    State(shared): State<Shared>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Result<Response, Response> {
    if let Err((status, message)) = may_change(shared.token.as_ref(), peer, request.headers()) {
        let mut response = refusal(status, message);
        if status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        return Err(response);
    }
    // The limit below counts bytes as they arrive; what the head announces need not be waited for.
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > BODY_LIMIT_BYTES) {
        let message = format!("a body may have {BODY_LIMIT_BYTES} bytes at most");
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let body = match tokio::time::timeout(READ_PATIENCE, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return Err(refusal(rejection.status(), rejection.body_text())),
        Err(_) => {
            return Err(refusal(
                StatusCode::REQUEST_TIMEOUT,
                "the request's body did not arrive",
            ));
        }
    };
    if !body.is_empty() {
        return Err(refusal(StatusCode::BAD_REQUEST, "this call takes no body"));
    }
    tracing::info!(%peer, "a checkpoint is asked for over the API");
    let written = ask(&shared, |daemon| daemon.write_checkpoint());
    let Ok(written) = tokio::time::timeout(SNAPSHOT_PATIENCE, written).await else {
        let message =
            "the checkpoint is still being written; GET /api/v1/checkpoints shows when it is in place";
        return Err(refusal(StatusCode::GATEWAY_TIMEOUT, message));
    };
    match written? {
        Ok(view) => Ok((StatusCode::CREATED, Json(view)).into_response()),
        Err(error) => {
            let status = match error {
                SnapshotError::Busy => StatusCode::CONFLICT,
                SnapshotError::NotTraining(_) => StatusCode::SERVICE_UNAVAILABLE,
                SnapshotError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Err(refusal(status, error.to_string()))
        }
    }
}
