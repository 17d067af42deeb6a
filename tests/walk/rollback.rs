//! `rollback` against a living server: the flag goes off at once, and REST is proven to be back.

use super::support::{Place, live_contract, serve};

fn place(env: &str, contract: &str) -> Place {
    let place = Place::new();
    place.write(".env", env);
    place.write("c.toml", contract);
    place
}

const ROLLBACK: &str = "rollback positions --env-file .env --contract c.toml";

/// The drill that the one rollback in `ev` recorded.
fn drill(place: &Place) -> serde_json::Value {
    let link: serde_json::Value =
        serde_json::from_str(place.read("ev/evidence.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(link["kind"], "rollback");
    let file = format!("ev/{}", link["file"].as_str().unwrap());
    assert!(place.path(&file).with_file_name("capture.jsonl").exists());
    serde_json::from_str(&place.read(&file)).unwrap()
}

#[test]
fn under_a_live_fault_the_flag_goes_off_and_rest_serves_again() {
    let place = Place::new();
    // The stream is wrong from its first message on; REST is well.
    let faults =
        ["--fault", "value_mismatch:feature=positions,field=pnl,rate=1", "--fault", "connection_drop:at=1s"];
    let (_server, address) = serve(&place, &faults);
    place.write("c.toml", &live_contract(&address).replace("poll = \"10s\"", "poll = \"1s\""));
    place.write(".env", "A=1\nWS_FEATURE_POSITIONS=\"true\" # on\nB=2\n");
    let told = place.expect(0, &format!("{ROLLBACK} --evidence ev"));
    assert!(told.contains("PASS  REST of positions serves again, "), "{told}");
    assert_eq!(place.read(".env"), "A=1\nWS_FEATURE_POSITIONS=\"false\" # on\nB=2\n");
    let drill = drill(&place);
    assert_eq!((&drill["verdict"], &drill["answered"]), (&"PASS".into(), &1.into()));
    assert!(drill["took_ms"].as_i64().unwrap() <= drill["limit_ms"].as_i64().unwrap());
    assert!(place.expect(3, "verify --evidence ev").starts_with("evidence.jsonl: valid: 1 lines"));
}

#[test]
fn where_rest_does_not_come_back_the_flag_is_off_all_the_same() {
    // Nobody listens there: the port was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let contract = live_contract(&nobody)
        .replace("poll = \"10s\"", "poll = \"200ms\"")
        .replace("timeout  = \"5s\"", "timeout = \"200ms\"")
        .replace("settle = \"2s\"", "settle = \"100ms\"");
    let place = place("WS_FEATURE_POSITIONS=true\nWS_FEATURE_POSITIONS=1\n", &contract);
    let told = place.expect(1, &format!("{ROLLBACK} --evidence ev"));
    assert!(told.contains("was not seen to serve within 500ms") && told.contains("first: connect"), "{told}");
    assert_eq!(place.read(".env"), "WS_FEATURE_POSITIONS=false\nWS_FEATURE_POSITIONS=0\n");
    let drill = drill(&place);
    assert_eq!((&drill["verdict"], &drill["lines"]), (&"FAIL".into(), &serde_json::json!([1, 2])));
    assert_eq!(drill["took_ms"], serde_json::Value::Null);
}

#[test]
fn what_cannot_be_rolled_back_is_told_and_what_only_watching_needs_does_not_hold_it_up() {
    let contract = live_contract("127.0.0.1:1");
    let place = place("A=1\n", &contract);
    assert!(place.expect(2, ROLLBACK).contains(".env: it has no WS_FEATURE_POSITIONS; add a line"));
    let unknown = ROLLBACK.replace("positions", "position");
    assert!(place.expect(2, &unknown).contains("no feature `position`; it has account_balance, positions"));
    assert!(place.expect(2, &ROLLBACK.replace(".env", "absent")).contains("there is no such file"));
    assert!(!place.path("reports").exists(), "nothing was done");
    // A token that is not set keeps REST from being watched, never the flag from going off.
    let token = "\n[rest]\nheaders = { authorization = \"Bearer ${CUTOVER_TEST_NO_SUCH_TOKEN}\" }\n";
    place.write("c.toml", &contract.replacen("\n[rest]\n", token, 1));
    place.write(".env", "WS_FEATURE_POSITIONS=true\n");
    let told = place.expect(2, ROLLBACK);
    assert!(
        told.contains("WS_FEATURE_POSITIONS is off (.env:1), but its REST endpoint was not watched"),
        "{told}"
    );
    assert!(told.contains("CUTOVER_TEST_NO_SUCH_TOKEN"), "{told}");
    assert_eq!(place.read(".env"), "WS_FEATURE_POSITIONS=false\n");
}
