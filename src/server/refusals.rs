use utoipa::IntoResponses;

use super::api::ErrorView;

/// What any reading call may answer instead, for the API's description.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "described, never made: handlers answer with `refusal`")]
pub(super) enum ReadRefusals {
    /// Needs a token.
    #[response(status = 401)]
    NoToken(ErrorView),
    /// No answer in time.
    #[response(status = 503)]
    NoAnswer(ErrorView),
}

/// What any changing call may answer instead, for the API's description.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "described, never made: handlers answer with `refusal`")]
pub(super) enum ChangeRefusals {
    /// The request is wrong.
    #[response(status = 400)]
    Wrong(ErrorView),
    /// Needs the token.
    #[response(status = 401)]
    NoToken(ErrorView),
    /// Not from there.
    #[response(status = 403)]
    NotFromThere(ErrorView),
    /// The body did not arrive.
    #[response(status = 408)]
    NoBody(ErrorView),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(ErrorView),
    /// Not now: the run has not begun, or training has ended.
    #[response(status = 503)]
    NotNow(ErrorView),
}
