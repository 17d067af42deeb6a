//! `[feature.rows]`: a list inside each record whose elements have a key of their own.

use super::field::{self, Context};
use super::reader::{Table, Text};
use super::text::path_parts;
use crate::contract::{FieldType, Rows, spelling};
use toml::de::DeValue;

/// The rows, or `None` when they have no fields. What is wrong was reported.
pub fn rows(table: &Table<'_, '_>, record: &Context) -> Option<Rows> {
    let at = at(table);
    let key = match table.names("key") {
        Some(list) if list.value.is_empty() => {
            table.error(list.at, "`key` of rows is empty; name what tells rows apart, as in [\"symbol\"]");
            None
        }
        Some(list) => Some(list.value),
        None => table.lacking("key", "[\"symbol\"]"),
    };
    let names: Vec<String> = key.iter().flatten().map(|text| text.value.clone()).collect();
    let context = Context { in_rows: true, key: names.clone(), time: None, ..record.clone() };
    let fields = match table.table("fields") {
        Some(inner) => field::fields(&inner, &context),
        None => table.lacking("fields", "{ symbol = { type = \"string\" } }"),
    };
    table.finish();
    let (fields, (at_rest, at_ws)) = (fields?, at.unwrap_or_default());
    for text in key.iter().flatten() {
        match fields.iter().find(|field| field.name == text.value) {
            Some(field) if field.kind == FieldType::Countdown => {
                table.error(
                    text.at.clone(),
                    &format!("countdown `{}` changes by itself and cannot be a key", text.raw),
                );
            }
            Some(_) => {}
            None => {
                let cure = spelling::cure(&text.value, fields.iter().map(|field| field.name.as_str()));
                let message = format!(
                    "`key` names `{}`, which is not declared in the rows' `fields`; {cure}",
                    text.raw
                );
                table.error(text.at.clone(), &message);
            }
        }
    }
    Some(Rows { at_rest, at_ws, key: names, fields })
}

/// `"positions"`, or `{ rest = "items", ws = "positions" }`.
fn at(table: &Table<'_, '_>) -> Option<(Vec<String>, Vec<String>)> {
    let Some(value) = table.raw("at") else { return table.lacking("at", "\"positions\"") };
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let path = table_path(table, table.text("at")?)?;
        return Some((path.clone(), path));
    }
    let inner = table.table("at")?;
    let side = |key: &'static str| match inner.text(key) {
        Some(text) => table_path(&inner, text),
        None => inner.lacking(key, "\"positions\""),
    };
    let (rest, ws) = (side("rest"), side("ws"));
    inner.finish();
    Some((rest?, ws?))
}

fn table_path(table: &Table<'_, '_>, text: Text) -> Option<Vec<String>> {
    let plain = !text.value.starts_with(['$', '@', '\'']);
    match path_parts(&text.value) {
        Ok(path) if plain => Some(path),
        Ok(_) => {
            table.error(
                text.at,
                "`at` is a path inside the record, as in \"positions\" or \"account/positions\"",
            );
            None
        }
        Err(fault) => {
            table.error(text.at, &format!("`{}`: {fault}", text.raw));
            None
        }
    }
}
