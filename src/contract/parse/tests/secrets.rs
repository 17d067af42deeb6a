//! What `${NAME}` becomes, and that no credential is shown or recorded.

use super::*;
use crate::contract::{Body, Carried, Pointer};

#[test]
fn credentials_are_filled_in_and_never_shown() {
    let rest = |keys: &str| format!("timeout  = \"5s\"\n{keys}");
    for (keys, expect) in [
        ("headers = { Authorization = \"${TOKN}\" }", "environment variable `TOKN` is not set"),
        ("headers = { \"Bad Name\" = \"s3cr3t\" }", "`Bad Name` is no header name"),
        ("headers = { A = \"s3cr3t\\n\" }", "the value of header `A` has control codes"),
        ("headers = { A = \" ${TOKEN}\" }", "the value of header `A` has control codes or outer spaces"),
        ("headers = { A = \"s3cr3t\", a = \"s3cr3t\" }", "header `a` stands twice"),
        ("headers = { A = \"s3cr3t\", B = 1 }", "`B` is an integer; write a string"),
        ("headers = \"s3cr3t\"", "`headers` is a string"),
        (
            "login = { path = \"/l\", json = { p = \"s3cr3t\" }, format = \"Bearer\" }",
            "`format` must show by `{}`",
        ),
        ("login = { json = { p = \"s3cr3t\" } }", "`path` is lacking in [rest.login]"),
        ("login = { method = \"GET\", path = \"/l\", json = { p = \"s3cr3t\" } }", "`json` has no effect"),
        ("login = { path = \"/l\", json = { p = \"s3cr3t\", n = nan } }", "is not finite"),
        ("login = { path = \"/l\", json = { p = \"s3cr3t\" }, tokn = \"/t\" }", "did you mean `token`?"),
        (
            "login = { path = \"/l\", json = { p = \"s3cr3t\" }, header = \"a b\" }",
            "`header` is no header name",
        ),
        ("header = { Authorization = \"s3cr3t\" }", "did you mean `headers`?"),
        ("password = \"s3cr3t\"", "unknown key `password` in [rest]"),
        ("headers = { A = \"${\" }", "begins an environment variable"),
        ("headers = { A = \"${a-b}\" }", "begins an environment variable"),
    ] {
        check("timeout  = \"5s\"", &rest(keys), &[expect]);
    }
    // Nor does a message that quotes what it could not read.
    for (from, to, expect) in [
        (SETTLE, "settle = \"${TOKEN}\"\n", "`${TOKEN}` is no duration"),
        (
            "calendar = \"24/7\"",
            "calendar = \"X\"\n[calendar.X]\nextends = \"XNYS\"\nadd_closed = [\"${TOKEN}\"]",
            "`${TOKEN}` is not a date",
        ),
        (
            "invariants = [\"low <= open\"",
            "invariants = [\"low <= ${TOKEN}\"",
            "is not right once its variables are filled in",
        ),
        (BALANCE_REST, "rest = { path = \"/{${TOKEN}}\", poll = \"1s\" }", "is no parameter of `each`"),
        (CASH, "cash = { type = \"decimal\", rest = \"@${TOKEN}\" }", "no parameter `${TOKEN}`"),
        ("[market]", "[auth]\npassword = \"s3cr3t\"\n[market]", "unknown key `auth`"),
    ] {
        check(from, to, &[expect]);
    }
    // A torn file shows nothing near credentials either.
    for keys in [
        "headers = { A = \"s3cr3t }",
        "headers = { A = \"\"\"\ns3cr3t\n",
        "login = { path = \"/l\", json = { password = \"s3cr3t\", x = } }",
    ] {
        let errors = read(&edited("timeout  = \"5s\"", keys)).unwrap_err();
        assert!(!format!("{errors:?}").contains("s3cr3t"), "{errors:#?}");
    }
}

#[test]
fn an_unset_variable_is_an_error_only_where_it_is_needed() {
    let text = edited("timeout  = \"5s\"", "timeout = \"${T}\"\nheaders = { A = \"x ${UNSET}\" }")
        .replace("http://127.0.0.1:8787", "${BASE}");
    let place = |error: &ContractError| (error.line, error.column, error.message.clone());
    let errors = parse("c.toml", &text, &environment, true).unwrap_err();
    let names: Vec<_> = errors.iter().map(place).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0].2.contains("`BASE` is not set") && names[2].2.contains("`UNSET` is not set"));
    let contract = parse("c.toml", &text, &environment, false).unwrap();
    assert_eq!(contract.rest.base_url, "${BASE}");
    assert_eq!(contract.rest.timeout, Span::from_secs(5));
    assert_eq!(contract.rest.headers, [("A".to_string(), "x ${UNSET}".to_string())]);
    // A feature's headers carry credentials like those of all.
    let own = "rest = { path = \"/b\", poll = \"1s\", headers = { A = \"${UNSET}\" } }";
    assert!(parse("c.toml", &edited(BALANCE_REST, own), &environment, false).is_ok());
    assert!(parse("c.toml", &edited(BALANCE_REST, own), &environment, true).is_err());
    // What is set is filled in either way.
    let text = edited("127.0.0.1:8787/ws", "${HOST}/ws");
    assert_eq!(parse("c.toml", &text, &environment, false).unwrap().ws.url, "ws://feed.example.com/ws");
    // Elsewhere, and in what routes frames, it is needed always.
    for (from, to) in
        [("settle = \"2s\"", "settle = \"${S}\""), ("type         = \"/type\"", "type = \"${S}\"")]
    {
        let errors = parse("c.toml", &edited(from, to), &environment, false).unwrap_err();
        assert!(errors[0].message.contains("environment variable `S` is not set"), "{errors:?}");
    }
    assert_eq!(good("settle = \"2s\"", "settle = \"${SETTLE}\"").settle, Span::from_secs(3));
}

#[test]
fn the_recorded_text_holds_no_credentials_and_parses_again() {
    let text = edited(
        "timeout  = \"5s\"",
        r#"timeout  = "5s"   # kept
headers = { Authorization = "Bearer ${TOKEN}", X-Api-Key = 's3cr3t', "X.Y" = """s3cr3t
s3cr3t""" , Plain = "${TOKEN}" }
login = { path = "/login", json = { user = "s3cr3t", nested = { pin = 1234567, list = ["s3cr3t", "${TOKEN}"] } } }"#,
    )
    .replace("url          = \"ws://127.0.0.1:8787/ws\"", "url = \"ws://s3cr3t:s3cr3t@h/ws?token=s3cr3t&x=${TOKEN}\"\nheaders.Origin = \"s3cr3t\"")
    .replace(
        BALANCE_REST,
        "rest = { path = \"/b/{a}\", poll = \"1s\", records = \"/accounts\", each = { a = [1, \"x\"], b = [true] },\n  query = { b = \"{b}\", k = \"s3cr3t\", n = 5 }, headers = { K = \"s3cr3t\" } }",
    );
    // A line break inside a header's value is refused, so this contract is read without it.
    let text = text.replace("\"\"\"s3cr3t\ns3cr3t\"\"\"", "\"\"\"s3cr3t\"\"\"");
    let contract = read(&text).unwrap_or_else(|errors| panic!("{}", errors[0].render()));
    let recorded = &contract.recorded_text;
    assert!(!recorded.contains("s3cr3t") && !recorded.contains("1234567"), "{recorded}");
    for kept in [
        "timeout  = \"5s\"   # kept\n",
        "headers = { Authorization = \"***${TOKEN}\", X-Api-Key = \"***\", \"X.Y\" = \"***\" , Plain = \"${TOKEN}\" }",
        "json = { user = \"***\", nested = { pin = \"***\", list = [\"***\", \"${TOKEN}\"] } }",
        "url = \"ws://***@h/ws?token=***&x=${TOKEN}\"\nheaders.Origin = \"***\"",
        "query = { b = \"{b}\", k = \"***\", n = \"***\" }, headers = { K = \"***\" }",
    ] {
        assert!(recorded.contains(kept), "{kept}\n{recorded}");
    }
    let again = parse("c.toml", recorded, &environment, false)
        .unwrap_or_else(|errors| panic!("{}", errors[0].render()));
    assert_eq!(again.recorded_text, *recorded, "masking again changes nothing");
    assert_eq!(
        (again.features[0].fields.as_slice(), &again.settle),
        (contract.features[0].fields.as_slice(), &contract.settle)
    );
    assert_eq!(contract.rest.headers[0].1, "Bearer s3cr3t-from-environment");
    let login = contract.rest.login.unwrap();
    assert_eq!(
        (login.method.as_str(), login.token, login.carried),
        (
            "POST",
            Pointer(vec!["access".into()]),
            Carried::Header { name: "Authorization".into(), format: "Bearer {}".into() }
        )
    );
    let Body::Json(json) = login.body else { panic!("{:?}", login.body) };
    assert_eq!(json["nested"]["list"][1], "s3cr3t-from-environment");
    assert_eq!(contract.features[0].rest.each[0], ("a".into(), vec![1.into(), "x".into()]));
    let query = &contract.features[0].rest.query;
    assert_eq!(
        query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"),
        "b={b}&k=s3cr3t&n=5"
    );
}

#[test]
fn what_is_called_a_secret_elsewhere_is_not_recorded_either() {
    let ws = r#"ignore_types = ["heartbeat", "pong"]"#;
    for (from, to, recorded) in [
        (
            ws,
            r#"subscribe = ['{"type":"auth","token":"s3cr3t"}', "ping"]"#,
            r#"["{\"token\":\"***\",\"type\":\"auth\"}", "ping"]"#,
        ),
        (
            ws,
            r#"subscribe = ['{"type":"auth","token":"${TOKEN}"}']"#,
            r#"['{"type":"auth","token":"${TOKEN}"}']"#,
        ),
        (
            ws,
            r#"subscribe = ['{"type":"subscribe","channel":"x"}']"#,
            r#"['{"type":"subscribe","channel":"x"}']"#,
        ),
        (
            ws,
            r#"keepalive = { every = "1s", send = '{"auth":{"pin":1}}' }"#,
            r#"send = "{\"auth\":{\"pin\":\"***\"}}" }"#,
        ),
        (
            BALANCE_REST,
            r#"rest = { path = "/b?id={a}&api_key=s3cr3t&x=y", poll = "1s", each = { a = [1] } }"#,
            r#"path = "/b?id={a}&api_key=***&x=y""#,
        ),
        (
            "timeout  = \"5s\"",
            r#"login = { path = "/l?key=s3cr3t", json = { a = "${TOKEN}" } }"#,
            r#"{ path = "/l?key=***", json = { a = "${TOKEN}" } }"#,
        ),
        ("http://127.0.0.1:8787\"", "http://u:s3cr3t@h\"", "base_url = \"http://***@h\""),
        ("http://127.0.0.1:8787\"", "http://${TOKEN}@h\"", "base_url = \"http://${TOKEN}@h\""),
    ] {
        let contract = good(from, to);
        assert!(contract.recorded_text.contains(recorded), "{to}: {}", contract.recorded_text);
        assert!(!contract.recorded_text.contains("s3cr3t"), "{to}");
        assert!(parse("c.toml", &contract.recorded_text, &environment, false).is_ok(), "{to}");
    }
}

#[test]
fn nobody_connects_with_a_blot_for_a_credential() {
    let path = r#"rest = { path = "/b?api_key=***", poll = "1s" }"#;
    for (from, to, place) in [
        ("timeout  = \"5s\"", "headers = { Authorization = \"***\" }", "\"***\""),
        ("timeout  = \"5s\"", "headers = { Authorization = \"***${TOKEN}\" }", "\"***${TOKEN}\""),
        ("http://127.0.0.1:8787\"", "http://***@h\"", "\"http://***@h\""),
        ("ws://127.0.0.1:8787/ws", "ws://h/ws?token=***", "\"ws://h/ws?token=***\""),
        (BALANCE_REST, path, "\"/b?api_key=***\""),
    ] {
        let text = edited(from, to);
        let errors = parse("c.toml", &text, &environment, true).unwrap_err();
        let [error] = errors.as_slice() else { panic!("{to}: {errors:?}") };
        let line = text.lines().position(|line| line.contains(place)).unwrap() + 1;
        assert!(error.render().contains(&format!("c.toml:{line}:")), "{}", error.render());
        assert!(
            error.render().contains("a credential was hidden here; write \"${NAME}\""),
            "{}",
            error.render()
        );
        // What was recorded is still judged.
        assert!(parse("c.toml", &text, &environment, false).is_ok(), "{to}");
    }
}
