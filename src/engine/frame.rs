//! By what a frame is known, and where that leads. Reads no record.

use super::extract::whole;
use super::plan::{Plan, Route, Says};
use crate::model::json::{Kind, NotJson, Scanner, Slot, scalar};

/// Where a frame belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    Ignored,
    /// A sign of life, and nothing else.
    Keepalive,
    NoType,
    Unknown(String),
    /// A group of the plan's.
    Features(usize),
    /// Features of several groups.
    Several(Vec<usize>),
    /// The frame is a list of messages.
    Messages,
}

/// The elements of a list, each as its text.
pub fn elements(text: &str) -> impl Iterator<Item = &str> {
    let mut scanner = Scanner::new(text);
    let is_list = scanner.peek() == Kind::Array;
    if is_list {
        scanner.enter();
    }
    let mut first = true;
    std::iter::from_fn(move || {
        if !is_list || !scanner.element(&mut first).ok()? {
            return None;
        }
        Some(scanner.value().ok()?.raw(text))
    })
}

/// The names of an object's members, without quotes and as they are written.
pub fn members(text: &str) -> impl Iterator<Item = &str> {
    let mut scanner = Scanner::new(text);
    let is_object = scanner.peek() == Kind::Object;
    if is_object {
        scanner.enter();
    }
    let mut first = true;
    std::iter::from_fn(move || {
        let (name, _) = if is_object { scanner.member(&mut first).ok()?? } else { return None };
        scanner.value().ok()?;
        Some(name)
    })
}

/// Finds by what a frame is known and where that leads; a frame that leads nowhere is still read whole, so
/// that damage shows.
pub fn route(plan: &Plan, text: &str) -> Result<Routed, NotJson> {
    let found = match plan.has.is_empty() {
        true => None,
        false => by_presence(plan, text)?,
    };
    let routed = match found {
        Some(routed) => routed,
        None => by_type(plan, text)?,
    };
    match routed {
        Routed::Features(_) | Routed::Several(_) => Ok(routed),
        _ => whole(text).map(|()| routed),
    }
}

/// What stands in the frame, whatever type it says it is.
fn by_presence(plan: &Plan, text: &str) -> Result<Option<Routed>, NotJson> {
    let (mut groups, mut ignored) = (Vec::new(), false);
    for (at, route) in &plan.has {
        let slot = find(&mut Scanner::new(text), at)?;
        match route {
            _ if matches!(slot.kind, Kind::Absent | Kind::Null) => {}
            Route::Features(group) => groups.push(*group),
            Route::Ignored | Route::Keepalive => ignored = true,
        }
    }
    Ok(match groups[..] {
        [] => ignored.then_some(Routed::Ignored),
        [group] => Some(Routed::Features(group)),
        _ => {
            let mut features: Vec<usize> = Vec::new();
            for feature in groups.iter().flat_map(|group| plan.group(*group)) {
                if !features.contains(feature) {
                    features.push(*feature);
                }
            }
            Some(Routed::Several(features))
        }
    })
}

/// The text at the first place where it is one that leads somewhere; else what the last place says.
fn by_type(plan: &Plan, text: &str) -> Result<Routed, NotJson> {
    let mut unknown = None;
    for says in &plan.says {
        let slot = told(text, says)?;
        unknown = match slot.kind {
            Kind::Absent | Kind::Null | Kind::Object | Kind::Array => None,
            _ => {
                let kind = slot.scalar(text);
                match says.route(&kind) {
                    Some(Route::Features(group)) => return Ok(Routed::Features(group)),
                    Some(Route::Ignored) => return Ok(Routed::Ignored),
                    Some(Route::Keepalive) => return Ok(Routed::Keepalive),
                    None => Some(kind.into_owned()),
                }
            }
        };
    }
    Ok(match unknown {
        Some(kind) => Routed::Unknown(kind),
        None if elements(text).next().is_some() => Routed::Messages,
        None => Routed::NoType,
    })
}

/// What a frame says at one of the places where it may say what it is.
fn told(text: &str, says: &Says) -> Result<Slot, NotJson> {
    let mut scanner = Scanner::new(text);
    if let Some(head) = &says.head
        && scanner.peek() == Kind::Object
    {
        scanner.enter();
        if scanner.expect_member(head, &mut true) {
            return scanner.value();
        }
    }
    find(&mut Scanner::new(text), &says.at)
}

/// The first value at a pointer; what follows it is not read.
pub(super) fn find(scanner: &mut Scanner<'_>, path: &[String]) -> Result<Slot, NotJson> {
    let Some((name, rest)) = path.split_first() else {
        return scanner.value();
    };
    if scanner.peek() != Kind::Object {
        return Ok(Slot::default());
    }
    scanner.enter();
    let mut first = true;
    while let Some((member, escaped)) = scanner.member(&mut first)? {
        if member == name || (escaped && unescaped(member) == *name) {
            return find(scanner, rest);
        }
        scanner.value()?;
    }
    Ok(Slot::default())
}

pub(super) fn unescaped(name: &str) -> String {
    scalar(&format!("\"{name}\"")).into_owned()
}
