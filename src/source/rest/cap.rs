//! A bound on polls, for servers to which a GET is work, or writes.
//!
//! In any minute no more than so many begin; one beyond that does not wait, since a late poll would leave its
//! grid.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Cap {
    most: usize,
    /// When the polls of the last minute began.
    begun: Mutex<VecDeque<Instant>>,
}

impl Cap {
    pub(super) fn new(most: Option<u64>) -> Cap {
        Cap { most: most.map_or(usize::MAX, |most| most as usize), begun: Mutex::default() }
    }

    /// Whether one more may begin now; if so it has begun.
    pub(super) fn admits(&self, now: Instant) -> bool {
        if self.most == usize::MAX {
            return true;
        }
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            begun.pop_front();
        }
        let admits = begun.len() < self.most;
        if admits {
            begun.push_back(now);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_any_minute_there_are_no_more_than_allowed() {
        let cap = Cap::new(Some(3));
        let start = Instant::now();
        let at = |seconds| cap.admits(start + Duration::from_secs(seconds));
        assert_eq!([0, 10, 20, 30, 59].map(at), [true, true, true, false, false]);
        assert_eq!([60, 61, 70, 71].map(at), [true, false, true, false]);
        let none = Cap::new(None);
        assert!((0..1000).all(|_| none.admits(start)));
    }
}
