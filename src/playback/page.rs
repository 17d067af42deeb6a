//! Answers in pages: a recording has all pages of a poll as one list; who asks gets them one by one, as the
//! server gave them.

use super::step::{Body, JSON};
use crate::contract::Pages;
use crate::engine::route::Route;
use serde_json::Value;
use serde_json::value::RawValue;

/// The page that a target asks for: the one that another names as its next, else the first. A body that is
/// no list is one page.
pub(super) fn asked(pages: &Pages, body: &Body, target: &str) -> Body {
    let Ok(list) = serde_json::from_slice::<Vec<&RawValue>>(&body.bytes) else { return body.clone() };
    let follows = |page: &&RawValue| {
        let page: Option<Value> = serde_json::from_str(page.get()).ok();
        page.is_some_and(|page| leads_to(pages, &page, target))
    };
    let place = list.iter().position(follows).map_or(0, |before| before + 1);
    match list.get(place) {
        Some(page) => Body { status: body.status, kind: JSON, bytes: page.get().as_bytes().into() },
        None => body.clone(),
    }
}

fn leads_to(pages: &Pages, page: &Value, target: &str) -> bool {
    let next = match pages.next.find(page) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) if pages.param.is_some() => number.to_string(),
        _ => return false,
    };
    match &pages.param {
        Some(param) => Route::of_request("", vec![(param.clone(), next)]).query_fits(target),
        None => next.contains('?') && Route::of_request(&next, Vec::new()).query_fits(target),
    }
}
