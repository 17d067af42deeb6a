//! `cutover sign` and `verify` as reviewers run them, and what the gate makes of it.

#![allow(clippy::disallowed_methods, reason = "a test writes and reads files")]

use assert_cmd::Command;
use std::path::Path;
use tempfile::TempDir;

fn cutover(folder: &TempDir, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.current_dir(folder.path()).env_remove("GITHUB_STEP_SUMMARY").env("NO_COLOR", "1");
    let output = command.args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn read(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap()
}

/// A contract with these lines after its version.
fn contract(folder: &TempDir, name: &str, lines: &str) {
    assert_eq!(cutover(folder, &["init", "--force", name]).0, 0);
    let text = read(folder, name).replacen("version = 1", &format!("version = 1\n{lines}"), 1);
    std::fs::write(folder.path().join(name), text).unwrap();
}

/// A simulated quarter of an hour, and its report.
fn evidence(folder: &TempDir, name: &str, from: &str, contract: &str, faults: &[&str]) {
    let capture = format!("{name}.jsonl");
    let mut words = vec!["simulate", &capture, "--from", from, "--for", "15m", "-q"];
    for fault in faults {
        words.extend(["--fault", fault]);
    }
    assert_eq!(cutover(folder, &words).0, 0);
    let report = format!("runs/{name}");
    let words = ["replay", &capture, "-q", "--contract", contract, "--report-dir", &report];
    assert_eq!(cutover(folder, &words).0, i32::from(!faults.is_empty()));
}

const SIGN: [&str; 7] = ["sign", "--feature", "positions", "--phase", "before-enabling", "--as", "ann"];

fn sign(folder: &TempDir, more: &[&str]) -> (i32, String, String) {
    cutover(folder, &[&SIGN, more].concat())
}

const SIGNED: &str = "runs/signatures/positions-before-enabling-ann.json";

/// A folder in which `ann`, whose key the contract declares, has evidence to sign.
fn ready() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (code, declared, _) = cutover(&folder, &["sign", "--new-key", "ann.key", "--as", "ann"]);
    assert_eq!(code, 0);
    assert!(declared.starts_with("reviewers = [\"ann ed25519:"), "{declared}");
    contract(&folder, "c.toml", &declared);
    evidence(&folder, "a", "2025-12-19T14:30:00Z", "c.toml", &[]);
    folder
}

#[test]
fn a_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["sign", "--new-key", "ann.key", "--as", "ann"];
    assert_eq!(cutover(&folder, &words).0, 0);
    let before = read(&folder, "ann.key");
    let (code, out, error) = cutover(&folder, &words);
    assert_eq!((code, &*out), (2, ""));
    assert!(error.contains("ann.key exists; a key is never overwritten"), "{error}");
    assert_eq!(read(&folder, "ann.key"), before);
}

#[test]
fn a_signature_holds_until_something_changes() {
    let folder = ready();
    let verify = || cutover(&folder, &["verify", "runs"]);
    assert_eq!(verify().0, 3, "nobody has signed");
    let (code, told, error) = sign(&folder, &["--key", "ann.key", "runs"]);
    assert_eq!(code, 0, "{error}");
    assert!(told.starts_with("positions before-enabling, signed by ann at "), "{told}");
    assert!(told.contains("\n  a  report ") && told.ends_with(&format!("{SIGNED}\n")), "{told}");
    let (code, told, _) = verify();
    assert_eq!(code, 0, "{told}");
    // The capture stands elsewhere, which is told.
    assert!(told.ends_with(": valid: the capture of a is not there to be checked\n"), "{told}");
    // Given by itself, the run is the same evidence.
    assert_eq!(cutover(&folder, &["verify", "runs/a"]).0, 0);

    // Without a chain a signature covers the pages that are there when it is made.
    let page = read(&folder, "runs/a/signoff.csv");
    std::fs::write(folder.path().join("runs/a/signoff.csv"), page.replacen("PASS", "PASs", 1)).unwrap();
    let (code, told, _) = verify();
    assert_eq!(code, 1);
    assert!(told.contains("not valid: a/signoff.csv was changed after it was judged: "), "{told}");
    std::fs::remove_file(folder.path().join("runs/a/signoff.csv")).unwrap();
    let (code, told, _) = verify();
    assert_eq!(code, 0, "{told}");
    let gone = "valid: the capture and signoff.csv of a are not there to be checked\n";
    assert!(told.ends_with(gone), "{told}");
    std::fs::write(folder.path().join("runs/a/signoff.csv"), page).unwrap();

    let report = read(&folder, "runs/a/report.json");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("runs/a/report.json", &format!("{report}\n"));
    let (code, told, _) = verify();
    assert_eq!(code, 1);
    assert!(told.contains("not valid: a was changed after it was signed"), "{told}");
    write("runs/a/report.json", &report);

    let signature = read(&folder, SIGNED);
    write(SIGNED, &signature.replacen("before-enabling", "before-deleting", 1));
    let (code, told, _) = verify();
    assert_eq!(code, 1);
    assert!(told.contains("forged, or changed after it was made"), "{told}");
    // The gate of any phase with `signed-off` says so too.
    let gate = ["gate", "--feature", "positions", "--phase", "before-deleting", "runs", "--format", "json"];
    let (code, told, _) = cutover(&folder, &gate);
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("signatures/positions-before-enabling-ann.json: the signature does not fit"),
        "{told}"
    );
    write(SIGNED, &signature);
    let (code, told, _) = cutover(&folder, &gate);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("ann: has not signed"), "{told}");

    evidence(&folder, "b", "2025-12-20T14:30:00Z", "c.toml", &["value_mismatch:feature=positions"]);
    let (code, told, _) = verify();
    assert_eq!(code, 1);
    assert!(told.contains("b came after the signature, and fails"), "{told}");
    let (code, _, error) = sign(&folder, &["--key", "ann.key", "runs"]);
    assert_eq!(code, 2);
    assert!(error.contains("could not sign: values-match (before-enabling) is FAIL"), "{error}");
    assert_eq!(read(&folder, SIGNED), signature);

    std::fs::remove_dir_all(folder.path().join("runs/b")).unwrap();
    let replay = ["replay", "a.jsonl", "-q", "--report-dir", "runs/a"];
    assert_eq!(cutover(&folder, &replay).0, 0);
    let (code, told, _) = verify();
    assert_eq!(code, 1);
    assert!(told.contains("the contract names no such reviewer"), "{told}");
}

#[test]
fn only_a_reviewer_signs_and_only_with_the_declared_key() {
    let folder = ready();
    assert_eq!(cutover(&folder, &["sign", "--new-key", "bob.key", "--as", "bob"]).0, 0);
    let (code, _, error) = sign(&folder, &["--key", "bob.key", "runs"]);
    assert_eq!(code, 2);
    assert!(error.contains("bob.key is not the key that the contract declares"), "{error}");
    let words = ["sign", "--feature", "positions", "--phase", "before-enabling", "--as", "bob"];
    let (code, _, error) = cutover(&folder, &[&words[..], &["--key", "bob.key", "runs"]].concat());
    assert_eq!(code, 2);
    assert!(error.contains("bob is no reviewer; the contract names ann"), "{error}");
    let (code, _, error) = sign(&folder, &["--key", "c.toml", "runs"]);
    assert_eq!(code, 2);
    assert!(error.contains("it is no ed25519 private key"), "{error}");
    // What is lacking for the phase is told, and nothing is written.
    let words = ["sign", "--feature", "positions", "--phase", "before-deleting", "--as", "ann"];
    let (code, _, error) = cutover(&folder, &[&words[..], &["--key", "ann.key", "runs"]].concat());
    assert_eq!(code, 2);
    assert!(error.contains("is INCONCLUSIVE"), "{error}");
    assert!(!Path::new(&folder.path().join("runs/signatures")).exists());
}
