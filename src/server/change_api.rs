use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use toml::Table;
use utoipa::IntoParams;

use super::api::{ErrorView, Shared, ask, json_body, no_body, refusal};
use super::read_api::name_of;
use super::refusals::ChangeRefusals;
use super::{
    ChangeError, CheckpointView, ForgottenView, Keep, Pause, ReloadView, SnapshotError, StreamEntryBody,
    StreamView, Switch, TrainChange, TrainStateView,
};

/// A checkpoint is in place by then, or the caller asks again later.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

/// What every change of a stream can be asked besides.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChangeQuery {
    /// Also write it to the config's stream folder, so that it holds after the next start.
    persist: bool,
}

type ChangeArgument = Result<Query<ChangeQuery>, QueryRejection>;
type NameArgument = Result<Path<String>, PathRejection>;

async fn keep(query: ChangeArgument) -> Result<Keep, Response> {
    match query {
        Ok(Query(ChangeQuery { persist: true })) => Ok(Keep::Yes),
        Ok(Query(ChangeQuery { persist: false })) => Ok(Keep::No),
        Err(rejection) => Err(refusal(StatusCode::BAD_REQUEST, rejection.body_text())),
    }
}

fn refused(error: ChangeError) -> Response {
    let status = match error {
        ChangeError::NotFound(_) => StatusCode::NOT_FOUND,
        ChangeError::Exists(_) | ChangeError::NotKept(_) => StatusCode::CONFLICT,
        ChangeError::Invalid(_) | ChangeError::Unusable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ChangeError::NotNow(_) => StatusCode::SERVICE_UNAVAILABLE,
        ChangeError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, error.to_string())
}

/// The entry as a file of the stream folder would have it.
async fn entry(request: Request) -> Result<Table, Response> {
    let body: StreamEntryBody = json_body(request).await?;
    Table::try_from(&body).map_err(|error| refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

/// Write a checkpoint now.
#[utoipa::path(post, path = "/api/v1/checkpoints", tag = "change", security(("token" = [])), responses(
    (status = 201, description = "it is in place", body = CheckpointView),
    (status = 409, description = "one is being written", body = ErrorView),
    (status = 500, description = "it could not be written", body = ErrorView),
    ChangeRefusals,
    (status = 504, description = "it is still being written", body = ErrorView),
))]
pub(super) async fn write_checkpoint(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Response, Response> {
    no_body(request).await?;
    tracing::info!("a checkpoint is asked for over the API");
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

/// Add a stream; the others don't notice.
#[utoipa::path(post, path = "/api/v1/streams", tag = "change", security(("token" = [])), params(ChangeQuery),
    request_body = StreamEntryBody, responses(
    (status = 201, description = "it starts", body = StreamView),
    (status = 409, description = "there is one of this name, or it cannot be kept", body = ErrorView),
    (status = 422, description = "such a stream cannot be", body = ErrorView),
    (status = 500, description = "it failed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn add_stream(
    State(shared): State<Shared>,
    query: ChangeArgument,
    request: Request,
) -> Result<Response, Response> {
    let (keep, entry) = (keep(query).await?, entry(request).await?);
    let added = ask(&shared, move |daemon| daemon.add_stream(entry, keep)).await?;
    Ok((StatusCode::CREATED, Json(added.map_err(refused)?)).into_response())
}

/// Put a stream in the place of the one of this name, or add it.
#[utoipa::path(put, path = "/api/v1/streams/{name}", tag = "change", security(("token" = [])),
    params(("name" = String, Path, description = "its name"), ChangeQuery), request_body = StreamEntryBody, responses(
    (status = 200, description = "it starts", body = StreamView),
    (status = 409, description = "it cannot be kept", body = ErrorView),
    (status = 422, description = "such a stream cannot be", body = ErrorView),
    (status = 500, description = "it failed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn replace_stream(
    State(shared): State<Shared>,
    name: NameArgument,
    query: ChangeArgument,
    request: Request,
) -> Result<Response, Response> {
    let (name, keep, entry) = (name_of(name).await?, keep(query).await?, entry(request).await?);
    let put = ask(&shared, move |daemon| daemon.replace_stream(&name, entry, keep)).await?;
    Ok(Json(put.map_err(refused)?).into_response())
}

/// Stop a stream and take it out; the others don't notice.
#[utoipa::path(delete, path = "/api/v1/streams/{name}", tag = "change", security(("token" = [])),
    params(("name" = String, Path, description = "its name"), ChangeQuery), responses(
    (status = 204, description = "it is gone"),
    (status = 404, description = "no such stream", body = ErrorView),
    (status = 409, description = "its entry cannot be taken out", body = ErrorView),
    (status = 500, description = "it failed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn remove_stream(
    State(shared): State<Shared>,
    name: NameArgument,
    query: ChangeArgument,
    request: Request,
) -> Result<Response, Response> {
    let (name, keep) = (name_of(name).await?, keep(query).await?);
    no_body(request).await?;
    let removed = ask(&shared, move |daemon| daemon.remove_stream(&name, keep)).await?;
    removed.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Forget a stream: delete its samples in memory, on disk and in checkpoints, and mark the checkpoints that learned from it.
/// What the networks learned stays in them, and a stream that still runs gives new samples: stop it first.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/samples", tag = "change", security(("token" = [])),
    params(("name" = String, Path, description = "its name")), responses(
    (status = 200, description = "they are gone", body = ForgottenView),
    (status = 400, description = "the request is wrong", body = ErrorView),
    (status = 401, description = "needs the token", body = ErrorView),
    (status = 403, description = "not from there", body = ErrorView),
    (status = 404, description = "nothing is known of such a stream", body = ErrorView),
    (status = 408, description = "the body did not arrive", body = ErrorView),
    (status = 413, description = "the body is too large", body = ErrorView),
    (status = 500, description = "the disk did not do it; the error says how far it came", body = ErrorView),
    (status = 503, description = "training has ended", body = ErrorView),
))]
pub(super) async fn forget_stream(
    State(shared): State<Shared>,
    name: NameArgument,
    request: Request,
) -> Result<Response, Response> {
    let name = name_of(name).await?;
    no_body(request).await?;
    let forgotten = ask(&shared, move |daemon| daemon.forget_stream(&name)).await?;
    Ok(Json(forgotten.map_err(refused)?).into_response())
}

/// Start a stream that is disabled or has ended.
#[utoipa::path(post, path = "/api/v1/streams/{name}/enable", tag = "change", security(("token" = [])),
    params(("name" = String, Path, description = "its name"), ChangeQuery), responses(
    (status = 200, description = "it starts", body = StreamView),
    (status = 404, description = "no such stream", body = ErrorView),
    (status = 409, description = "it cannot be kept", body = ErrorView),
    (status = 422, description = "its source is not there", body = ErrorView),
    (status = 500, description = "it failed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn enable_stream(
    State(shared): State<Shared>,
    name: NameArgument,
    query: ChangeArgument,
    request: Request,
) -> Result<Response, Response> {
    switch(shared, name, query, request, Switch::On).await
}

/// Stop a stream; it stays, and can be enabled again.
#[utoipa::path(post, path = "/api/v1/streams/{name}/disable", tag = "change", security(("token" = [])),
    params(("name" = String, Path, description = "its name"), ChangeQuery), responses(
    (status = 200, description = "it has stopped", body = StreamView),
    (status = 404, description = "no such stream", body = ErrorView),
    (status = 409, description = "it cannot be kept", body = ErrorView),
    (status = 500, description = "it failed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn disable_stream(
    State(shared): State<Shared>,
    name: NameArgument,
    query: ChangeArgument,
    request: Request,
) -> Result<Response, Response> {
    switch(shared, name, query, request, Switch::Off).await
}

async fn switch(
    shared: Shared,
    name: NameArgument,
    query: ChangeArgument,
    request: Request,
    switch: Switch,
) -> Result<Response, Response> {
    let (name, keep) = (name_of(name).await?, keep(query).await?);
    no_body(request).await?;
    let switched = ask(&shared, move |daemon| daemon.switch_stream(&name, switch, keep)).await?;
    Ok(Json(switched.map_err(refused)?).into_response())
}

/// Change how it learns, from the next step on.
#[utoipa::path(patch, path = "/api/v1/train", tag = "change", security(("token" = [])), request_body = TrainChange, responses(
    (status = 200, description = "in force", body = TrainStateView),
    (status = 422, description = "such a value cannot be", body = ErrorView),
    (status = 500, description = "it failed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn change_train(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Response, Response> {
    let change: TrainChange = json_body(request).await?;
    let changed = ask(&shared, move |daemon| daemon.change_train(change)).await?;
    Ok(Json(changed.map_err(refused)?).into_response())
}

/// Let training pause after the step under way.
#[utoipa::path(post, path = "/api/v1/train/pause", tag = "change", security(("token" = [])), responses(
    (status = 200, description = "it pauses", body = TrainStateView),
    ChangeRefusals,
))]
pub(super) async fn pause_train(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Response, Response> {
    pause(shared, request, Pause::Pause).await
}

/// Let training go on.
#[utoipa::path(post, path = "/api/v1/train/resume", tag = "change", security(("token" = [])), responses(
    (status = 200, description = "it goes on", body = TrainStateView),
    ChangeRefusals,
))]
pub(super) async fn resume_train(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Response, Response> {
    pause(shared, request, Pause::Resume).await
}

async fn pause(shared: Shared, request: Request, pause: Pause) -> Result<Response, Response> {
    no_body(request).await?;
    let told = ask(&shared, move |daemon| daemon.pause_train(pause)).await?;
    Ok(Json(told.map_err(refused)?).into_response())
}

/// Read the config again and do what differs, as SIGHUP does.
#[utoipa::path(post, path = "/api/v1/reload", tag = "change", security(("token" = [])), responses(
    (status = 200, description = "what was done", body = ReloadView),
    (status = 422, description = "the config is wrong; nothing was changed", body = ErrorView),
    ChangeRefusals,
))]
pub(super) async fn reload(State(shared): State<Shared>, request: Request) -> Result<Response, Response> {
    no_body(request).await?;
    let done = ask(&shared, |daemon| daemon.reload()).await?;
    Ok(Json(done.map_err(refused)?).into_response())
}
