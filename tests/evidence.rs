//! A folder of evidence over time: any byte that changes is told, with the digests.

#![cfg(feature = "io")]
#![allow(clippy::disallowed_methods, reason = "a test writes and reads files")]

use assert_cmd::Command;
use cutover::evidence::beside::Files;
use cutover::evidence::chain;
use cutover::evidence::sign::sha256;
use std::path::PathBuf;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    /// A folder whose contract names ann and her key.
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        let (_, declared) = place.run("sign --new-key ann.key --as ann");
        place.expect(0, "init c.toml -q");
        let text = place.read("c.toml").replacen("version = 1", &format!("version = 1\n{declared}"), 1);
        place.write("c.toml", text);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Exit code, and both streams.
    fn run(&self, line: &str) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.current_dir(self.folder.path()).env_remove("GITHUB_STEP_SUMMARY").env("NO_COLOR", "1");
        let output = command.env("COLUMNS", "400").args(line.split(' ')).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code().unwrap(), text.concat())
    }

    fn expect(&self, code: i32, line: &str) -> String {
        let (told, text) = self.run(line);
        assert_eq!(told, code, "cutover {line}\n{text}");
        text
    }

    /// A quarter of an hour of that day, judged into the evidence, its capture beside the report under this
    /// name; gives the run's folder.
    fn store(&self, day: u32, capture: &str, faults: &[&str]) -> String {
        let made = format!("{day}-{capture}");
        let faults: String = faults.iter().map(|fault| format!(" --fault {fault}")).collect();
        let from = format!("2025-12-{day}T14:30:00Z");
        self.expect(0, &format!("simulate {made} --contract c.toml --from {from} --for 15m -q{faults}"));
        let code = i32::from(!faults.is_empty());
        let told = self.expect(code, &format!("replay {made} -q --evidence ev"));
        let run = told.trim_end().lines().last().unwrap().to_string();
        std::fs::rename(self.path(&made), self.path(&format!("{run}/{capture}"))).unwrap();
        run
    }
}

const SIGN: &str = "sign --feature positions --phase before-enabling --as ann --key ann.key --evidence ev";
const GATE: &str = "gate --feature positions --phase before-enabling --evidence ev";

/// One bit of a byte in the middle of these words.
fn flipped(bytes: &[u8], words: &str) -> Vec<u8> {
    let at = bytes.windows(words.len()).position(|found| found == words.as_bytes()).unwrap();
    let mut changed = bytes.to_vec();
    changed[at + words.len() / 2] ^= 1;
    changed
}

#[test]
fn a_changed_byte_beside_the_evidence_is_told_with_both_digests() {
    let place = Place::new();
    let run = place.store(19, "capture.jsonl", &[]);
    let other = place.store(20, "capture.jsonl.zst", &[]);
    place.expect(0, SIGN);
    let told = place.expect(0, "verify --evidence ev");
    assert!(!told.contains("not there") && told.lines().count() == 2, "{told}");

    let report: serde_json::Value =
        serde_json::from_slice(&place.bytes(&format!("{run}/report.json"))).unwrap();
    let signed = report["capture_sha256"][0].as_str().unwrap();
    let capture = format!("{run}/capture.jsonl");
    let was = place.bytes(&capture);
    // A value, the contract's copy in the first line, and a line's own form.
    for words in ["\"cash\":", "WS_FEATURE_POSITIONS", "\"kind\":\"end\""] {
        place.write(&capture, flipped(&was, words));
        let told = place.expect(1, "verify --evidence ev");
        let name = capture.split_once('/').unwrap().1;
        assert!(told.contains(&format!("{name}: not valid: was changed after it was judged")), "{told}");
        assert!(told.contains(&format!("{signed} was signed, ")) && told.contains(" is there"), "{told}");
        let signature = told.lines().find(|line| line.starts_with("signatures/")).unwrap();
        assert!(
            signature.contains("ann") && signature.contains(": not valid: ") && signature.contains(signed)
        );
        // Nobody signs that anew.
        assert!(place.expect(2, SIGN).contains("could not sign: "));
        // By the run's own folder, too.
        assert!(place.expect(1, &format!("verify {run}")).contains(&format!("{name}: not valid")));
    }
    place.write(&capture, &was);
    // What is compressed is hashed as it was: over its lines.
    let packed = format!("{other}/capture.jsonl.zst");
    let small = place.bytes(&packed);
    let again = zstd::encode_all(zstd::decode_all(&*small).unwrap().as_slice(), 9).unwrap();
    place.write(&packed, &again);
    place.expect(0, "verify --evidence ev");
    let changed = flipped(&zstd::decode_all(&*small).unwrap(), "\"cash\":");
    place.write(&packed, zstd::encode_all(changed.as_slice(), 1).unwrap());
    assert!(place.expect(1, "verify --evidence ev").contains("capture.jsonl.zst: not valid: was changed"));
    let mut torn = small.clone();
    let middle = torn.len() / 2;
    torn[middle] ^= 1;
    place.write(&packed, torn);
    assert!(place.expect(1, "verify --evidence ev").contains("capture.jsonl.zst: not valid: was changed"));
    // What is gone is told, and is no failure.
    std::fs::remove_file(place.path(&packed)).unwrap();
    let told = place.expect(0, "verify --evidence ev");
    assert!(told.contains("; 1 capture is not there to be checked"), "{told}");
    assert!(told.contains(": valid: the capture of "), "{told}");
}

/// What a run leaves beside its report.
const PAGES: [&str; 5] = ["findings.csv", "junit.xml", "report.html", "signoff.csv", "summary.md"];

/// One bit in the middle.
fn spoilt(bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bytes.len() / 2] ^= 1;
    changed
}

#[test]
fn a_changed_byte_of_what_a_run_wrote_beside_its_report_is_told_with_both_digests() {
    let place = Place::new();
    let run = place.store(19, "capture.jsonl", &[]);
    let links = chain::read(&place.read("ev/evidence.jsonl")).unwrap();
    assert_eq!(links[0].files.keys().collect::<Vec<_>>(), PAGES);
    let told = place.expect(0, SIGN);
    assert!(PAGES.iter().all(|page| told.contains(&format!("\n    {page} "))), "{told}");
    let told = place.expect(0, "verify --evidence ev");
    assert!(!told.contains("not there"), "{told}");
    for page in PAGES {
        let path = format!("{run}/{page}");
        let was = place.bytes(&path);
        let changed = spoilt(&was);
        place.write(&path, &changed);
        let (signed, found) = (sha256(&was), sha256(&changed));
        assert_eq!(links[0].files[page], signed);
        let name = path.split_once('/').unwrap().1;
        let why = format!("was changed after it was judged: {signed} was signed, {found} is there; put back");
        let told = place.expect(1, "verify --evidence ev");
        assert!(told.lines().any(|line| line.starts_with(&format!("{name}: not valid: {why}"))), "{told}");
        let signature = told.lines().find(|line| line.starts_with("signatures/")).unwrap();
        assert!(signature.contains(&format!(": not valid: {name} {why}")), "{told}");
        assert!(place.expect(2, SIGN).contains(&format!("could not sign: {name} {why}")));
        // By the run's own folder the signature tells.
        assert!(place.expect(1, &format!("verify {run}")).contains(&format!("not valid: {name} {why}")));
        // What is gone is told, and is no failure.
        std::fs::remove_file(place.path(&path)).unwrap();
        let told = place.expect(0, "verify --evidence ev");
        assert!(told.contains("; 1 other file is not there to be checked"), "{told}");
        let folder = run.split_once('/').unwrap().1;
        assert!(told.contains(&format!(": valid: {page} of {folder} is not there to be checked")), "{told}");
        place.write(&path, &was);
    }
    // A page that is made anew in its place is the same page.
    for (format, page) in [("html", 2), ("signoff", 3), ("summary", 4), ("junit", 1)] {
        place.expect(0, &format!("report {run} --format {format} -o {run}/{}", PAGES[page]));
    }
    // A page of several runs, or with what came after, is another one; elsewhere it harms nothing.
    place.expect(0, &format!("{GATE} --signoff signed.csv --html {run}/gate.html"));
    place.expect(0, "verify --evidence ev");
    place.expect(0, &format!("{GATE} --signoff {run}/signoff.csv"));
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.contains("remove it, and keep what is made anew elsewhere"), "{told}");
}

#[test]
fn a_chain_written_before_files_were_chained_stays_valid() {
    let place = Place::new();
    let runs = [19, 20].map(|day| place.store(day, "capture.jsonl", &[]));
    let mut old = String::new();
    for mut link in chain::read(&place.read("ev/evidence.jsonl")).unwrap() {
        link.previous = chain::head(&old);
        link.files = Files::new();
        old += &link.line();
    }
    assert!(!old.contains("files"), "{old}");
    place.write("ev/evidence.jsonl", &old);
    let page = format!("{}/signoff.csv", runs[0]);
    let was = place.bytes(&page);
    place.write(&page, spoilt(&was));
    // Nothing is known of the page, and nobody signed it.
    let told = place.expect(3, "verify --evidence ev");
    assert!(told.starts_with("evidence.jsonl: valid: 2 lines") && told.lines().count() == 2, "{told}");
    place.write(&page, &was);
    // Whoever signs covers what is there; what is stored next is chained with its files.
    place.expect(0, SIGN);
    place.store(21, "capture.jsonl", &[]);
    place.expect(3, "verify --evidence ev");
    place.expect(0, SIGN);
    place.expect(0, "verify --evidence ev");
    place.write(&page, spoilt(&was));
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.starts_with("evidence.jsonl: valid: 3 lines"), "{told}");
    assert!(told.contains("/signoff.csv was changed after it was judged: "), "{told}");
    place.write(&page, &was);
    // A chain that was written anew over a changed page is told by the signature.
    let page = format!("{}/findings.csv", runs[1]);
    let changed = spoilt(&place.bytes(&page));
    place.write(&page, &changed);
    let mut forged = String::new();
    for mut link in chain::read(&place.read("ev/evidence.jsonl")).unwrap() {
        link.previous = chain::head(&forged);
        if runs[1].ends_with(link.file.split('/').next().unwrap()) {
            link.files.insert("findings.csv".into(), sha256(&changed));
        }
        forged += &link.line();
    }
    place.write("ev/evidence.jsonl", &forged);
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.starts_with("evidence.jsonl: valid: 3 lines"), "{told}");
    assert!(told.contains("/findings.csv was changed after it was judged: "), "{told}");
    place.write("ev/evidence.jsonl", forged.replace("\"findings.csv\"", "\"../findings.csv\""));
    place.expect(1, "verify --evidence ev");
    let one = forged.lines().next().unwrap().replacen("}", ",\"files\":{\"../x\":\"y\"}}", 1) + "\n";
    place.write("ev/evidence.jsonl", one);
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.contains("line 1: it is no line of a chain: `../x` is no file's name"), "{told}");
}

#[test]
fn a_changed_byte_of_a_drill_is_told() {
    let place = Place::new();
    let made = "simulate a.jsonl --contract c.toml --from 2025-12-19T14:30:00Z --for 5m -q";
    place.expect(0, made);
    let told = place.expect(
        0,
        "drill a.jsonl --feature positions --class value_mismatch --places 1 --for 4m --evidence ev -q",
    );
    let run = told.trim_end().lines().last().unwrap();
    let path = format!("{run}/drill.json");
    let was = place.bytes(&path);
    assert!(place.expect(3, "verify --evidence ev").starts_with("evidence.jsonl: valid: 1 lines"));
    place.write(&path, spoilt(&was));
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.contains("/drill.json: not valid: was changed after it was judged: "), "{told}");
}

#[test]
fn a_changed_report_or_chain_is_told_with_both_digests() {
    let place = Place::new();
    let runs: Vec<String> =
        [18, 19, 20].into_iter().map(|day| place.store(day, "capture.jsonl", &[])).collect();
    place.expect(0, SIGN);
    place.expect(0, "verify --evidence ev");
    let chain = place.bytes("ev/evidence.jsonl");
    let links: Vec<serde_json::Value> =
        place.read("ev/evidence.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    let report = format!("{}/report.json", runs[1]);
    let was = place.bytes(&report);
    place.write(&report, flipped(&was, "\"pairs\""));
    let told = place.expect(1, "verify --evidence ev");
    let stored = links[1]["sha256"].as_str().unwrap();
    assert!(
        told.contains("broken in line 2: ") && told.contains(&format!("{stored} was stored, ")),
        "{told}"
    );
    place.expect(4, GATE);
    // Without the chain, by itself: the signature tells, though it is no report any more.
    let alone = place.expect(1, &format!("verify {}", runs[1]));
    assert!(alone.contains("was changed after it was signed: ") && alone.contains(stored), "{alone}");
    place.write(&report, &was);

    // Any bit of a link; the last link has none after it to tell, but what it names.
    for (n, link) in links.iter().enumerate() {
        for member in ["at", "file", "sha256", "contract_sha256"] {
            let text = link[member].as_str().unwrap();
            let last = n + 1 == links.len();
            if last && ["at", "contract_sha256"].contains(&member) {
                continue;
            }
            let line: usize = chain.split_inclusive(|b| *b == b'\n').take(n).map(<[u8]>::len).sum();
            let changed = [&chain[..line], &flipped(&chain[line..], &format!("\"{text}\""))].concat();
            place.write("ev/evidence.jsonl", changed);
            let told = place.expect(1, "verify --evidence ev");
            assert!(told.contains("evidence.jsonl: not valid: "), "{n} {member} {told}");
            place.expect(4, GATE);
        }
    }
    // A run taken out of the middle, with its line or without.
    let lines: Vec<&[u8]> = chain.split_inclusive(|byte| *byte == b'\n').collect();
    place.write("ev/evidence.jsonl", [lines[0], lines[2]].concat());
    assert!(
        place.expect(1, "verify --evidence ev").contains("line 2: it does not follow the line before it")
    );
    std::fs::rename(place.path(&runs[1]), place.path("away")).unwrap();
    assert!(
        place.expect(1, "verify --evidence ev").contains("line 2: it does not follow the line before it")
    );
    place.write("ev/evidence.jsonl", &chain);
    let told = place.expect(1, "verify --evidence ev");
    assert!(told.contains("broken in line 2: ") && told.contains("report.json is missing"), "{told}");
    place.expect(4, GATE);
    std::fs::rename(place.path("away"), place.path(&runs[1])).unwrap();
    place.expect(0, GATE);
}

#[test]
fn after_a_failure_the_gate_stays_closed_until_the_runs_are_set_aside() {
    let place = Place::new();
    let env = "WS_FEATURE_ACCOUNT_BALANCE=false\nWS_FEATURE_POSITIONS=false\nWS_FEATURE_INTRADAY=false\n\
               WS_FEATURE_GLOBAL_MARKET=false\n";
    place.write(".env", env);
    let status = |more: &str| place.expect(0, &format!("status --env-file .env --evidence ev{more}"));
    let next = || {
        let told: serde_json::Value = serde_json::from_str(&status(" --format json")).unwrap();
        let all = told["features"].as_array().unwrap().clone();
        all.into_iter().find(|f| f["feature"] == "positions").unwrap()
    };
    assert!(
        place.expect(2, "set-aside positions --evidence ev --by ann --reason x").contains("no run is stored")
    );
    place.store(17, "capture.jsonl", &[]);
    place.store(18, "capture.jsonl", &["value_mismatch:feature=positions"]);
    place.store(19, "capture.jsonl", &[]);
    // A later clean run averages nothing.
    place.expect(1, GATE);
    assert_eq!(
        next()["next"],
        "after the repair: cutover set-aside positions --evidence ev --by NAME --reason WHY"
    );
    for wrong in [
        "set-aside positions --evidence ev --by ann",
        "set-aside positions --evidence ev --by ann --reason=",
        "set-aside orders --evidence ev --by ann --reason x",
    ] {
        place.expect(2, wrong);
    }

    let told = place.expect(0, "set-aside positions --evidence ev --by ann --reason fixed-in-812");
    assert!(told.starts_with("3 earlier runs of positions set aside on 2"), "{told}");
    assert!(told.ends_with(" by ann: fixed-in-812\n"), "{told}");
    let words = told.trim_end();
    // Nothing counts yet, and there is nothing more to set aside.
    assert!(place.expect(2, GATE).contains("and no run of it was stored since"));
    assert!(
        place
            .expect(2, "set-aside positions --evidence ev --by ann --reason x")
            .contains("no run of it counts")
    );
    let standing = next();
    assert_eq!(standing["set_aside"][0], words);
    assert!(standing["next"].as_str().unwrap().contains("watch "), "{standing}");
    assert!(place.expect(3, "enable positions --env-file .env --evidence ev").contains(words));
    // The other features keep what they have.
    let other = place.expect(0, "gate --feature account_balance --phase before-enabling --evidence ev");
    assert!(other.contains("540 messages") && !other.contains("set aside"), "{other}");

    place.store(20, "capture.jsonl", &[]);
    let text = place.expect(0, &format!("{GATE} --summary gate.md --signoff gate.csv --junit gate.xml"));
    assert!(text.contains(&format!("! {words}")), "{text}");
    assert!(text.contains("180 messages") && text.ends_with("before-enabling: open\n"), "{text}");
    assert!(
        place.read("gate.md").contains("3 earlier runs of positions set aside on"),
        "{}",
        place.read("gate.md")
    );
    assert!(place.read("gate.csv").lines().any(|row| row.contains("signed-off") && row.contains(words)));
    let json: serde_json::Value =
        serde_json::from_str(&place.expect(0, &format!("{GATE} --format json"))).unwrap();
    assert_eq!(json["notes"][0], words);
    assert_eq!(
        json["findings_fail"].as_u64().unwrap_or(0),
        0,
        "of the run that was set aside nothing counts"
    );
    assert!(status("").contains(&format!("! {words}")));
    assert!(place.expect(0, "report --evidence ev").contains(words));

    // A later failure closes the gate as ever.
    let chain = place.bytes("ev/evidence.jsonl");
    place.store(21, "capture.jsonl", &["value_mismatch:feature=positions"]);
    place.expect(1, GATE);
    // Two at a time are told one by one.
    place.expect(0, "set-aside positions --evidence ev --by bob --reason again");
    place.store(22, "capture.jsonl", &[]);
    let text = place.expect(0, GATE);
    assert!(text.contains(words) && text.contains("2 earlier runs of positions set aside on"), "{text}");
    assert_ne!(chain, place.bytes("ev/evidence.jsonl"));
}

#[test]
fn what_is_set_aside_is_chained_and_signed() {
    let place = Place::new();
    place.store(18, "capture.jsonl", &["value_mismatch:feature=positions"]);
    place.expect(0, "set-aside positions --evidence ev --by ann --reason fixed-in-812");
    place.store(19, "capture.jsonl", &[]);
    let told = place.expect(0, SIGN);
    assert!(told.contains("\n  1 earlier run of positions set aside on "), "{told}");
    assert!(place.expect(0, "verify --evidence ev").contains("3 lines"));
    let signature = "ev/signatures/positions-before-enabling-ann.json";
    let was = place.read(signature);
    assert!(was.contains("\"reason\": \"fixed-in-812\""), "{was}");
    place.write(signature, was.replace("fixed-in-812", "fixed-in-813"));
    assert!(place.expect(1, "verify --evidence ev").contains("forged, or changed"));
    place.write(signature, &was);

    // Its own file is chained: no word of it changes, and it does not go away.
    let chain = place.read("ev/evidence.jsonl");
    let link: serde_json::Value = serde_json::from_str(chain.lines().nth(1).unwrap()).unwrap();
    assert_eq!(link["kind"], "set-aside");
    let file = format!("ev/{}", link["file"].as_str().unwrap());
    let said = place.read(&file);
    place.write(&file, said.replace("positions", "intraday_bar"));
    assert!(place.expect(1, "verify --evidence ev").contains("broken in line 2"));
    place.expect(4, GATE);
    place.write(&file, &said);
    let without: String =
        chain.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| l).collect();
    place.write("ev/evidence.jsonl", without);
    place.expect(4, GATE);
    place.write("ev/evidence.jsonl", &chain);

    // One that comes after the signature is not covered by it.
    place.expect(0, "set-aside positions --evidence ev --by ann --reason moved");
    place.store(20, "capture.jsonl", &[]);
    let told = place.expect(3, "verify --evidence ev");
    assert!(told.contains("after the signature; sign again"), "{told}");
    place.expect(0, SIGN);
    place.expect(0, "verify --evidence ev");
}
