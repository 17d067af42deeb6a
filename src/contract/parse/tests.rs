use super::*;
use crate::contract::{BUILTIN, builtin};

fn none(_: &str) -> Option<String> {
    None
}

#[test]
fn probe() {
    let contract = builtin::builtin(&none);
    if let Err(errors) = &contract { for e in errors { println!("{}", e.render()); } panic!(); }
    for (a, b) in [
        ("interval = \"10s\"", "intervall = \"10s\""),
        ("settle = \"2s\"", "settle = 3"),
        ("key      = [\"account_id\"]\n", ""),
        ("cash           = { type", "cash  = { typo"),
        ("type = \"account_balance\", records = \"/data\"", "records = \"/data\""),
        ("[ws]\n", ""),
        ("[rest]\n", "[rest]\nheaders = { A = \"secret\", a = \"t\" , x=1}\n"),
        ("[feature.rows]\nat  = \"positions\"\n", "[feature.rows]\n"),
        ("(current_price - entry_price)", "(current_prize - entry_price)"),
        ("version = 1", "version = 1\nversion = 2"),
        ("version = 1", "version = 1\n[rest.login.json]\n a = 'x"),
    ] {
        let text = BUILTIN.replacen(a, b, 1);
        assert_ne!(text, BUILTIN);
        println!("---- {a:?} -> {b:?}");
        match parse("c.toml", &text, &none, true) { Err(errors) => for e in errors { println!("{}", e.render()); }, Ok(_) => println!("OK") }
    }
}
