use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Daemon;
use super::guard::{Tokens, may_change, may_read};
use super::listener::Peer;
use super::{change_api, openapi, page, read_api};
use crate::telemetry::Registry;

/// The largest request body: a stream's entry is far smaller.
const BODY_LIMIT_BYTES: usize = 16 * 1024;
/// An answer that only reads is ready by then, or something hangs; and a request's body has arrived.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Shared {
    pub daemon: Arc<dyn Daemon>,
    pub registry: Registry,
    pub tokens: Tokens,
}

/// What went wrong, in words.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct ErrorView {
    /// For people; says what would be right.
    pub error: String,
}

pub(super) fn router(shared: Shared) -> Router {
    let open = Router::new()
        .route("/healthz", get(read_api::healthz))
        .route("/readyz", get(read_api::readyz));
    let reading = Router::new()
        .merge(page::routes())
        .route("/api", get(|| async { openapi::index() }))
        .route("/metrics", get(read_api::metrics))
        .route(
            "/api/v1/openapi.json",
            get(|| async { Json(openapi::document()) }),
        )
        .route("/api/v1/status", get(read_api::status))
        .route("/api/v1/streams", get(read_api::streams))
        .route("/api/v1/streams/{name}", get(read_api::stream))
        .route("/api/v1/checkpoints", get(read_api::checkpoints))
        .route("/api/v1/replay", get(read_api::replay))
        .route("/api/v1/train", get(read_api::train))
        .layer(middleware::from_fn_with_state(shared.clone(), check_reader));
    let changing = Router::new()
        .route("/api/v1/checkpoints", post(change_api::write_checkpoint))
        .route("/api/v1/streams", post(change_api::add_stream))
        .route(
            "/api/v1/streams/{name}",
            put(change_api::replace_stream).delete(change_api::remove_stream),
        )
        .route(
            "/api/v1/streams/{name}/samples",
            axum::routing::delete(change_api::forget_stream),
        )
        .route("/api/v1/streams/{name}/enable", post(change_api::enable_stream))
        .route("/api/v1/streams/{name}/disable", post(change_api::disable_stream))
        .route("/api/v1/train", axum::routing::patch(change_api::change_train))
        .route("/api/v1/train/pause", post(change_api::pause_train))
        .route("/api/v1/train/resume", post(change_api::resume_train))
        .route("/api/v1/reload", post(change_api::reload))
        .layer(middleware::from_fn_with_state(shared.clone(), check_changer));
    open.merge(reading)
        .layer(middleware::from_fn(answer_in_time))
        .merge(changing)
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such page; GET /api lists them") })
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(shared)
}

pub(super) fn refusal(status: StatusCode, message: impl Into<String>) -> Response {
    let error = message.into();
    (status, Json(ErrorView { error })).into_response()
}

fn refuse((status, message): (StatusCode, String)) -> Response {
    let mut response = refusal(status, message);
    if status == StatusCode::UNAUTHORIZED {
        let scheme = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

async fn check_reader(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match may_read(&shared.tokens, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let for_people = page::is_for_people(request.uri().path());
            let mut response = refuse(refused);
            if for_people {
                // A browser asks its user then. Changes take no password: a browser would send it on another page's behalf too.
                let scheme = header::HeaderValue::from_static(
                    "Basic realm=\"comove: any name, the read token as password\"",
                );
                response.headers_mut().append(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    }
}

async fn check_changer(
    State(shared): State<Shared>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match may_change(shared.tokens.change.as_ref(), peer, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refuse(refused),
    }
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

/// The body of a changing call, which must arrive in time and within bounds.
pub(super) async fn body(request: Request) -> Result<Bytes, Response> {
    // The limit below counts bytes as they arrive; what the head announces need not be waited for.
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > BODY_LIMIT_BYTES) {
        let message = format!("a body may have {BODY_LIMIT_BYTES} bytes at most");
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    match tokio::time::timeout(READ_PATIENCE, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(refusal(rejection.status(), rejection.body_text())),
        Err(_) => Err(refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the request's body did not arrive",
        )),
    }
}

/// The body of a call that takes none.
pub(super) async fn no_body(request: Request) -> Result<(), Response> {
    match body(request).await?.is_empty() {
        true => Ok(()),
        false => Err(refusal(StatusCode::BAD_REQUEST, "this call takes no body")),
    }
}

/// A JSON body; an object, since serde would take an array for one, its values in the order of the fields.
pub(super) async fn json_body<T: for<'de> Deserialize<'de>>(request: Request) -> Result<T, Response> {
    let bytes = body(request).await?;
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            "the body is an array; this call takes an object",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let key = error.path().to_string();
        match key.as_str() {
            "." => error.inner().to_string(),
            key => format!("{key}: {}", error.inner()),
        }
    });
    match read.and_then(|value| reader.end().map(|()| value).map_err(|error| error.to_string())) {
        Ok(value) => Ok(value),
        Err(message) => Err(refusal(
            StatusCode::BAD_REQUEST,
            format!("the body is not the JSON that this call takes: {message}"),
        )),
    }
}
