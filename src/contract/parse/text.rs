//! What a contract's strings mean by themselves: `${NAME}`, sizes, URLs, header names, JSON pointers, paths.
//!
//! Functions of text alone; places and collecting errors are the reader's.

use super::Environment;

/// A string after `${NAME}` was looked up.
pub enum Filled {
    Text(String),
    /// The first variable that is not set.
    Unset(String),
    /// `${` without a name.
    Malformed,
}

pub fn fill(raw: &str, environment: Environment<'_>) -> Filled {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(open) = rest.find("${") {
        value.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('}') else { return Filled::Malformed };
        let name = &rest[open + 2..open + close];
        if !is_word(name) {
            return Filled::Malformed;
        }
        match environment(name) {
            Some(found) => value.push_str(&found),
            None => return Filled::Unset(name.to_string()),
        }
        rest = &rest[open + close + 1..];
    }
    value.push_str(rest);
    Filled::Text(value)
}

/// Letters, digits and `_`, not beginning with a digit.
pub fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `16 MiB`, `512KB`, `1048576`.
pub fn bytes_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

/// Why a URL cannot be used; the URL itself may hold a password, so it is not quoted.
pub fn url_fault(url: &str, schemes: [&str; 2]) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Some(format!("is no URL; it begins with {}:// or {}://", schemes[0], schemes[1]));
    };
    if !schemes.contains(&scheme) {
        return Some(format!("must begin with {}:// or {}://", schemes[0], schemes[1]));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Some("names no host".into());
    }
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("contains white space; write it as %20".into());
    }
    if url.contains('#') {
        return Some("has a fragment (`#…`), which is never sent; remove it".into());
    }
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|_| !host.ends_with(']'));
    match port {
        Some(port) if port.parse::<u16>().is_err() => Some("has a port that is no number up to 65535".into()),
        _ => None,
    }
}

/// An HTTP token (RFC 9110).
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub fn is_header_value(value: &str) -> bool {
    !value.chars().any(|c| c.is_control() && c != '\t') && value.trim() == value
}

/// The names in `{…}` of a path or of a query's value.
pub fn placeholders(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        // `${NAME}` that stayed because it is unset is no parameter.
        if !rest[..open].ends_with('$') {
            names.push(&rest[open + 1..open + close]);
        }
        rest = &rest[open + close + 1..];
    }
    names
}

/// Why a JSON pointer is none.
pub fn pointer_fault(pointer: &str) -> Option<&'static str> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Some("a JSON pointer begins with `/`, as in \"/data\", or is empty for the whole body");
    }
    bad_escape(pointer).then_some("in a JSON pointer `~` is written `~0`, and `/` in a name `~1`")
}

/// A path inside a record, `quote/last`, split; or why it is none.
pub fn path_parts(path: &str) -> Result<Vec<String>, &'static str> {
    if path.starts_with('/') {
        return Err("a path inside the record has no leading `/`; from the body's root write \"$/…\"");
    }
    if path.is_empty() || path.split('/').any(str::is_empty) {
        return Err("a path names members, parted by `/`, as in \"quote/last\"");
    }
    if bad_escape(path) {
        return Err("in a path `~` is written `~0`, and `/` in a name `~1`");
    }
    Ok(path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}

fn bad_escape(text: &str) -> bool {
    text.split('~').skip(1).any(|after| !after.starts_with(['0', '1']))
}
