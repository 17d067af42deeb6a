//! What others recorded, as observations: what a HAR file and an access log share.
//!
//! Owns the order in time, and which requests are a feature's. Must not: conclude anything, or keep
//! a credential.

use super::rest::{combinations, filled, params_json, percent_encoded};
use super::secret::without_credentials;
use crate::contract::Contract;
use crate::engine::route::Route;
use crate::model::observation::NO_PARAMS;
use crate::model::{EndReason, Event, Observation, Start, Timestamp};

/// What is kept of a client's name for itself, in characters; browsers' are shorter.
const LONGEST_AGENT: usize = 300;

/// A recording that was read, in the order of time; without its `start` and its `end`.
#[derive(Debug, Default)]
pub struct Imported {
    pub events: Vec<(Timestamp, Event<'static>)>,
    /// What a person must know of it: what it cannot tell, what was passed over.
    pub notes: Vec<String>,
    /// What recorded it, for the capture's feeds.
    pub from: String,
}

impl Imported {
    /// The capture's observations, `start` and `end` around what was seen. `None` of nothing.
    pub fn observations(mut self, mut start: Start) -> Option<impl Iterator<Item = Observation<'static>>> {
        // Those of one instant stay as they were written.
        self.events.sort_by_key(|(at, _)| *at);
        let (first, last) = (self.events.first()?.0, self.events.last()?.0);
        start.feeds.push(("import".to_string(), self.from));
        let begin = Observation { at: first, event: Event::Start(Box::new(start)) };
        let end = Observation { at: last, event: Event::End { reason: EndReason::Done } };
        let seen = self.events.into_iter().map(|(at, event)| Observation { at, event });
        Some(std::iter::once(begin).chain(seen).chain(std::iter::once(end)))
    }
}

/// The requests and the socket of a contract, as they are recognised in a recording.
#[derive(Debug)]
pub(super) struct Routes {
    requests: Vec<FeatureRequest>,
    /// By path alone, whatever the parameters and the query.
    features: Vec<(String, Route)>,
    socket: Option<Route>,
}

/// One request that a feature is polled with.
#[derive(Debug)]
pub(super) struct FeatureRequest {
    pub(super) feature: String,
    pub(super) method: String,
    /// A JSON object.
    pub(super) params: String,
    route: Route,
}

impl Routes {
    pub(super) fn new(contract: &Contract) -> Routes {
        let mut requests = Vec::new();
        for feature in &contract.features {
            for params in combinations(&feature.rest.each) {
                let path = filled(&feature.rest.path, &params, percent_encoded);
                let query = feature.rest.query.iter();
                let query = query
                    .map(|(name, value)| (name.clone(), filled(value, &params, str::to_string)))
                    .collect();
                requests.push(FeatureRequest {
                    feature: feature.name.to_string(),
                    method: feature.rest.method.clone(),
                    params: if params.is_empty() { NO_PARAMS.to_string() } else { params_json(&params) },
                    route: Route::of_request(&path, query),
                });
            }
        }
        let route = |f: &crate::contract::Feature| (f.name.to_string(), Route::of_feature(f));
        Routes {
            requests,
            features: contract.features.iter().map(route).collect(),
            socket: Route::of_url(&contract.ws.url),
        }
    }

    pub(super) fn is_socket(&self, target: &str) -> bool {
        self.socket.as_ref().is_none_or(|path| path.matches(target))
    }

    /// The polls that a request is: one of each feature that it serves.
    pub(super) fn polls<'r>(
        &'r self,
        method: &'r str,
        target: &'r str,
    ) -> impl Iterator<Item = &'r FeatureRequest> {
        self.requests
            .iter()
            .filter(move |r| r.method == method && r.route.matches(target) && r.route.query_fits(target))
    }

    /// A request of the frontend; its host is left out, credentials are masked.
    pub(super) fn frontend(
        &self,
        method: &str,
        target: &str,
        status: Option<u16>,
        agent: Option<&str>,
    ) -> Event<'static> {
        let feature = self.features.iter().find(|(_, route)| route.matches(target));
        Event::Frontend {
            method: method.to_string().into(),
            path: without_credentials(without_host(target)).into(),
            feature: feature.map(|(name, _)| name.clone().into()),
            status,
            agent: agent.filter(|agent| !matches!(*agent, "" | "-")).map(|agent| {
                let known: String = agent.chars().take(LONGEST_AGENT).collect();
                known.into()
            }),
        }
    }
}

/// The path and query of a URL or of a request's target.
fn without_host(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?', '#']).map_or("/", |at| &rest[at..]),
        None => target,
    };
    path.split('#').next().unwrap_or_default()
}
