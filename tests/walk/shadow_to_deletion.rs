//! The scripted walk over simulated sessions: what is asked at each gate, and what closes it.

use super::support::{Beside, FEATURE, FLAG, Place, contract, session};

const ENV: &str = "# flags\r\nSECRET=\"a b\"\r\nexport WS_FEATURE_ACCOUNT_BALANCE='false' # theirs\r\n\
                   WS_FEATURE_POSITIONS=false\r\n";

/// A folder with a contract that names ann, her key and an env file.
fn place() -> Place {
    let place = Place::new();
    let (code, declared) = place.run(&["sign", "--new-key", "ann.key", "--as", "ann"]);
    assert_eq!(code, 0, "{declared}");
    place.write("c.toml", &contract(declared.lines().next().unwrap()));
    place.write(".env", ENV);
    place
}

/// Judges a capture into the evidence and gives its report folder.
fn store(place: &Place, capture: &str, phases: &[&str], more: &[&str]) -> String {
    let mut words = vec!["replay", capture, "-q", "--evidence", "ev", "--feature", FEATURE];
    phases.iter().for_each(|phase| words.extend(["--phase", phase]));
    words.extend(more);
    let (code, text) = place.run(&words);
    assert!([0, 1, 3].contains(&code), "{text}");
    text.trim_end().lines().last().unwrap().to_string()
}

fn gate(place: &Place, code: i32, phase: &str) -> String {
    place.expect(code, &format!("gate --feature {FEATURE} --phase {phase} --evidence ev"))
}

fn enable(place: &Place, code: i32, feature: &str) -> String {
    place.expect(code, &format!("enable {feature} --env-file .env --evidence ev --contract c.toml"))
}

/// What `status` says comes next for the feature.
fn next(place: &Place) -> String {
    let text = place.expect(0, "status --env-file .env --evidence ev --contract c.toml --format json");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let features = told["features"].as_array().unwrap();
    let own = features.iter().find(|f| f["feature"] == FEATURE).unwrap();
    own["next"].as_str().unwrap().to_string()
}

/// Its sessions count, but nobody judged the logs of them.
const BEFORE: &[&str] = &["before-enabling"];
const ENABLED: &[&str] = &["before-enabling", "after-enabling", "before-deleting"];
const DELETING: &[&str] = &["before-enabling", "before-deleting"];

fn shadow() -> Beside {
    Beside::default().process(180).log(1.0, "started")
}

fn enabled() -> Beside {
    Beside::default().process(183).log(1.0, "INFO fine").page()
}

fn last() -> Beside {
    Beside::default().log(1.0, "INFO fine")
}

/// The whole way with these faults on the three days, and what stands beside them; sign where it can.
struct Walk<'w> {
    faults: [&'w [&'w str]; 3],
    enabled: Beside,
    last: Option<Beside>,
    contract: fn(String) -> String,
}

impl Default for Walk<'_> {
    fn default() -> Self {
        Walk { faults: [&[]; 3], enabled: enabled(), last: Some(last()), contract: |text| text }
    }
}

impl Walk<'_> {
    fn walk(self) -> Place {
        let place = place();
        place.write("c.toml", &(self.contract)(place.read("c.toml")));
        let capture = session(&place, 18, self.faults[0], shadow(), false);
        let baseline = store(&place, &capture, BEFORE, &[]);
        let capture = session(&place, 19, self.faults[1], self.enabled, true);
        store(&place, &capture, ENABLED, &["--baseline", &baseline]);
        if let Some(last) = self.last {
            let capture = session(&place, 20, self.faults[2], last, true);
            store(&place, &capture, DELETING, &[]);
        }
        place
    }
}

fn sign(place: &Place, code: i32) -> String {
    place.expect(
        code,
        &format!("sign --feature {FEATURE} --phase before-deleting --as ann --key ann.key --evidence ev"),
    )
}

#[test]
fn one_feature_walks_from_shadow_to_deletion() {
    let place = place();
    // Nothing is known yet.
    let told = gate(&place, 2, "before-enabling");
    assert!(told.contains("no run is stored in ev"), "{told}");
    assert!(enable(&place, 3, FEATURE).contains("no evidence was given"));
    assert!(
        next(&place)
            .starts_with("cutover watch --contract c.toml --feature account_balance --phase before-enabling")
    );

    // Too short a shadow run: the gate stays closed, and nothing changes.
    let short = [
        "simulate",
        "short.jsonl",
        "--contract",
        "c.toml",
        "--from",
        "2025-12-17T14:30:00Z",
        "--for",
        "40s",
        "-q",
    ];
    assert_eq!(place.run(&short).0, 0);
    store(&place, "short.jsonl", BEFORE, &[]);
    gate(&place, 3, "before-enabling");
    let told = enable(&place, 3, FEATURE);
    assert!(told.contains("INCONCLUSIVE") && told.contains("not enabled (.env:3)"), "{told}");
    assert_eq!(place.read(".env"), ENV);

    let capture = session(&place, 18, &[], shadow(), false);
    let baseline = store(&place, &capture, BEFORE, &[]);
    assert!(gate(&place, 0, "before-enabling").ends_with("gate account_balance before-enabling: open\n"));
    assert_eq!(next(&place), "cutover enable account_balance --env-file .env --evidence ev");
    let told = enable(&place, 0, FEATURE);
    assert!(told.contains("WS_FEATURE_ACCOUNT_BALANCE enabled (.env:3)"), "{told}");
    assert_eq!(place.read(".env"), ENV.replacen("BALANCE='false'", "BALANCE='true'", 1));
    assert!(enable(&place, 0, FEATURE).contains("enabled already"));

    // One at a time.
    let (code, told) =
        place.run(&["replay", &capture, "-q", "--feature", "positions", "--report-dir", "positions"]);
    assert_eq!(code, 0, "{told}");
    let told = place.expect(2, "enable positions --env-file .env --contract c.toml --evidence ev positions");
    assert!(
        told.contains("WS_FEATURE_ACCOUNT_BALANCE is true in .env and its after-enabling is INCONCLUSIVE"),
        "{told}"
    );
    assert!(place.read(".env").contains("WS_FEATURE_POSITIONS=false"));
    let step = next(&place);
    assert!(step.contains("--phase after-enabling") && step.contains("--tap ADDRESS=URL"), "{step}");

    gate(&place, 3, "after-enabling");
    let capture = session(&place, 19, &[], enabled(), true);
    store(&place, &capture, ENABLED, &["--baseline", &baseline]);
    gate(&place, 0, "after-enabling");
    gate(&place, 3, "before-deleting");
    assert!(sign(&place, 2).contains("is INCONCLUSIVE"));

    let capture = session(&place, 20, &[], last(), true);
    store(&place, &capture, DELETING, &[]);
    let told = gate(&place, 3, "before-deleting");
    assert!(told.contains("ann: has not signed"), "{told}");
    assert_eq!(
        next(&place),
        "cutover sign --feature account_balance --phase before-deleting --as NAME --key NAME.key --evidence ev"
    );
    sign(&place, 0);
    gate(&place, 0, "before-deleting");
    assert_eq!(next(&place), "none: the evidence allows to delete its REST timer");
    let told = place.expect(0, "verify --evidence ev");
    assert!(told.starts_with("evidence.jsonl: valid: 5 lines, the last is "), "{told}");

    // A run that is stored later and fails takes all of it back.
    let capture = session(&place, 21, &["value_mismatch:feature=account_balance"], last(), true);
    store(&place, &capture, DELETING, &[]);
    let told = gate(&place, 1, "before-deleting");
    assert!(told.contains("after the signature, and fails"), "{told}");
    assert_eq!(next(&place), "cutover rollback account_balance --env-file .env --contract c.toml");
}

#[test]
fn a_changed_byte_of_the_evidence_closes_the_gate_and_says_where() {
    let place = Walk::default().walk();
    sign(&place, 0);
    gate(&place, 0, "before-deleting");
    let chain = place.read("ev/evidence.jsonl");
    let second: serde_json::Value = serde_json::from_str(chain.lines().nth(1).unwrap()).unwrap();
    let report = format!("ev/{}", second["file"].as_str().unwrap());
    let was = place.read(&report);
    place.write(&report, &was.replacen("PASS", "PASS ", 1));
    let told = gate(&place, 4, "before-deleting");
    assert!(
        told.contains("evidence.jsonl is broken in line 2") && told.contains("was changed after"),
        "{told}"
    );
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.contains("evidence.jsonl: not valid: ") && told.contains("line 2"), "{told}");
    place.write(&report, &was);
    // A capture beside its report, which was signed.
    let run = report.strip_suffix("/report.json").unwrap();
    let capture = ["18.jsonl", "19.jsonl", "20.jsonl"][1];
    place.write(&format!("{run}/capture.jsonl"), &place.read(capture));
    gate(&place, 0, "before-deleting");
    place
        .write(&format!("{run}/capture.jsonl"), &place.read(capture).replacen("\"cash\":1", "\"cash\":2", 1));
    let told = in_one_line(&gate(&place, 1, "before-deleting"));
    assert!(
        told.contains("signed-off") && told.contains("capture.jsonl was changed after it was judged"),
        "{told}"
    );
    let told = in_one_line(&place.expect(0, "status --env-file .env --evidence ev --contract c.toml"));
    assert!(told.contains("! signed-off: ") && told.contains("capture.jsonl was changed"), "{told}");
    std::fs::remove_file(place.path(&format!("{run}/capture.jsonl"))).unwrap();
    // What reviewers open.
    for page in ["report.html", "signoff.csv", "findings.csv", "summary.md", "junit.xml"] {
        let path = format!("{run}/{page}");
        let was = place.read(&path);
        place.write(&path, &format!("{was}\n"));
        let told = in_one_line(&gate(&place, 1, "before-deleting"));
        let why = format!("{page} was changed after it was judged: ");
        assert!(told.contains("signed-off") && told.contains(&why), "{told}");
        let told = in_one_line(&place.expect(0, "status --env-file .env --evidence ev --contract c.toml"));
        assert!(told.contains("! signed-off: ") && told.contains(&why), "{told}");
        assert!(place.expect(1, "verify --evidence ev").contains(&format!("{page}: not valid: was changed")));
        std::fs::remove_file(place.path(&path)).unwrap();
        gate(&place, 0, "before-deleting");
        place.write(&path, &was);
    }
    // A line that was left out.
    let kept: String =
        chain.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| l).collect();
    place.write("ev/evidence.jsonl", &kept);
    let told = gate(&place, 4, "before-deleting");
    assert!(told.contains("broken in line 2: it does not follow the line before it"), "{told}");
    // Nothing more is stored behind a broken chain.
    let (code, told) = place.run(&["replay", "20.jsonl", "-q", "--evidence", "ev"]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("could not store evidence in ev"), "{told}");
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The gate of the phase closes with this exit code, because of this check, in these words.
fn closes(walk: Walk<'_>, phase: &str, code: i32, check: &str, words: &str) {
    let place = walk.walk();
    let told =
        place.expect(code, &format!("gate --feature {FEATURE} --phase {phase} --evidence ev --format json"));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let checks = told["features"][0]["checks"].as_array().unwrap();
    let found = checks.iter().find(|c| c["check"] == check && c["phase"] == phase).unwrap();
    let verdict = if code == 1 { "FAIL" } else { "INCONCLUSIVE" };
    assert_eq!(found["verdict"], verdict, "{found}");
    let why = format!("{} {}", found["observed"], found["note"]);
    assert!(why.contains(words), "{check}: {why}");
    // Nobody signs that, and nothing of it is enabled where it is not yet.
    sign(&place, 2);
    if phase == "before-enabling" {
        let told = enable(&place, code, FEATURE);
        assert!(told.contains(&format!("{verdict} {check}: ")), "{told}");
        assert!(place.read(".env").contains(&format!("{FLAG}='false'")));
    }
}

#[test]
fn each_check_before_enabling_closes_the_gate() {
    for (fault, check, words) in [
        ("interval_drift:feature=account_balance", "interval-match", "interval_drift"),
        ("missing_field:feature=account_balance", "required-fields", "missing_field"),
        ("connection_drop", "no-drops", "connection_drop"),
        ("gap:feature=account_balance", "no-gaps", "gap"),
        ("value_mismatch:feature=account_balance", "values-match", "value_mismatch"),
    ] {
        closes(Walk { faults: [&[fault], &[], &[]], ..Walk::default() }, "before-enabling", 1, check, words);
    }
}

#[test]
fn a_stream_that_never_came_closes_the_gate() {
    let place = place();
    let capture = session(&place, 18, &[], shadow(), false);
    let silent: String = place
        .read(&capture)
        .split_inclusive('\n')
        .filter(|line| !(line.contains("\"kind\":\"ws\"") && line.contains("account_balance")))
        .collect();
    place.write(&capture, &silent);
    store(&place, &capture, BEFORE, &[]);
    let told = gate(&place, 1, "before-enabling");
    assert!(told.contains("messages-seen") && told.contains("0 of 2 streams came"), "{told}");
    enable(&place, 1, FEATURE);
    assert_eq!(place.read(".env"), ENV);
}

#[test]
fn each_check_after_enabling_closes_the_gate() {
    let walk = |enabled: Beside| Walk { enabled, ..Walk::default() };
    let phase = "after-enabling";
    closes(walk(enabled().polls()), phase, 1, "websocket-only", "rest_still_polled");
    let no_frontend = Beside::default().process(183).log(1.0, "INFO fine");
    closes(walk(no_frontend), phase, 3, "websocket-only", "frontend");
    let more = Beside::default().process(240).log(1.0, "INFO fine").page();
    closes(walk(more), phase, 1, "resources-flat", "resource_increase");
    closes(walk(enabled().log(60.0, "ERROR websocket closed 1006")), phase, 1, "logs-clean", "log_error");
    let fault = ["value_mismatch:feature=account_balance"];
    closes(
        Walk { faults: [&[], &fault, &[]], ..Walk::default() },
        phase,
        1,
        "values-match",
        "value_mismatch",
    );
}

#[test]
fn each_check_before_deleting_closes_the_gate() {
    let phase = "before-deleting";
    let asks_three = |text: String| text + "\n[checks.sessions-covered]\nsessions = 4\n";
    closes(Walk { contract: asks_three, ..Walk::default() }, phase, 3, "sessions-covered", "3 of at least 4");
    let not_static = |text: String| text.replace(", static = true", "");
    closes(Walk { contract: not_static, ..Walk::default() }, phase, 3, "values-proven", "account_number");
    let error = Some(last().log(60.0, "ERROR websocket failed"));
    closes(Walk { last: error, ..Walk::default() }, phase, 1, "prod-logs-clean", "log_error");
    // Asked for by the contract: the endpoint goes away too, and pages still loaded from it on the second day.
    let retires = |text: String| text + "\n[checks.rest-retired]\nsessions = 1\n";
    let walk = |last: Beside| Walk { contract: retires, last: Some(last), ..Walk::default() };
    closes(walk(last()), phase, 1, "rest-retired", "1 request, 2025-12-19T14:30:10.300Z: GET /api/balances");
    closes(walk(last().alive().page()), phase, 1, "rest-retired", "2 requests, ");
    let twice = |text: String| text + "\n[checks.rest-retired]\n";
    let quiet = last().alive().request(10.5, "/ws", 101);
    let once = Walk { contract: twice, last: Some(quiet), ..Walk::default() };
    closes(once, phase, 3, "rest-retired", "1 of at least 2 full sessions without a request");
    let place = walk(last().alive().request(10.5, "/ws", 101)).walk();
    let told = gate(&place, 3, phase);
    let row = told.lines().find(|line| line.contains("rest-retired")).unwrap();
    assert!(row.contains("PASS") && told.contains("ann: has not signed"), "{told}");
    sign(&place, 0);
    gate(&place, 0, phase);
    // `signed-off` alone: what lacks is a signature, and a false one is worse.
    let place = Walk::default().walk();
    assert!(gate(&place, 3, phase).contains("ann: has not signed"));
    sign(&place, 0);
    let signature = "ev/signatures/account_balance-before-deleting-ann.json";
    place.write(
        signature,
        &place.read(signature).replacen("2026", "2025", 1).replacen(
            "\"signed_at\": \"2",
            "\"signed_at\": \"1",
            1,
        ),
    );
    assert!(gate(&place, 1, phase).contains("forged"));
}
