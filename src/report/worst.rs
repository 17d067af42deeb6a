//! Owns which findings a reader sees first: grouped by class, feature and field, worst first.
//! Must not judge; what is failing was decided before.

use crate::model::{Class, Finding, Outcome, Severity, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Findings of one class, feature and field.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub class: Class,
    pub feature: Option<&'a str>,
    pub field: &'a str,
    pub severity: Severity,
    pub findings: u64,
    /// Whether `findings` counts all of them; else there may be more.
    pub exact: bool,
    pub episodes: u64,
    /// The most streams met in one episode; 0 where unknown.
    pub streams: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// All that is known of it is covered by a waiver.
    pub waived: bool,
    /// The finding to show: one that fails and has its records, if there is one.
    pub sample: Option<&'a Finding>,
}

/// All groups of an outcome, worst first.
pub(super) fn groups(outcome: &Outcome) -> Vec<Group<'_>> {
    let mut groups = BTreeMap::new();
    add_episodes(outcome, &mut groups);
    add_samples(outcome, &mut groups);
    let mut groups: Vec<_> = groups.into_values().collect();
    for (class, count) in &outcome.findings {
        // Counted, but neither sampled nor grouped: it is still said.
        if *count > 0 && !groups.iter().any(|group| group.class == *class) {
            groups.push(Group { findings: *count, ..Group::new(*class, None, "") });
        }
    }
    groups.sort_by_key(|g| (Reverse(g.severity), g.waived, Reverse(g.findings), g.class, g.feature, g.field));
    groups
}

type Groups<'a> = BTreeMap<(Class, Option<&'a str>, &'a str), Group<'a>>;

fn add_episodes<'a>(outcome: &'a Outcome, groups: &mut Groups<'a>) {
    for episode in &outcome.episodes {
        let key = (episode.class, episode.feature.as_deref(), episode.field.as_str());
        let group = groups.entry(key).or_insert_with(|| Group::new(key.0, key.1, key.2));
        group.findings += episode.findings;
        group.episodes += 1;
        group.streams = group.streams.max(episode.streams);
        group.see(episode.first);
        group.see(episode.last);
    }
}

fn add_samples<'a>(outcome: &'a Outcome, groups: &mut Groups<'a>) {
    for sample in &outcome.samples {
        let key = (sample.class, sample.feature.as_deref(), sample.field.as_str());
        let group = groups.entry(key).or_insert_with(|| Group::new(key.0, key.1, key.2));
        if group.episodes == 0 {
            group.exact = false;
            group.findings += 1;
            group.see(sample.at);
        }
        match group.sample {
            // The class's own severity stood in for what is known only now.
            None => (group.severity, group.waived) = (sample.severity, sample.waived),
            Some(_) => {
                group.severity = group.severity.max(sample.severity);
                group.waived &= sample.waived;
            }
        }
        if group.sample.is_none_or(|shown| worth(sample) > worth(shown)) {
            group.sample = Some(sample);
        }
    }
}

/// How much a sample tells; of equals the first is shown.
fn worth(finding: &Finding) -> (bool, Severity, bool) {
    let has_records = !(finding.rest_record.is_empty() && finding.ws_record.is_empty());
    (!finding.waived, finding.severity, has_records)
}

impl<'a> Group<'a> {
    fn new(class: Class, feature: Option<&'a str>, field: &'a str) -> Group<'a> {
        Group {
            class,
            feature,
            field,
            severity: class.severity(),
            findings: 0,
            exact: true,
            episodes: 0,
            streams: 0,
            first: None,
            last: None,
            waived: false,
            sample: None,
        }
    }

    fn see(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// `value_mismatch in positions, field pnl`.
    pub fn name(&self) -> String {
        let feature = self.feature.map(|feature| format!(" in {feature}")).unwrap_or_default();
        let field = if self.field.is_empty() { String::new() } else { format!(", field {}", self.field) };
        format!("{}{feature}{field}", self.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_worst_comes_first_and_nothing_is_lost() {
        let mut outcome = sample::failing();
        outcome.samples.push(sample::drop());
        let groups = groups(&outcome);
        let names: Vec<_> = groups.iter().map(|g| (g.name(), g.findings, g.exact)).collect();
        assert_eq!(
            names,
            [
                ("value_mismatch in positions, field pnl".to_string(), 26, true),
                ("connection_drop".to_string(), 1, false),
                ("late".to_string(), 3, true),
            ]
        );
        assert_eq!((groups[0].streams, groups[0].episodes), (4, 1));
    }

    #[test]
    fn what_is_waived_or_lowered_stands_behind() {
        let mut outcome = sample::failing();
        outcome.samples[0].waived = true;
        outcome.samples.push(sample::drop());
        assert_eq!(groups(&outcome)[0].class, Class::ConnectionDrop);
        outcome.samples[0].waived = false;
        outcome.samples[0].severity = Severity::Info;
        assert_eq!(groups(&outcome)[0].class, Class::ConnectionDrop);
        assert_eq!(groups(&outcome)[2].class, Class::ValueMismatch);
    }

    #[test]
    fn a_failing_sample_with_records_is_shown() {
        let mut outcome = sample::failing();
        let mut bare = sample::mismatch();
        (bare.rest_record, bare.ws_record, bare.stream) = (String::new(), String::new(), "bare".into());
        outcome.samples.insert(0, bare);
        assert_eq!(&*groups(&outcome)[0].sample.unwrap().stream, "account_id=123");
    }
}
