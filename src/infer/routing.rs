//! Which member of a frame tells messages apart. Must not look into records.

use crate::model::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Members that usually say what a message is, the likeliest first.
const NAMES: [&str; 12] = [
    "type",
    "msg_type",
    "message_type",
    "event_type",
    "topic",
    "channel",
    "event",
    "kind",
    "stream",
    "action",
    "op",
    "method",
];
/// More kinds than these are no kinds.
const MOST_KINDS: usize = 200;

/// Where the message type stands, and in how many of the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    pub at: Vec<String>,
    pub frames: usize,
    pub of: usize,
    pub kinds: usize,
}

/// `None`: no member of most frames tells them apart.
pub fn routing(frames: &[&Tree]) -> Option<Routing> {
    let mut candidates: BTreeSet<Vec<String>> = BTreeSet::new();
    for frame in frames {
        for (name, value) in frame.members() {
            if value.is_scalar() {
                candidates.insert(vec![name.clone()]);
            }
            for (inner, value) in value.members() {
                if value.is_scalar() {
                    candidates.insert(vec![name.clone(), inner.clone()]);
                }
            }
        }
    }
    let ranked = candidates.into_iter().filter_map(|at| rank(frames, at));
    ranked.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, routing)| routing)
}

type Rank = (usize, usize, usize);

/// By how many frames have it, how well its values foretell their members, and what it is called.
fn rank(frames: &[&Tree], at: Vec<String>) -> Option<(Rank, Routing)> {
    let mut shapes: BTreeMap<&str, BTreeMap<Vec<&str>, usize>> = BTreeMap::new();
    let mut present = 0;
    for frame in frames {
        let Some(Tree::Text(kind)) = frame.at(&at) else { continue };
        present += 1;
        *shapes.entry(kind).or_default().entry(members(frame)).or_default() += 1;
    }
    let called = NAMES.iter().position(|name| at.last().is_some_and(|last| last.eq_ignore_ascii_case(name)));
    let kinds = shapes.len();
    let told = shapes.values().flat_map(|shapes| shapes.values().max()).sum::<usize>();
    let tells_apart = kinds >= 2 && told * 10 >= present * 8;
    let usable = present * 10 >= frames.len() * 8
        && kinds <= MOST_KINDS
        && (called.is_some() || (tells_apart && kinds * 3 <= present && at.len() == 1));
    let rank = (
        called.map_or(0, |place| NAMES.len() - place) + if at.len() == 1 { NAMES.len() } else { 0 },
        present,
        told,
    );
    usable.then_some((rank, Routing { at, frames: present, of: frames.len(), kinds }))
}

/// The names of a frame's members and of those within them.
fn members(frame: &Tree) -> Vec<&str> {
    let mut names: Vec<&str> = frame
        .members()
        .iter()
        .flat_map(|(name, value)| {
            std::iter::once(name.as_str()).chain(value.members().iter().map(|(n, _)| n.as_str()))
        })
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frames: &[&str], expect: Option<&str>) {
        let trees: Vec<Tree> = frames.iter().map(|text| Tree::read(text).unwrap()).collect();
        let found = routing(&trees.iter().collect::<Vec<_>>());
        assert_eq!(found.map(|routing| routing.at.join("/")).as_deref(), expect, "{frames:?}");
    }

    #[test]
    fn the_member_that_tells_messages_apart() {
        check(&[r#"{"type":"a","data":{"type":"x"}}"#, r#"{"type":"b","data":{"type":"y"}}"#], Some("type"));
        check(&[r#"{"topic":"a","source":"s"}"#, r#"{"topic":"b","source":"s"}"#], Some("topic"));
        check(
            &[r#"{"event":{"event_type":"a"}}"#, r#"{"event":{"event_type":"b"}}"#],
            Some("event/event_type"),
        );
        let unnamed = [r#"{"m":"p","x":1}"#, r#"{"m":"q","y":1}"#];
        check(&[unnamed, unnamed, unnamed].concat(), Some("m"));
    }

    #[test]
    fn nothing_may_tell_them_apart() {
        check(&[], None);
        check(&["[1]", "3"], None);
        check(&[r#"{"price":"1.5"}"#, r#"{"price":"1.6"}"#], None);
    }
}
