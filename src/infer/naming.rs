//! What names suggest: that two mean one thing, or that a member tells entities apart. A hint beside values,
//! never a proof. Must not look at values.

/// How much two names look like one: 4 equal, 3 but for case and `_`, 2 one abbreviates the other, 1 they share
/// half their words, 0 nothing.
pub fn affinity(a: &str, b: &str) -> u8 {
    if a == b {
        return 4;
    }
    let (x, y) = (words(a), words(b));
    if x.concat() == y.concat() {
        return 3;
    }
    let (short, long) = if x.len() <= y.len() { (&x, &y) } else { (&y, &x) };
    if !short.is_empty() && abbreviates(short, long) {
        return 2;
    }
    let shared = short.iter().filter(|word| long.contains(word)).count();
    u8::from(shared > 0 && shared * 2 >= long.len())
}

/// Each word of `short` begins a word of `long`, or the other way round, in order: `net_liq` and
/// `net_liquidation`, `o` and `open`, `buying_power` and `stock_buying_power`.
fn abbreviates(short: &[String], long: &[String]) -> bool {
    let mut rest = long.iter();
    short
        .iter()
        .all(|word| rest.any(|other| other.starts_with(word.as_str()) || word.starts_with(other.as_str())))
}

/// The words of a name, in lower case: `netLiq`, `net_liq` and `net-liq` are `net`, `liq`.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower_before) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How much a name looks like that of a key: 3 `id`, `symbol`; 2 `account`; 1 `name`; 0 anything else.
pub fn key_likeness(name: &str) -> u8 {
    const CERTAIN: [&str; 12] =
        ["id", "key", "symbol", "ticker", "uuid", "guid", "isin", "sku", "pk", "slug", "conid", "hash"];
    const LIKELY: [&str; 5] = ["account", "code", "instrument", "path", "channel"];
    const PERHAPS: [&str; 3] = ["name", "number", "no"];
    let words = words(name);
    let Some(last) = words.last().map(String::as_str) else { return 0 };
    match last {
        _ if CERTAIN.contains(&last) => 3,
        _ if LIKELY.contains(&last) => 2,
        _ if PERHAPS.contains(&last) => 1,
        _ => 0,
    }
}

/// Whether a name speaks of a state: one of a few words that changes.
pub fn is_state_like(name: &str) -> bool {
    const STATES: [&str; 6] = ["status", "state", "phase", "side", "mode", "condition"];
    words(name).last().is_some_and(|last| STATES.contains(&last.as_str()))
}

/// Whether a number of this name may be an instant.
pub fn is_time_like(name: &str) -> bool {
    const TIMES: [&str; 14] = [
        "t",
        "ts",
        "time",
        "timestamp",
        "date",
        "datetime",
        "at",
        "updated",
        "created",
        "changed",
        "lc",
        "lu",
        "utc",
        "ms",
    ];
    words(name).iter().any(|word| TIMES.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_one_thing() {
        for (a, b, expect) in [
            ("cash", "cash", 4),
            ("netLiq", "net_liq", 3),
            ("net_liq", "net_liquidation", 2),
            ("o", "open", 2),
            ("v", "volume", 2),
            ("buying_power", "stock_buying_power", 2),
            ("realized_pl_total", "realized_pl_open", 1),
            ("cash", "quantity", 0),
            ("h", "low", 0),
            ("", "low", 0),
        ] {
            assert_eq!(affinity(a, b), expect, "{a} {b}");
            assert_eq!(affinity(b, a), expect, "{b} {a}");
        }
    }

    #[test]
    fn keys_are_named_like_keys() {
        assert_eq!(
            ["account_id", "accountId", "symbol", "account", "name", "cash"].map(key_likeness),
            [3, 3, 3, 2, 1, 0]
        );
        assert!(is_time_like("updated_at") && is_time_like("t") && !is_time_like("quantity"));
        assert!(is_state_like("market_status") && !is_state_like("country"));
    }
}
