//! Owns `findings.csv` (SPEC §6): a line a finding, written one by one while the run goes on.
//! Must not hold findings back, so that memory does not grow with their number.

use super::cell::guarded;
use crate::model::{Finding, Timestamp};
use std::io::{self, Write};

pub const FILE: &str = "findings.csv";

pub const COLUMNS: [&str; 15] = [
    "class",
    "severity",
    "feature",
    "phase",
    "stream",
    "row",
    "field",
    "event_time",
    "at",
    "rest",
    "ws",
    "delta",
    "during_drop",
    "waived",
    "detail",
];

/// An open `findings.csv`; the header stands in it even when no finding follows.
pub struct FindingsCsv<W: Write> {
    csv: csv::Writer<W>,
    written: u64,
}

impl<W: Write> std::fmt::Debug for FindingsCsv<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FindingsCsv").field("written", &self.written).finish_non_exhaustive()
    }
}

impl<W: Write> FindingsCsv<W> {
    pub fn new(to: W) -> io::Result<FindingsCsv<W>> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(COLUMNS)?;
        csv.flush()?;
        Ok(FindingsCsv { csv, written: 0 })
    }

    pub fn write(&mut self, finding: &Finding) -> io::Result<()> {
        let instant = |t: Timestamp| t.to_string();
        let event_time = finding.event_time.map(instant).unwrap_or_default();
        let at = instant(finding.at);
        let truth = |yes| if yes { "true" } else { "false" };
        let row: [&str; COLUMNS.len()] = [
            finding.class.name(),
            finding.severity.name(),
            &guarded(finding.feature.as_deref().unwrap_or_default()),
            finding.phase,
            &guarded(&finding.stream),
            &guarded(&finding.row),
            &guarded(&finding.field),
            &event_time,
            &at,
            &guarded(&finding.rest),
            &guarded(&finding.ws),
            &guarded(&finding.delta),
            truth(finding.during_drop),
            truth(finding.waived),
            &guarded(&finding.detail),
        ];
        self.csv.write_record(row)?;
        self.written += 1;
        Ok(())
    }

    /// Findings written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Hands what is buffered to the writer beneath, e.g. each second of a live run.
    pub fn flush(&mut self) -> io::Result<()> {
        self.csv.flush()
    }

    /// Flushes, and gives the writer back so that its owner can close or rename what it writes to.
    pub fn finish(self) -> io::Result<W> {
        self.csv.into_inner().map_err(|error| io::Error::new(error.error().kind(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// The outside reader: every column by name, nothing besides.
    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Line {
        class: String,
        severity: String,
        feature: String,
        phase: String,
        stream: String,
        row: String,
        field: String,
        event_time: String,
        at: String,
        rest: String,
        ws: String,
        delta: String,
        during_drop: bool,
        waived: bool,
        detail: String,
    }

    fn written(findings: &[Finding]) -> String {
        let mut csv = FindingsCsv::new(Vec::new()).unwrap();
        for finding in findings {
            csv.write(finding).unwrap();
        }
        assert_eq!(csv.written(), findings.len() as u64);
        String::from_utf8(csv.finish().unwrap()).unwrap()
    }

    fn read(text: &str) -> Vec<Line> {
        csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn the_header_stands_alone_when_nothing_was_found() {
        assert_eq!(
            written(&[]),
            "class,severity,feature,phase,stream,row,field,event_time,at,rest,ws,delta,during_drop,waived,\
             detail\n"
        );
    }

    #[test]
    fn a_finding_comes_back_as_it_was() {
        let text = written(&[sample::mismatch(), sample::drop()]);
        let lines = read(&text);
        let expected = Line {
            class: "value_mismatch".into(),
            severity: "fail".into(),
            feature: "positions".into(),
            phase: "before-enabling".into(),
            stream: "account_id=123".into(),
            row: "symbol=AAPL".into(),
            field: "pnl".into(),
            event_time: "2025-12-19T14:31:02Z".into(),
            at: "2025-12-19T14:31:02.250Z".into(),
            rest: "1200.00".into(),
            ws: "1250.00".into(),
            delta: "50.00".into(),
            during_drop: false,
            waived: false,
            detail: String::new(),
        };
        assert_eq!(lines[0], expected);
        assert_eq!((lines[1].feature.as_str(), lines[1].event_time.as_str()), ("", ""));
        assert!(lines[1].during_drop);
    }

    #[test]
    fn hostile_cells_stay_one_line_and_run_nothing() {
        let mut finding = sample::mismatch();
        finding.rest = "=HYPERLINK(\"http://x\")".into();
        finding.ws = "two\nlines, \"quoted\" \u{1b}[2J".into();
        finding.delta = "-50.00".into();
        finding.detail = "comma, \"quote\"".into();
        let text = written(&[finding]);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{1b}'));
        let line = read(&text).remove(0);
        assert_eq!(line.rest, "'=HYPERLINK(\"http://x\")");
        let ws: String = serde_json::from_str(&line.ws).unwrap();
        assert_eq!(ws, "two\nlines, \"quoted\" \u{1b}[2J");
        assert_eq!((line.delta.as_str(), line.detail.as_str()), ("-50.00", "comma, \"quote\""));
    }
}
