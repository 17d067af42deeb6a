//! Which recorded endpoint a request asks for: by method, path and query, as the contract would fill them.
//! Must not know what was answered.

use crate::contract::{Contract, Feature};
use crate::engine::route::{Route, filled, percent_encoded};
use serde_json::{Map, Value};

/// How redacted values begin; what they were is not known.
const REDACTED: &str = "redacted:";

#[derive(Debug)]
pub(super) struct Address {
    pub(super) method: String,
    /// As the contract has it.
    route: Route,
    /// The same below the path of `[rest] base_url`.
    below: Option<Route>,
    /// For people.
    pub(super) shown: String,
}

impl Address {
    /// `params`: as recorded. `alone`: no other request of this feature was recorded, so that a parameter
    /// that was redacted may be any.
    pub(super) fn new(contract: &Contract, feature: &Feature, params: &str, alone: bool) -> Address {
        let params: Map<String, Value> = serde_json::from_str(params).unwrap_or_default();
        let is_redacted = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(REDACTED));
        let known: Vec<(&str, &Value)> = params
            .iter()
            .filter(|(_, value)| !(alone && is_redacted(value)))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let path = filled(&feature.rest.path, &known, percent_encoded);
        let query: Vec<(String, String)> = feature
            .rest
            .query
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, &known, str::to_string)))
            .collect();
        let mut shown = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
        for (name, value) in &query {
            shown.push(if shown.contains('?') { '&' } else { '?' });
            shown.push_str(&format!("{}={}", percent_encoded(name), percent_encoded(value)));
        }
        // A parameter that is not known in the query is any, as one that is masked.
        let query = query.into_iter().filter(|(_, value)| !(alone && value.contains('{'))).collect();
        let route = Route::of_request(&path, query).as_recorded();
        let below = route.below(&contract.rest.base_url);
        Address { method: feature.rest.method.clone(), route, below, shown }
    }

    pub(super) fn is_path_of(&self, target: &str) -> bool {
        self.route.is(target) || self.below.as_ref().is_some_and(|route| route.is(target))
    }

    pub(super) fn is_asked(&self, method: &str, target: &str) -> bool {
        self.allows(method) && self.is_path_of(target) && self.route.query_fits(target)
    }

    /// HEAD is a GET whose body nobody wants.
    pub(super) fn allows(&self, method: &str) -> bool {
        self.method == method || (self.method == "GET" && method == "HEAD")
    }
}
