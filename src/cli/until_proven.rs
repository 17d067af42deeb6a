//! Owns `--until-proven`: asking, now and then, whether a running run may end. Must not judge, and must not
//! take much of the run's own time.

use super::console::Console;
use crate::checks::proven::{Ending, Proving};
use crate::engine::Engine;
use crate::model::Phase;
use std::time::Duration;
use tokio::time::Instant;

/// Of the run's own time asking takes at most one part in so many.
const SHARE: u32 = 20;
const AT_LEAST: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct UntilProven {
    proving: Proving,
    console: Console,
    due: Instant,
    is_over: bool,
}

impl UntilProven {
    /// `rate`: of wrong values, which shall be ruled out.
    pub fn new(rate: f64, phases: &[Phase], console: &Console) -> UntilProven {
        UntilProven {
            proving: Proving::new(rate, phases),
            console: console.clone(),
            due: Instant::now(),
            is_over: false,
        }
    }

    /// Whether the run may end; says why on stderr, once.
    pub fn is_over(&mut self, engine: &Engine) -> bool {
        let now = Instant::now();
        if self.is_over || now < self.due {
            return self.is_over;
        }
        let told = self.proving.look(engine);
        self.due = Instant::now() + AT_LEAST.max(now.elapsed() * SHARE);
        match &told {
            Some(Ending::Proven) => self.console.note("enough was seen of everything asked; ending in order"),
            Some(Ending::Failed(feature, check)) => {
                self.console.note(&format!("{check} of {feature} failed for good; ending in order"));
            }
            None => {}
        }
        self.is_over = told.is_some();
        self.is_over
    }
}
