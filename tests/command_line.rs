//! The binary as a user meets it: help, exit codes, what stands on stdout and what on stderr.

use assert_cmd::Command;

fn cutover(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("COLUMNS");
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = cutover(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_goes_to_stdout_and_is_no_failure() {
    for command in [
        "demo",
        "watch",
        "replay",
        "serve",
        "simulate",
        "init",
        "calendar",
        "plan",
        "explain",
        "tap",
        "import",
        "drill",
        "gate",
        "diff",
        "sign",
        "verify",
        "status",
        "enable",
        "rollback",
        "report",
        "doctor",
        "set-aside",
    ] {
        let (code, out, err) = run(&[command, "--help"]);
        assert_eq!((code, err.as_str()), (0, ""), "{command}");
        assert!(out.contains("Example") && out.contains(&format!("cutover {command}")), "{out}");
        assert!(!out.contains('\u{1b}'), "no colour into a pipe");
        assert!(out.lines().all(|line| line.chars().count() <= 120), "{out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.as_str()), (0, "cutover 0.1.0\n"));
}

#[test]
fn wrong_use_exits_with_2_and_says_why_on_stderr() {
    for arguments in [&[][..], &["watch", "--for", "10"], &["no-such-command"], &["replay"]] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(!err.is_empty());
    }
    let (_, _, err) = run(&["watch", "--for", "10"]);
    assert!(err.contains("a duration has a unit"), "{err}");
}

#[test]
fn a_wrong_rust_log_names_itself() {
    let output = cutover(&["init", "-"]).env("RUST_LOG", "cutover=loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("cutover: could not read RUST_LOG=cutover=loud"), "{err}");
}

#[test]
fn init_writes_the_contract_once() {
    let temp = tempfile::tempdir().unwrap();
    let init = || cutover(&["init"]).current_dir(temp.path()).output().unwrap();
    let first = init();
    assert_eq!(first.status.code(), Some(0));
    let said = String::from_utf8(first.stdout).unwrap();
    assert!(said.contains("cutover watch --contract cutover.toml"), "{said}");
    let second = init();
    assert_eq!(second.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(second.stderr).unwrap(),
        "cutover: could not write cutover.toml: it exists already; --force replaces it\n"
    );
    let printed = cutover(&["init", "-"]).output().unwrap().stdout;
    assert_eq!(String::from_utf8(printed).unwrap(), cutover::contract::BUILTIN);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["init", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
