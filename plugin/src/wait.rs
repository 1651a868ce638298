//! Waiting for what somebody else does, with a limit.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A wait that is under way: it is looked again and again until the limit is reached.
#[derive(Debug)]
pub(crate) struct Wait {
    end: Instant,
    pause: Duration,
    longest_pause: Duration,
}

impl Wait {
    /// For `limit` at most, with pauses of the same length between two looks.
    pub(crate) fn up_to(limit: Duration, pause: Duration) -> Self {
        Wait::growing(limit, pause, pause)
    }

    /// For `limit` at most; each pause is twice as long as the one before, up to the longest.
    pub(crate) fn growing(limit: Duration, first_pause: Duration, longest_pause: Duration) -> Self {
        Wait {
            end: Instant::now() + limit,
            pause: first_pause,
            longest_pause,
        }
    }

    /// Pauses until the next look; false if there is to be none.
    pub(crate) async fn goes_on(&mut self) -> bool {
        let next = Instant::now() + self.pause;
        if next > self.end {
            return false;
        }
        sleep_until(next).await;
        self.pause = (self.pause * 2).min(self.longest_pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock stands still but for the pauses.
    async fn looks(mut wait: Wait) -> (usize, Duration) {
        let begun = Instant::now();
        let mut looks = 1;
        while wait.goes_on().await {
            looks += 1;
        }
        (looks, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_until_the_limit() {
        let second = Duration::from_secs(1);
        assert_eq!(
            looks(Wait::up_to(3 * second, second)).await,
            (4, 3 * second)
        );
        assert_eq!(
            looks(Wait::up_to(second / 2, second)).await,
            (1, Duration::ZERO)
        );
        let growing = Wait::growing(16 * second, second, 5 * second);
        assert_eq!(looks(growing).await, (5, 12 * second));
    }
}
