//! How real back ends shape their bodies, and what comes of each.

use cutover::model::Timestamp;

pub struct Shape {
    pub name: &'static str,
    pub query: &'static str,
    /// What is so in a second of the world.
    pub rest: fn(u64) -> String,
    /// What is new in it.
    pub ws: fn(u64) -> Vec<String>,
    /// Lines of the contract that is written.
    pub says: &'static [&'static str],
    /// What has to be changed in it by hand: from, to.
    pub edits: &'static [(&'static str, &'static str)],
}

/// A shape that `init` reads by itself.
const PLAIN: Shape =
    Shape { name: "", query: "", rest: |_| String::new(), ws: |_| Vec::new(), says: &[], edits: &[] };

/// An amount with two places, of a key, that changes every second.
fn cents(second: u64, key: u64) -> f64 {
    let mixed = (second * 31 + key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (4_000_000 + mixed % 100_000) as f64 / 100.0
}

/// The second's stamp, as RFC 3339 in UTC.
fn stamp(second: u64) -> String {
    Timestamp(second as i64 * 1_000_000_000 + 1_234_000).to_string()
}

const ACCOUNTS: [&str; 2] = ["PAPER-1", "PAPER-2"];
const SYMBOLS: [&str; 2] = ["SPY", "/ES"];

fn accounts(record: impl Fn(u64, &str) -> String) -> Vec<String> {
    ACCOUNTS.iter().zip(1..).map(|(key, n)| record(n, key)).collect()
}

fn plain(second: u64) -> Vec<String> {
    accounts(|n, key| {
        format!(r#"{{"account":"{key}","cash":{},"at":"{}"}}"#, cents(second, n), stamp(second))
    })
}

fn typed(kind: &str, records: Vec<String>) -> Vec<String> {
    records.iter().map(|record| format!(r#"{{"type":"{kind}","data":{record}}}"#)).collect()
}

/// Whether something changed in this second: not every, and not every so many.
fn changes(second: u64) -> bool {
    [0, 2, 3, 7, 8].contains(&(second % 11))
}

fn status(second: u64, key: u64) -> &'static str {
    let last = (0..11).map(|back| second - back).find(|s| changes(*s)).unwrap_or(second);
    ["OPEN", "CLOSED", "PREOPEN"][((last * 31 + key * 17) % 3) as usize]
}

fn statuses(second: u64) -> String {
    let one = |(key, n): (&str, u64)| {
        format!(r#"{{"key":"{key}","name":"The {key}","status":"{}"}}"#, status(second, n))
    };
    let all: Vec<String> = ["tokyo", "london", "new_york"].into_iter().zip(1..).map(one).collect();
    all.join(",")
}

/// A bar of two seconds as it is after `second`: open, high, low, close, volume.
fn bar(bucket: u64, second: u64, key: u64) -> [f64; 5] {
    let seconds = (bucket * 2..=bucket * 2 + 1).filter(|s| *s <= second);
    let prices: Vec<f64> = seconds.map(|s| cents(s, key)).collect();
    let high = prices.iter().copied().fold(f64::MIN, f64::max);
    let low = prices.iter().copied().fold(f64::MAX, f64::min);
    [prices[0], high, low, prices[prices.len() - 1], prices.len() as f64 * 100.0]
}

/// Which of three things is so: another one every other second.
fn place(second: u64, key: u64) -> usize {
    ((second / 2 * 31 + key * 17) % 3) as usize
}

/// The stamp of the moment in which it is asked for.
fn own_stamp() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(now.as_micros() as i64 * 1000).to_string()
}

/// How long each market stays as it is.
fn clocks(second: u64) -> String {
    let one = |(key, n): (&str, u64)| {
        let left = 100_000 + n * 977 - second % 50_000;
        format!(r#"{{"key":"{key}","value":{},"seconds_to_next_event":{left}}}"#, cents(second, n))
    };
    ["tokyo", "london"].into_iter().zip(1..).map(one).collect::<Vec<_>>().join(",")
}

/// What an account holds: the third symbol is held at times.
fn positions(second: u64) -> Vec<String> {
    let held = ["TSLA", "AAPL", "MSFT"].into_iter().zip(1..).filter(|(_, n)| *n < 3 || second % 10 < 5);
    let one = |(symbol, n)| format!(r#"{{"symbol":"{symbol}","price":{}}}"#, cents(second, n));
    held.map(one).collect()
}

pub const SHAPES: &[Shape] = &[
    Shape {
        name: "plain",
        rest: |s| format!(r#"{{"accounts":[{}]}}"#, plain(s).join(",")),
        ws: |s| typed("balance", plain(s)),
        says: &["align = \"time\""],
        ..PLAIN
    },
    Shape {
        name: "other-names-and-number-texts",
        rest: |s| {
            let record = |n, key: &str| {
                let (cash, net) = (cents(s, n), cents(s, n + 5));
                format!(
                    r#"{{"account_key":"{key}","currency":"USD","cash":"{cash:.2}","net_liq":"{net:.2}","updated_at":"{}"}}"#,
                    stamp(s)
                )
            };
            format!(r#"{{"balances":[{}]}}"#, accounts(record).join(","))
        },
        ws: |s| {
            let record = |n, key: &str| {
                let (cash, net) = (cents(s, n), cents(s, n + 5));
                let at = stamp(s).replace('Z', "+00:00");
                format!(
                    r#"{{"broker":"PAPER","account_key":"{key}","net_liquidation":{net},"cash":{cash},"updated_at":"{at}"}}"#
                )
            };
            typed("balances", accounts(record))
        },
        says: &["net_liq"],
        ..PLAIN
    },
    Shape {
        name: "keyed-by-name",
        rest: |s| {
            let record = |n, key: &str| format!(r#""{key}":{{"cash":{},"at":"{}"}}"#, cents(s, n), stamp(s));
            format!("{{{}}}", accounts(record).join(","))
        },
        ws: |s| vec![format!(r#"{{"type":"balance","data":[{}]}}"#, plain(s).join(","))],
        says: &["index"],
        ..PLAIN
    },
    Shape {
        name: "key-in-a-parent",
        rest: |s| {
            let record = |n, key: &str| {
                format!(
                    r#"{{"account":"{key}","symbol":"TSLA","price":{},"at":"{2}"}},{{"account":"{key}","symbol":"AAPL","price":{},"at":"{2}"}}"#,
                    cents(s, n),
                    cents(s, n + 7),
                    stamp(s)
                )
            };
            format!(r#"{{"positions":[{}]}}"#, accounts(record).join(","))
        },
        ws: |s| {
            let record = |n, key: &str| {
                format!(
                    r#"{{"account":"{key}","positions":[{{"symbol":"TSLA","price":{},"at":"{2}"}},{{"symbol":"AAPL","price":{},"at":"{2}"}}]}}"#,
                    cents(s, n),
                    cents(s, n + 7),
                    stamp(s)
                )
            };
            typed("positions", accounts(record))
        },
        says: &["ws = \"$/data/account\""],
        ..PLAIN
    },
    Shape {
        name: "key-in-the-request",
        query: "?market=USA",
        rest: |s| format!(r#"{{"latest":{{"price":{},"at":"{}"}}}}"#, cents(s, 1), stamp(s)),
        ws: |s| {
            let record = format!(r#"{{"market":"USA","price":{},"at":"{}"}}"#, cents(s, 1), stamp(s));
            typed("tick", vec![record])
        },
        ..PLAIN
    },
    Shape {
        name: "naive-time",
        rest: |s| format!(r#"{{"accounts":[{}]}}"#, plain(s).join(",").replace("Z\"", "\"")),
        ws: |s| typed("balance", plain(s)),
        says: &["# UNSURE: equal for", "without an offset, read as UTC"],
        ..PLAIN
    },
    Shape {
        name: "epoch-time",
        rest: |s| format!(r#"{{"accounts":[{}]}}"#, plain(s).join(",")),
        ws: |s| {
            let record =
                |n, key: &str| format!(r#"{{"account":"{key}","cash":{},"t":{s}.001234}}"#, cents(s, n));
            typed("balance", accounts(record))
        },
        says: &["/t"],
        ..PLAIN
    },
    Shape {
        name: "bars-by-letters",
        rest: |s| {
            let one = |bucket: u64, n: u64, symbol: &str| {
                let [o, h, l, c, v] = bar(bucket, s, n);
                let at = Timestamp(bucket as i64 * 2_000_000_000);
                format!(
                    r#"{{"symbol":"{symbol}","minute":"{at}","open":{o},"high":{h},"low":{l},"close":{c},"volume":{v}}}"#
                )
            };
            let last = s / 2;
            let bars = SYMBOLS
                .iter()
                .zip(8..)
                .flat_map(|(symbol, n)| (last - 2..=last).map(move |bucket| one(bucket, n, symbol)));
            format!(r#"{{"bars":[{}]}}"#, bars.collect::<Vec<_>>().join(","))
        },
        ws: |s| {
            let one = |(symbol, n): (&&str, u64)| {
                let [o, h, l, c, v] = bar(s / 2, s, n);
                format!(
                    r#"{{"symbol":"{symbol}","t":{},"o":{o},"h":{h},"l":{l},"c":{c},"v":{v}.0}}"#,
                    s / 2 * 2
                )
            };
            typed("intraday_bar", SYMBOLS.iter().zip(8..).map(one).collect())
        },
        says: &["align = \"bucket\"", "open = { type = \"decimal\", forming = \"fixed\", ws = \"o\" }"],
        ..PLAIN
    },
    Shape {
        name: "status-on-change",
        rest: |s| format!("[{}]", statuses(s)),
        ws: |s| match changes(s) {
            true => vec![format!(r#"{{"type":"markets","data":{{"markets":[{}]}}}}"#, statuses(s))],
            false => Vec::new(),
        },
        says: &["on-change"],
        ..PLAIN
    },
    Shape {
        name: "pages",
        rest: |s| format!(r#"{{"count":2,"next":null,"previous":null,"results":[{}]}}"#, plain(s).join(",")),
        ws: |s| typed("balance", plain(s)),
        says: &["/results"],
        ..PLAIN
    },
    Shape {
        name: "rounded",
        rest: |s| {
            let record = |n, key: &str| {
                let value = cents(s, n) / 7.0;
                format!(r#"{{"account":"{key}","value":"{value:.2}","at":"{}"}}"#, stamp(s))
            };
            format!(r#"{{"accounts":[{}]}}"#, accounts(record).join(","))
        },
        ws: |s| {
            let record = |n, key: &str| {
                let value = cents(s, n) / 7.0;
                format!(r#"{{"account":"{key}","value":{value:.6},"at":"{}"}}"#, stamp(s))
            };
            typed("balance", accounts(record))
        },
        says: &["round = 2"],
        ..PLAIN
    },
    Shape {
        name: "by-topic",
        rest: |s| format!(r#"{{"accounts":[{}]}}"#, plain(s).join(",")),
        ws: |s| {
            let all = plain(s);
            let one = |record: &String| format!(r#"{{"topic":"account.balance","payload":{record}}}"#);
            all.iter().map(one).chain([format!(r#"{{"topic":"heartbeat","at":{s}}}"#)]).collect()
        },
        says: &["type = \"/topic\"", "ignore_types = [\"heartbeat\"]"],
        ..PLAIN
    },
    Shape {
        name: "lists-of-messages",
        rest: |s| format!(r#"{{"accounts":[{}]}}"#, plain(s).join(",")),
        ws: |s| vec![format!("[{}]", typed("balance", plain(s)).join(","))],
        ..PLAIN
    },
    Shape {
        name: "regenerated-time",
        rest: |s| {
            // Naive, really UTC, and the answer's own.
            let at = own_stamp().replace('Z', "");
            let record =
                |n, key: &str| format!(r#"{{"account":"{key}","cash":{},"updated_at":"{at}"}}"#, cents(s, n));
            format!(r#"{{"accounts":[{}]}}"#, accounts(record).join(","))
        },
        ws: |s| {
            let at = own_stamp().replace('Z', "+00:00");
            let record =
                |n, key: &str| format!(r#"{{"account":"{key}","cash":{},"updated_at":"{at}"}}"#, cents(s, n));
            typed("balance", accounts(record))
        },
        says: &["align = \"arrival\"", "UNSURE: differs in", "each side's own stamp, not compared"],
        ..PLAIN
    },
    Shape {
        name: "other-words",
        rest: |s| {
            let word = |s, n| ["Long", "Short", "Flat"][place(s, n)];
            let record = |n, key: &str| {
                format!(r#"{{"account":"{key}","net":{},"side":"{}"}}"#, cents(s, n), word(s, n))
            };
            format!(r#"{{"accounts":[{}]}}"#, accounts(record).join(","))
        },
        ws: |s| {
            let word = |s, n| ["LONG", "B", "none"][place(s, n)];
            let record = |n, key: &str| {
                format!(r#"{{"account":"{key}","net":{},"side":"{}"}}"#, cents(s, n), word(s, n))
            };
            typed("position", accounts(record))
        },
        says: &["map = { ws = { B = \"Short\", LONG = \"Long\", none = \"Flat\" } }"],
        ..PLAIN
    },
    Shape {
        name: "other-units",
        rest: |s| format!(r#"{{"accounts":[{}]}}"#, plain(s).join(",")),
        ws: |s| {
            let record = |n, key: &str| {
                let cents = (cents(s, n) * 100.0).round();
                format!(r#"{{"account":"{key}","cash":{cents},"at":"{}"}}"#, stamp(s))
            };
            typed("balance", accounts(record))
        },
        says: &["scale = { ws = \"0.01\" }"],
        ..PLAIN
    },
    Shape {
        name: "countdown",
        rest: |s| format!("[{}]", clocks(s)),
        ws: |s| vec![format!(r#"{{"type":"clock","data":[{}]}}"#, clocks(s))],
        says: &["type = \"countdown\""],
        ..PLAIN
    },
    Shape {
        name: "inactive-on-rest",
        rest: |s| {
            let mut all = accounts(|n, key| {
                format!(
                    r#"{{"account":"{key}","is_active":true,"cash":{},"at":"{}"}}"#,
                    cents(s, n),
                    stamp(s)
                )
            });
            all.push(format!(r#"{{"account":"OLD-1","is_active":false,"cash":0,"at":"{}"}}"#, stamp(s)));
            all.push(format!(r#"{{"account":"OLD-2","is_active":false,"cash":5,"at":"{}"}}"#, stamp(s)));
            format!(r#"{{"accounts":[{}]}}"#, all.join(","))
        },
        ws: |s| typed("balance", plain(s)),
        says: &["only = { is_active = true }", "UNSURE: "],
        ..PLAIN
    },
    Shape {
        name: "whole-lists",
        rest: |s| format!(r#"{{"positions":[{}]}}"#, positions(s).join(",")),
        ws: |s| {
            vec![format!(
                r#"{{"type":"positions","data":{{"broker":"PAPER","positions":[{}]}}}}"#,
                positions(s).join(",")
            )]
        },
        says: &["mode = \"snapshot\""],
        ..PLAIN
    },
];
