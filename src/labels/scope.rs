//! Labels of the current task.

use std::future::Future;

use super::Labels;

tokio::task_local! {
    static CURRENT: Labels;
}

/// Runs `future` with these labels; inner scopes win over outer ones, key by key.
///
/// The labels are seen by calls made from this task, in here: `service.call(request)`
/// belongs into `future`, as does a `Oneshot` that makes it. They do not cross
/// `tokio::spawn` or `tower::buffer::Buffer`; for the latter see
/// [`CaptureLayer`](super::CaptureLayer).
///
/// # Example
/// See the [module](crate::labels).
pub async fn scope<F: Future>(labels: Labels, future: F) -> F::Output {
    let labels = current().over(&labels);
    CURRENT.scope(labels, future).await
}

/// The labels of the current task, empty outside a [`scope()`].
///
/// # Example
/// ```
/// assert!(driftlock::labels::current().is_empty());
/// ```
pub fn current() -> Labels {
    CURRENT.try_with(Labels::clone).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn scopes_nest_and_end() {
        scope(Labels::new().with("user", "a").with("plan", "free"), async {
            scope(Labels::new().with("user", "b"), async {
                assert_eq!(current(), Labels::new().with("user", "b").with("plan", "free"));
            })
            .await;
            assert_eq!(current().user(), Some("a"));
        })
        .await;
        assert!(current().is_empty());
    }
}
