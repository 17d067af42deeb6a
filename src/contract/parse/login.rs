//! `login` of `[rest]`: how polls get their token, carry it and renew it.

use super::connection::{method, path, pointer_or_report};
use super::reader::Table;
use super::text::{is_header_name, is_header_value};
use crate::contract::TOKEN;
use crate::contract::{Body, Carried, Login, OpenStep, Pointer, Refresh, WsSettings};

pub fn login(table: &Table<'_, '_>) -> Option<Login> {
    let inner = table.table("login")?;
    let method = method(&inner, "POST");
    let path = path(&inner);
    let body = body(&inner);
    if method == "GET" {
        for key in ["json", "form"] {
            inner.ineffective(key, "a GET request has no body");
        }
    }
    let carried = carried(&inner);
    let token = pointer(&inner, "token", "access");
    let renew = inner.duration("renew").map(|span| span.value);
    let refresh = refresh(&inner);
    if carried == Carried::Cookies {
        inner.ineffective("token", "with `cookies` there is no token to look for");
    }
    inner.finish();
    Some(Login { method, path, body, token, carried, renew, refresh })
}

fn pointer(table: &Table<'_, '_>, key: &'static str, default: &str) -> Pointer {
    match table.strict_text(key) {
        Some(text) => pointer_or_report(table, &text),
        None => Pointer(vec![default.into()]),
    }
}

fn body(table: &Table<'_, '_>) -> Body {
    let json = table.raw("json").and_then(|value| table.json("json", value));
    let form = table.table("form").map(|form| {
        let pair = |(name, value): (super::reader::At<&str>, _)| {
            Some((name.value.to_string(), form.member_text(name.value, value)?.value))
        };
        form.members().into_iter().filter_map(pair).collect()
    });
    match (json, form) {
        (Some(json), None) => Body::Json(json),
        (Some(_), Some(_)) => {
            table.ineffective("form", "`json` is sent already");
            Body::Empty
        }
        (None, Some(form)) => Body::Form(form),
        (None, None) => Body::Empty,
    }
}

fn carried(table: &Table<'_, '_>) -> Carried {
    let header = table.filled_text("header");
    if let Some(text) = &header
        && text.known
        && !is_header_name(&text.value)
    {
        table.error(text.at.clone(), "`header` is no header name; use letters, digits and `-`");
    }
    let format = table.text("format");
    if let Some(text) = &format
        && text.known
        && (!text.value.contains("{}") || !is_header_value(&text.value))
    {
        table.error(text.at.clone(), "`format` must show by `{}` where the token goes, as in \"Bearer {}\"");
    }
    let cookie = table.filled_text("cookie");
    if let Some(text) = &cookie
        && text.known
        && !is_header_name(&text.value)
    {
        table.error(text.at.clone(), "`cookie` is no cookie's name; use letters, digits, `-` and `_`");
    }
    let param = table.filled_text("param");
    let cookies = table.boolean("cookies").is_some_and(|answer| answer.value);
    let (carried, instead, others): (_, _, &[&'static str]) = match (cookies, cookie, param) {
        (true, ..) => (Carried::Cookies, "cookies", &["cookie", "param", "header", "format"]),
        (_, Some(name), _) => (Carried::Cookie(name.value), "cookie", &["param", "header", "format"]),
        (_, _, Some(name)) => (Carried::Param(name.value), "param", &["header", "format"]),
        _ => {
            let name = header.map_or("Authorization".into(), |text| text.value);
            let format = format.map_or("Bearer {}".into(), |text| text.value);
            (Carried::Header { name, format }, "header", &[])
        }
    };
    for key in others {
        table.ineffective(key, &format!("`{instead}` says already how polls are logged in"));
    }
    carried
}

fn refresh(table: &Table<'_, '_>) -> Option<Refresh> {
    let inner = table.table("refresh")?;
    let refresh = Refresh {
        path: path(&inner),
        body: body(&inner),
        token: pointer(&inner, "token", "access"),
        from: pointer(&inner, "from", "refresh"),
    };
    inner.finish();
    Some(refresh)
}

/// `{token}` has no meaning without a login that gives one.
pub fn check_token(root: &Table<'_, '_>, login: Option<&Login>, settings: &WsSettings) {
    let has_token = login.is_some_and(|login| login.carried != Carried::Cookies);
    let Some(ws) = root.table("ws").filter(|_| !has_token) else { return };
    let sent = settings.open.iter().filter_map(|step| match step {
        OpenStep::Send(text) => Some(("open", text)),
        OpenStep::Expect { .. } => None,
    });
    let all = [("url", &settings.url)]
        .into_iter()
        .chain(settings.headers.iter().map(|(_, value)| ("headers", value)))
        .chain(settings.subscribe.iter().map(|text| ("subscribe", text)))
        .chain(sent);
    for (key, _) in all.filter(|(_, text)| text.contains(TOKEN)) {
        let why = "no `login` of [rest] gives a token; add one, or write the token itself as ${NAME}";
        ws.error_at_head(&format!("`{TOKEN}` in `{key}` of [ws]: {why}"));
    }
}
