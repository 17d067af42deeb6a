//! Harness: the built-in contract with one passage replaced, and what is said of it.

mod faults;
mod forms;
mod secrets;

use super::*;
use crate::contract::BUILTIN;

fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("s3cr3t-from-environment".into()),
        "HOST" => Some("feed.example.com".into()),
        "SETTLE" => Some("3s".into()),
        "BAD" => Some("n0-duration".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Contract, Vec<ContractError>> {
    parse("c.toml", text, &environment, true)
}

/// The built-in contract with one passage replaced.
fn edited(from: &str, to: &str) -> String {
    assert!(BUILTIN.contains(from), "the built-in contract has no {from:?}");
    BUILTIN.replacen(from, to, 1)
}

fn good(from: &str, to: &str) -> Contract {
    read(&edited(from, to)).unwrap_or_else(|errors| {
        let rendered: Vec<String> = errors.iter().map(ContractError::render).collect();
        panic!("{from:?} -> {to:?}\n{}", rendered.join("\n"))
    })
}

/// Exactly these errors, in this order; each names at least this text.
fn check(from: &str, to: &str, expect: &[&str]) {
    check_text(&edited(from, to), expect, to);
}

fn check_text(text: &str, expect: &[&str], case: &str) {
    let errors = read(text).expect_err(case);
    let lines: Vec<String> = errors.iter().map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), expect.len(), "{case:?}: {lines:#?}");
    for (line, expect) in lines.iter().zip(expect) {
        assert!(line.contains(expect), "{case:?}: {line:?} lacks {expect:?}");
    }
    for error in &errors {
        assert!(error.line >= 1 && error.column >= 1 && error.length >= 1, "{case:?}: {error:?}");
        assert!(!format!("{error:?}{}", error.render()).contains("s3cr3t"), "{case:?}: {error:?}");
    }
}

const CASH: &str = r#"cash           = { type = "decimal", tolerance = "0.005" }"#;
const BALANCE_REST: &str = r#"rest     = { path = "/api/balances", poll = "10s", records = "/accounts" }"#;
const BALANCE_WS: &str = r#"ws       = { type = "account_balance", records = "/data" }"#;
const STATUS: &str =
    r#"status    = { type = "enum", values = ["OPEN", "CLOSED", "PREOPEN", "PRECLOSE", "HOLIDAY"] }"#;
const VOLUME: &str = r#"volume = { type = "decimal", forming = "grows" }"#;
const SETTLE: &str = "settle = \"2s\"\n";

fn field<'c>(contract: &'c Contract, name: &str) -> &'c crate::contract::Field {
    contract.features.iter().flat_map(all_fields).find(|field| field.name == name).unwrap()
}
