//! What a recording cannot hold because it is secret, and what clients wait for nevertheless: the answer to
//! a login, and the messages that a socket expects before it counts as open. Both are made up from the
//! contract; no credential is asked for, and none is told.

use super::step::{Body, JSON};
use crate::contract::{Carried, Contract, OpenStep, Pointer};
use crate::engine::route::Route;
use serde_json::{Map, Value};

/// Stands for every token.
const TOKEN: &str = "recording";

/// The messages that the contract's `open` waits for, in order.
pub(super) fn greetings(contract: &Contract) -> Vec<String> {
    let step = |step: &OpenStep| match step {
        OpenStep::Send(_) => None,
        OpenStep::Expect { says, .. } => {
            let mut message = Value::Object(Map::new());
            says.iter().for_each(|(at, text)| put(&mut message, at, text));
            Some(message.to_string())
        }
    };
    contract.ws.open.iter().filter_map(step).collect()
}

/// Where a login asks, and what it gets.
#[derive(Debug)]
pub(super) struct Login {
    method: String,
    route: Route,
    below: Option<Route>,
    body: Body,
    /// Names of cookies to set.
    cookie: Option<String>,
}

impl Login {
    /// The login itself, and its refresh.
    pub(super) fn all(contract: &Contract) -> Vec<Login> {
        let Some(login) = &contract.rest.login else { return Vec::new() };
        let cookie = match &login.carried {
            Carried::Cookie(name) => Some(name.clone()),
            Carried::Cookies => Some("session".to_string()),
            Carried::Header { .. } | Carried::Param(_) => None,
        };
        let new = |method: &str, path: &str, places: &[&Pointer]| {
            let mut message = Value::Object(Map::new());
            places.iter().for_each(|at| put(&mut message, at, TOKEN));
            let route = Route::of_request(path, Vec::new());
            let bytes = message.to_string().into_bytes().into();
            Login {
                method: method.to_string(),
                below: route.below(&contract.rest.base_url),
                route,
                body: Body { status: 200, kind: JSON, bytes },
                cookie: cookie.clone(),
            }
        };
        let mut places = vec![&login.token];
        places.extend(login.refresh.as_ref().map(|refresh| &refresh.from));
        let first = new(&login.method, &login.path, &places);
        let refresh = login.refresh.as_ref();
        let refresh = refresh.map(|r| new(&login.method, &r.path, &[&r.token, &r.from]));
        std::iter::once(first).chain(refresh).collect()
    }

    /// The answer, and a cookie to set, where this is what is asked for.
    pub(super) fn answer(&self, method: &str, target: &str) -> Option<(Body, Option<String>)> {
        let is_path = self.route.is(target) || self.below.as_ref().is_some_and(|route| route.is(target));
        let cookie = self.cookie.as_ref().map(|name| format!("{name}={TOKEN}; Path=/"));
        (is_path && method == self.method).then(|| (self.body.clone(), cookie))
    }
}

/// Puts a text at a place, with objects on the way there; where something else stands, that stays.
fn put(message: &mut Value, at: &Pointer, text: &str) {
    let mut place = message;
    for name in &at.0 {
        let Value::Object(members) = place else { return };
        place = members.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    if !at.0.is_empty() {
        *place = Value::String(text.to_string());
    }
}
