//! How the published JSON Schema follows from the structs that are written. Test code: the program itself carries
//! the schema as text.

use super::{Counts, Instant, PUBLISHED, Report, to_json};
use crate::report::sample;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339, UTC" })
    }
}

impl JsonSchema for Counts<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Counts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A count by finding class",
            "additionalProperties": { "type": "integer", "minimum": 0 },
        })
    }
}

/// The schema of what is written now.
fn current() -> String {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Report<'static>>();
    schema.insert("title".into(), "report.json of cutover, schema 1".into());
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

#[test]
fn the_published_schema_is_that_of_what_is_written() {
    let cure = "cargo test --lib publish_the_schema -- --ignored";
    assert!(PUBLISHED == current(), "report.json has changed; if that is wanted: {cure}");
}

#[test]
#[ignore = "writes the schema anew"]
#[allow(clippy::disallowed_methods, reason = "the one who asks for it wants the file written")]
fn publish_the_schema() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/json/report.schema.json");
    std::fs::write(file, current()).unwrap();
}

/// By a validator that knows nothing of the structs.
fn faults(report: &serde_json::Value) -> Option<String> {
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("report.schema.json", serde_json::from_str(PUBLISHED).unwrap()).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("report.schema.json", &mut schemas).unwrap();
    schemas.validate(report, index).err().map(|error| error.to_string())
}

#[test]
fn reports_are_what_the_schema_says_and_others_are_not() {
    for outcome in [sample::failing(), sample::passing(), sample::retired()] {
        let report: serde_json::Value = serde_json::from_slice(&to_json(&outcome)).unwrap();
        assert_eq!(faults(&report), None);
        for (pointer, wrong) in [
            ("/verdict", serde_json::json!(1)),
            ("/observations", serde_json::json!(-1)),
            ("/first", serde_json::json!("yesterday")),
            ("/features/0/checks/0", serde_json::json!({})),
        ] {
            let mut spoiled = report.clone();
            *spoiled.pointer_mut(pointer).unwrap() = wrong;
            assert!(faults(&spoiled).is_some(), "{pointer}");
        }
    }
}
