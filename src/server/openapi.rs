use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{change_api, read_api};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "comove",
        description = "Reading is open unless a read token is configured; changing needs the token, or without one to come from \
                       the same machine."
    ),
    paths(
        read_api::metrics,
        read_api::healthz,
        read_api::readyz,
        read_api::status,
        read_api::streams,
        read_api::stream,
        read_api::checkpoints,
        read_api::replay,
        read_api::train,
        change_api::write_checkpoint,
        change_api::add_stream,
        change_api::replace_stream,
        change_api::remove_stream,
        change_api::forget_stream,
        change_api::enable_stream,
        change_api::disable_stream,
        change_api::change_train,
        change_api::pause_train,
        change_api::resume_train,
        change_api::reload,
    ),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The API's description, made from the handlers' own types.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Every call on a line, for people.
pub(super) fn index() -> String {
    let mut text = "comove\n\n".to_owned();
    let mut line = |method: &str, path: &str, summary: &str| {
        text.push_str(&format!("{method:6} {path:34} {summary}\n"));
    };
    for (path, item) in document().paths.paths {
        let operations = [
            ("GET", item.get),
            ("POST", item.post),
            ("PUT", item.put),
            ("PATCH", item.patch),
            ("DELETE", item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                line(method, &path, &operation.summary.unwrap_or_default());
            }
        }
    }
    line("GET", "/api/v1/openapi.json", "This, for programs.");
    text
}
