//! A value that several ask for at a time, and that is made once for all of them.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared<T> {
    good_for: Duration,
    latest: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone> Shared<T> {
    /// Of values that are good enough for so long.
    pub(super) fn new(good_for: Duration) -> Self {
        Shared { good_for, latest: Mutex::new(None) }
    }

    /// The latest, or what is made now. Who asks while it is made waits for it.
    pub(super) async fn get(&self, make: impl Future<Output = T>) -> T {
        let mut latest = self.latest.lock().await;
        if let Some((at, value)) = &*latest
            && at.elapsed() < self.good_for
        {
            return value.clone();
        }
        let value = make.await;
        *latest = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// What so many get who ask at the same time.
    async fn ask(shared: Shared<u32>, times: usize) -> Vec<u32> {
        let (shared, made) = (Arc::new(shared), Arc::new(AtomicU32::new(0)));
        let asking = (0..times).map(|_| {
            let (shared, made) = (shared.clone(), made.clone());
            tokio::spawn(async move {
                let make = async {
                    tokio::task::yield_now().await;
                    made.fetch_add(1, Ordering::Relaxed) + 1
                };
                shared.get(make).await
            })
        });
        let mut got = Vec::new();
        for answer in asking.collect::<Vec<_>>() {
            got.push(answer.await.unwrap());
        }
        got
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_gets_the_same() {
        assert_eq!(ask(Shared::new(Duration::MAX), 5).await, [1; 5]);
    }

    #[tokio::test]
    async fn what_is_too_old_is_made_again() {
        assert_eq!(ask(Shared::new(Duration::ZERO), 3).await, [1, 2, 3]);
    }
}
