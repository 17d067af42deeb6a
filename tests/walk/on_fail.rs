//! `watch --on-fail` and `--rollback-on-fail` against a living server.

use super::support::{Place, live_contract, serve};

const ENV: &str = "WS_FEATURE_POSITIONS=true\nWS_FEATURE_ACCOUNT_BALANCE=true\n";

/// Watches a server with these faults for so long in its own time; gives the exit code and what was told.
fn watched(
    place: &Place,
    (speed, time): (&str, &str),
    (features, faults): (&[&str], &[&str]),
    command: &str,
) -> (i32, String) {
    let (_server, address) = serve(place, &[&["--speed", speed], faults].concat());
    place.write("c.toml", &live_contract(&address));
    place.write(".env", ENV);
    let words = ["watch", "--contract", "c.toml", "--speed", speed, "--for", time, "--evidence", "ev"];
    let more =
        ["--env-file", ".env", "--rollback-on-fail", "--phase", "before-enabling", "--on-fail", command];
    let features = features.iter().flat_map(|name| ["--feature", *name]).collect::<Vec<_>>();
    place.run(&[&words[..], &more, &features].concat())
}

#[test]
fn the_first_failure_runs_the_command_once_and_turns_that_flag_off() {
    let place = Place::new();
    let fault = ["--fault", "value_mismatch:feature=positions,field=current_price,rate=1"];
    let command = "echo \"$CUTOVER_FEATURE $CUTOVER_CLASS\" >> told; echo to-stderr";
    // The pace of a busy machine would turn another one's off too.
    let (code, told) = watched(&place, ("20", "60s"), (&["positions"], &fault), command);
    assert_eq!(code, 1, "{told}");
    let once = place.read("told");
    assert!(once.starts_with("positions ") && once.lines().count() == 1, "{once}");
    assert_eq!(place.read(".env"), "WS_FEATURE_POSITIONS=false\nWS_FEATURE_ACCOUNT_BALANCE=true\n");
    assert!(told.contains("WS_FEATURE_POSITIONS turned off in .env, because of "), "{told}");
    // The flag that was turned stands in the chain, before the run that saw why.
    let chain = place.read("ev/evidence.jsonl");
    let kinds: Vec<bool> = chain.lines().map(|line| line.contains("\"kind\":\"rollback\"")).collect();
    assert_eq!(kinds, [true, false], "{chain}");
    place.expect(3, "verify --evidence ev");
}

#[test]
fn without_a_failure_nothing_happens() {
    let place = Place::new();
    // Too short to find fault with the pace of a busy machine.
    let (code, told) =
        watched(&place, ("4", "16s"), (&["positions", "account_balance"], &[]), "echo ran > told");
    assert_eq!(code, 3, "{told}");
    assert_eq!(place.read(".env"), ENV);
    assert!(!place.path("told").exists());
}

#[test]
fn what_cannot_be_rolled_back_is_refused_before_the_run() {
    let place = Place::new();
    place.write(".env", "OTHER=true\n");
    let told = place.expect(2, "watch --for 1s --env-file .env --rollback-on-fail");
    assert!(
        told.contains("--rollback-on-fail: .env has none of the flags WS_FEATURE_ACCOUNT_BALANCE"),
        "{told}"
    );
    assert!(place.expect(2, "watch --for 1s --rollback-on-fail").contains("--env-file"));
    assert!(!place.path("reports").exists());
}
