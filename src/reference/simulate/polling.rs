//! The REST side of a simulated session: polls on their grid, requests under way, answers.

use super::{Poll, Simulation, Step, json};
use crate::model::observation::NO_PARAMS;
use crate::model::{Event, Observation, Span, Timestamp};
use crate::reference::feature::Feature;
use std::borrow::Cow;

/// A poll's state; one request at a time.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub feature: String,
    pub path: String,
    pub every: Span,
    sent_at: Timestamp,
    waiting: bool,
    timed_out: bool,
    status: u16,
    body: String,
}

impl Endpoint {
    pub fn new(poll: Poll, from: Timestamp) -> Endpoint {
        Endpoint {
            feature: poll.feature,
            path: poll.path,
            every: poll.every.max(Span::from_millis(1)),
            sent_at: from,
            waiting: false,
            timed_out: false,
            status: 0,
            body: String::new(),
        }
    }
}

impl Simulation {
    pub(super) fn poll(&mut self, at: Timestamp, index: usize, observe: &mut impl FnMut(&Observation<'_>)) {
        let next = at + self.endpoints[index].every;
        self.plan(next, Step::Poll(index));
        if self.endpoints[index].waiting {
            let event = Event::RestSkipped {
                feature: Cow::Borrowed(&self.endpoints[index].feature),
                params: Cow::Borrowed(NO_PARAMS),
            };
            return observe(&Observation { at, event });
        }
        let there = self.delay(self.network.rest);
        let endpoint = &mut self.endpoints[index];
        (endpoint.waiting, endpoint.sent_at) = (true, at);
        self.plan(at + there, Step::Form(index));
    }

    pub(super) fn form(&mut self, at: Timestamp, index: usize) {
        let endpoint = &mut self.endpoints[index];
        let (mut slower, mut hangs) = (Span::ZERO, false);
        match Feature::from_path(&endpoint.path) {
            Some(feature) => {
                let now = self.clocks.server(at);
                let answer = self.origin.respond(feature, now, &mut endpoint.body);
                (endpoint.status, slower, hangs) = (answer.status, answer.delay, answer.hangs);
            }
            None => {
                endpoint.status = 404;
                endpoint.body.clear();
            }
        }
        let back = self.delay(self.network.rest);
        let endpoint = &mut self.endpoints[index];
        let (answered, given_up) = (at + back + slower, endpoint.sent_at + self.rest_timeout);
        endpoint.timed_out = hangs || answered > given_up;
        let done = if endpoint.timed_out { given_up } else { answered };
        self.plan(done, Step::Answer(index));
    }

    pub(super) fn answer(&mut self, at: Timestamp, index: usize, observe: &mut impl FnMut(&Observation<'_>)) {
        let endpoint = &mut self.endpoints[index];
        endpoint.waiting = false;
        let (feature, params) = (Cow::Borrowed(endpoint.feature.as_str()), Cow::Borrowed(NO_PARAMS));
        let (sent_at, status) = (endpoint.sent_at, endpoint.status);
        let failed = |error, status| Event::RestError {
            sent_at,
            feature: Cow::Borrowed(endpoint.feature.as_str()),
            params: Cow::Borrowed(NO_PARAMS),
            error: Cow::Borrowed(error),
            status,
            detail: Cow::Borrowed(""),
        };
        let event = if endpoint.timed_out {
            failed("timeout", None)
        } else if status != 200 {
            failed("status", Some(status))
        } else {
            let bytes = endpoint.body.len() as u64;
            Event::Rest { sent_at, feature, params, status, bytes, payload: json(&endpoint.body, false) }
        };
        observe(&Observation { at, event });
    }
}
