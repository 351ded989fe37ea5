//! Use cases that go on when the client goes away: actix drops a request's own future then.

use crate::app;
use crate::app::audit::Origin;
use crate::http::error::Failure;

/// Runs a use case to its end even if the client goes away.
///
/// # Errors
/// What the use case gives; 503 where it ended in a panic.
pub async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, app::Error>> + Send + 'static,
) -> Result<T, Failure> {
    Ok(attempted(work).await?)
}

/// As [`detached`], for whoever makes more of an error than a failure.
///
/// # Errors
/// What the use case gives.
pub async fn attempted<T: Send + 'static>(
    work: impl Future<Output = Result<T, app::Error>> + Send + 'static,
) -> Result<T, app::Error> {
    match tokio::spawn(Origin::here().scope(work)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(%error, "a request ended in a panic");
            Err(app::Error::Unavailable("the request was interrupted".to_owned()))
        }
    }
}
