//! What the pages in `docs/` and the README show must be what there is: contracts that parse, commands and options that exist.

#![allow(clippy::disallowed_methods, reason = "the pages are files")]

use cutover::contract::parse;
use std::path::Path;
use std::process::Command;

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    files.sort();
    let read =
        |path: &std::path::PathBuf| (path.display().to_string(), std::fs::read_to_string(path).unwrap());
    files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "md")).map(read).collect()
}

/// The blocks of one language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Whether help lists an option by its whole name: `--form` is not offered because `--format` is.
fn offers(help: &str, option: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let option = option.split('=').next().unwrap();
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .any(|line| line.split(|c| !is_name(c)).any(|word| word == option))
}

#[test]
fn an_option_is_known_by_its_whole_name() {
    let help = "  -q, --quiet\n      --format <text|json>  not --for\n  cutover x --evidence DIR\n";
    assert!(offers(help, "--format") && offers(help, "--format=json") && offers(help, "--quiet"));
    assert!(!offers(help, "--form") && !offers(help, "--evidence"));
}

#[test]
fn whole_contracts_parse() {
    let mut seen = 0;
    for (name, page) in pages() {
        for block in blocks(&page, "toml").into_iter().filter(|block| block.starts_with("version = 1")) {
            seen += 1;
            if let Err(errors) = parse(&name, block, &|_| None, false) {
                panic!("{name}\n{}", errors[0].render());
            }
        }
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn commands_and_their_options_exist() {
    let mut seen = 0;
    for (name, page) in pages() {
        let lines = blocks(&page, "sh").join("\n").replace("\\\n", " ");
        for line in lines.lines().filter_map(|line| line.strip_prefix("cutover ")) {
            let line = line.split(" #").next().unwrap();
            let mut words = line.split_whitespace();
            let command = words.next().unwrap();
            let help =
                Command::new(env!("CARGO_BIN_EXE_cutover")).args([command, "--help"]).output().unwrap();
            assert!(help.status.success(), "{name}: cutover {command}");
            let help = String::from_utf8(help.stdout).unwrap();
            for option in words.filter(|word| word.starts_with("--")) {
                assert!(offers(&help, option), "{name}: cutover {command} has no {option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}
