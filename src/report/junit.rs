//! Owns `junit.xml`: a test suite a feature, a test case a check, as continuous integration reads it.
//! Must not make a lack of evidence look like a pass: INCONCLUSIVE is an `error`.

use super::terminal::clean;
use crate::model::{CheckResult, FeatureOutcome, Outcome, Verdict};

pub const FILE: &str = "junit.xml";

/// The whole file.
pub fn to_xml(outcome: &Outcome) -> Vec<u8> {
    let all = outcome.features.iter().map(Tally::of).fold(Tally::default(), Tally::plus);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str(&format!("<testsuites name=\"{}\"{}>\n", escaped(&outcome.tool), all.attributes()));
    for feature in &outcome.features {
        suite(&mut xml, feature);
    }
    xml.push_str("</testsuites>\n");
    xml.into_bytes()
}

fn suite(xml: &mut String, feature: &FeatureOutcome) {
    let name = escaped(&feature.name);
    xml.push_str(&format!("  <testsuite name=\"{name}\"{}>\n", Tally::of(feature).attributes()));
    for check in &feature.checks {
        case(xml, &name, check);
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, suite: &str, check: &CheckResult) {
    xml.push_str(&format!(
        "    <testcase classname=\"{suite}.{}\" name=\"{}\"",
        check.phase.name(),
        check.check
    ));
    let observed = escaped(&check.observed);
    let said = escaped(&format!(
        "observed: {}\nlimit: {}\nevidence: {}\nnote: {}\nrule: {}",
        check.observed, check.limit, check.evidence, check.note, check.rule
    ));
    match check.verdict {
        Some(Verdict::Pass) => xml.push_str("/>\n"),
        Some(Verdict::Fail) => xml.push_str(&format!(
            ">\n      <failure message=\"{observed}\" type=\"FAIL\">{said}</failure>\n    </testcase>\n"
        )),
        Some(Verdict::Inconclusive) => xml.push_str(&format!(
            ">\n      <error message=\"{observed}\" type=\"INCONCLUSIVE\">{said}</error>\n    </testcase>\n"
        )),
        None => xml.push_str(">\n      <skipped message=\"not asked\"/>\n    </testcase>\n"),
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Tally {
    fn of(feature: &FeatureOutcome) -> Tally {
        let count = |verdict| feature.checks.iter().filter(|check| check.verdict == verdict).count();
        Tally {
            tests: feature.checks.len(),
            failures: count(Some(Verdict::Fail)),
            errors: count(Some(Verdict::Inconclusive)),
            skipped: count(None),
        }
    }

    fn plus(self, other: Tally) -> Tally {
        Tally {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
        }
    }

    fn attributes(self) -> String {
        let Tally { tests, failures, errors, skipped } = self;
        format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
    }
}

/// Text that is neither markup nor a character that XML 1.0 cannot hold.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push_str("&#10;");
        }
        for c in clean(line).chars() {
            match c {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
                c => out.push(c),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn text(outcome: &Outcome) -> String {
        String::from_utf8(to_xml(outcome)).unwrap()
    }

    #[test]
    fn each_check_is_a_case() {
        let xml = text(&sample::failing());
        assert!(xml.contains(
            "<testsuites name=\"cutover 0.1.0\" tests=\"40\" failures=\"1\" errors=\"1\" skipped=\"16\">"
        ));
        assert!(xml.contains(
            "<testcase classname=\"positions.before-enabling\" name=\"values-match\">\n      <fail"
        ));
        assert!(xml.contains("<error message=\"drift +0.1 %, 3 ticks\" type=\"INCONCLUSIVE\">"));
        assert_eq!(xml.matches("<testcase ").count(), 40);
        // One failure, one error and sixteen skips have content; the passes have none.
        assert_eq!(xml.matches("</testcase>").count(), 18);
    }

    #[test]
    fn hostile_text_is_no_markup() {
        let xml = text(&sample::hostile());
        assert!(!xml.contains("<script>"));
        assert!(!xml.chars().any(|c| crate::model::text::is_control(c) && c != '\n'));
    }
}
