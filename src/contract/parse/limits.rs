//! `[checks.X]` and `[feature.checks.X]`: the limits of the checks.
//!
//! Owns which check has which limit. A table for a check that does not exist, or without limits, is an error.

use super::reader::Table;
use crate::contract::{Cadence, Limits, Retired, spelling};

/// Asked only where its table stands.
const RETIRED: &str = "rest-retired";

/// Every check, and the keys that set its limits.
const CHECKS: [(&str, &[&str]); 14] = [
    ("messages-seen", &["min_messages", "strict_streams"]),
    ("interval-match", &["drift", "jitter", "min_ticks"]),
    ("required-fields", &["min_messages", "strict_types"]),
    ("no-drops", &[]),
    ("no-gaps", &["min_ticks"]),
    ("values-match", &["min_pairs"]),
    ("websocket-only", &[]),
    ("resources-flat", &["shift", "significance", "min_samples"]),
    ("logs-clean", &[]),
    ("sessions-covered", &["sessions", "coverage"]),
    ("values-proven", &[]),
    ("prod-logs-clean", &[]),
    (RETIRED, &["sessions", "silence", "ignore"]),
    ("signed-off", &[]),
];

/// The file's `[checks.X]`, which hold for every feature.
pub fn top(root: &Table<'_, '_>) -> Limits {
    let mut limits = Limits::default();
    read(root, &mut limits);
    limits
}

/// A feature's own `[feature.checks.X]` over the file's.
pub fn of_feature(feature: &Table<'_, '_>, defaults: &Limits, cadence: Cadence) -> Limits {
    let mut limits = defaults.clone();
    read(feature, &mut limits);
    if cadence == Cadence::OnChange
        && let Some(checks) = feature.table("checks")
        && checks.has("interval-match")
    {
        checks.ineffective("interval-match", "an \"on-change\" feature has no ticks");
    }
    limits
}

fn read(owner: &Table<'_, '_>, limits: &mut Limits) {
    let Some(checks) = owner.table("checks") else { return };
    let mut ticks: Option<u64> = None;
    for (name, value) in checks.members() {
        let Some((check, keys)) = CHECKS.iter().find(|(check, _)| *check == name.value) else {
            let cure = spelling::cure(name.value, CHECKS.iter().map(|(check, _)| *check));
            checks.error(name.at, &format!("unknown check `{}`; {cure}", name.value));
            continue;
        };
        if keys.is_empty() {
            checks.error(name.at, &format!("check `{check}` has no limits to set; remove this table"));
            continue;
        }
        let Some(table) = checks.member_table(&name, value) else { continue };
        if *check == RETIRED {
            limits.retired.get_or_insert_default();
        }
        let before = limits.min_ticks;
        for key in *keys {
            limit(&table, check, key, limits);
        }
        table.finish();
        if table.has("min_ticks") {
            let min_ticks = std::mem::replace(&mut limits.min_ticks, before);
            if ticks.is_some_and(|ticks| ticks != min_ticks) {
                table.error_at_head(
                    "`min_ticks` of `interval-match` and of `no-gaps` is one number; make them equal",
                );
            }
            ticks = Some(min_ticks);
        }
    }
    limits.min_ticks = ticks.unwrap_or(limits.min_ticks);
}

fn limit(table: &Table<'_, '_>, check: &str, key: &'static str, limits: &mut Limits) {
    let count = |slot: &mut u64| *slot = table.count(key).map_or(*slot, |count| count.value);
    let flag = |slot: &mut bool| *slot = table.boolean(key).map_or(*slot, |flag| flag.value);
    let fraction = |slot: &mut f64| {
        let Some(found) = table.fraction(key) else { return };
        if found.value == 0.0 {
            table.error(
                found.at,
                &format!("`{key}` of zero cannot be met or has no meaning; write it as in \"2%\""),
            );
        } else {
            *slot = found.value;
        }
    };
    if check == RETIRED {
        return retired(table, key, limits.retired.get_or_insert_default());
    }
    match (check, key) {
        ("required-fields", "min_messages") => count(&mut limits.min_required_messages),
        (_, "min_messages") => count(&mut limits.min_messages),
        (_, "min_ticks") => count(&mut limits.min_ticks),
        (_, "min_pairs") => count(&mut limits.min_pairs),
        (_, "min_samples") => count(&mut limits.min_samples),
        (_, "sessions") => count(&mut limits.sessions),
        (_, "strict_types") => flag(&mut limits.strict_types),
        (_, "strict_streams") => flag(&mut limits.strict_streams),
        (_, "drift") => fraction(&mut limits.drift),
        (_, "jitter") => fraction(&mut limits.jitter),
        (_, "coverage") => fraction(&mut limits.coverage),
        (_, "shift") => fraction(&mut limits.shift),
        (_, "significance") => fraction(&mut limits.significance),
        _ => {}
    }
}

fn retired(table: &Table<'_, '_>, key: &'static str, limits: &mut Retired) {
    match key {
        "sessions" => limits.sessions = table.count(key).map(|count| count.value).or(limits.sessions),
        "silence" => limits.silence = table.duration(key).map_or(limits.silence, |span| span.value),
        _ => {
            if let Some(names) = table.names(key) {
                limits.ignore = names.value.into_iter().map(|name| name.value).collect();
            }
        }
    }
}
