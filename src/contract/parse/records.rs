//! Where a side's records stand in its bodies (`records`, `index`, `except`, `flatten`, `join`, `absent`), and what a
//! body says of those that it leaves out (`mode`, `removed`, `changed`).
//!
//! Owns which of these have an effect beside which. What is made of a record's fields is `field`'s.

use super::connection::{place_or_report, pointer_or_report};
use super::reader::Table;
use crate::contract::{Mode, Pointer, Records, Tree, spelling};

/// Between the names of a leaf's path.
const JOIN: &str = "/";

pub fn records(table: &Table<'_, '_>) -> Records {
    let at = table.text("records").map(|text| pointer_or_report(table, &text)).unwrap_or_default();
    let index = table.filled_text("index").map(|text| text.value);
    let except = table.names("except").map(|list| list.value).unwrap_or_default();
    let flatten = table.filled_text("flatten");
    let join = table.text("join").map_or(JOIN.into(), |text| text.value);
    if flatten.is_none() {
        table.ineffective("join", "only the names of a flattened tree (`flatten`) are joined");
    }
    if index.is_none() {
        table.ineffective("except", "only members of an object that `index` names can be left out");
    }
    if let (Some(leaf), None) = (&flatten, &index) {
        let message = "`flatten` needs `index`, the field that the path of a leaf becomes";
        table.error(leaf.at.clone(), message);
    }
    Records {
        at,
        index,
        except: except.into_iter().map(|text| text.value).collect(),
        tree: flatten.map(|leaf| Tree { leaf: leaf.value, join }),
        may_lack: may_lack(table),
    }
}

/// `absent = "none"`
fn may_lack(table: &Table<'_, '_>) -> bool {
    const KNOWN: [(&str, bool); 2] = [("none", true), ("malformed", false)];
    let Some(text) = table.text("absent") else { return false };
    let found = KNOWN.iter().find(|(name, _)| *name == text.value);
    if found.is_none() {
        let cure = spelling::cure(&text.value, KNOWN.iter().map(|(name, _)| *name));
        table.error(
            text.at,
            &format!("`{}` is nothing that an absent list of records can be; {cure}", text.raw),
        );
    }
    found.is_some_and(|(_, may_lack)| *may_lack)
}

/// `mode = "snapshot"`: one of those that this side may have.
pub fn mode(table: &Table<'_, '_>, may: &[Mode]) -> Mode {
    let Some(text) = table.text("mode") else { return Mode::Upsert };
    let name = |mode: &Mode| match mode {
        Mode::Upsert => "upsert",
        Mode::Snapshot => "snapshot",
        Mode::Patch => "patch",
    };
    let found = may.iter().copied().find(|mode| name(mode) == text.value);
    if found.is_none() {
        let cure = spelling::cure(&text.value, may.iter().map(name));
        table.error(text.at, &format!("`{}` is no mode of this side; {cure}", text.raw));
    }
    found.unwrap_or_default()
}

/// `removed = "/event/r"`
pub fn removed(table: &Table<'_, '_>, mode: Mode) -> Option<Pointer> {
    if mode == Mode::Snapshot {
        table.ineffective("removed", "a snapshot says what is gone by leaving it out");
        return None;
    }
    table.filled_text("removed").map(|text| place_or_report(table, &text))
}

/// `changed = "+"`
pub fn changed(table: &Table<'_, '_>, mode: Mode) -> Option<String> {
    if mode != Mode::Patch {
        table.ineffective("changed", "it is where a patch stands in a record (`mode = \"patch\"`)");
        return None;
    }
    table.filled_text("changed").map(|text| text.value)
}
