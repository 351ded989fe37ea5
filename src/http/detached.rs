//! Use cases that go on when the client goes away: actix drops a request's own future then.

use crate::app;
use crate::app::audit::Origin;
use crate::http::error::Failure;

/// Runs a use case to its end even if the client goes away.
///
/// # Errors
/// What the use case gives; 503 where it ended in a panic.
pub fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, app::Error>> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> + Send {
    let attempt = attempted(work);
    async move { Ok(attempt.await?) }
}

/// As [`detached`], for whoever makes more of an error than a failure.
///
/// # Errors
/// What the use case gives.
pub fn attempted<T: Send + 'static>(
    work: impl Future<Output = Result<T, app::Error>> + Send + 'static,
) -> impl Future<Output = Result<T, app::Error>> + Send {
    // Boxed before anything else holds it, so that no handler's own future is as large as a use case.
    let work = Box::pin(Origin::here().scope(work));
    async move {
        match tokio::spawn(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "a request ended in a panic");
                Err(app::Error::Unavailable("the request was interrupted".to_owned()))
            }
        }
    }
}
