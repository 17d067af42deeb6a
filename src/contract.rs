//! The contract: what is promised, per feature, and how both sides are read (SPEC §3).
//!
//! A `Contract` exists only if it is right; everything here is already resolved: defaults applied,
//! durations parsed, names checked against each other. `parse` turns TOML into it.

pub mod builtin;
pub mod expression;
pub mod parse;
pub mod spelling;

pub use builtin::{BUILTIN, builtin, builtin_sha256};
pub use expression::{Invariant, Number};
pub use parse::{ContractError, Environment, MASKED, parse};

use crate::calendar::CalendarRule;
use crate::model::{Class, Span};
use bigdecimal::BigDecimal;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    pub rest: RestSettings,
    pub ws: WsSettings,
    pub settle: Span,
    pub features: Vec<Feature>,
    /// The file's own calendars, by name; those compiled in are not among them.
    pub calendars: Vec<Arc<CalendarRule>>,
    /// Names of fields whose values are replaced by a keyed hash before anything is stored.
    pub redact: Vec<String>,
    pub reviewers: Vec<String>,
    pub waivers: Vec<Waiver>,
    pub logs: Logs,
    /// The text for a capture: before `${…}` is filled in, literal credentials as `***`.
    pub recorded_text: String,
    /// SHA-256 of the file's raw bytes, in hexadecimal.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RestSettings {
    pub base_url: String,
    pub timeout: Span,
    pub headers: Vec<(String, String)>,
    pub login: Option<Login>,
    pub tls: Tls,
    /// Bytes.
    pub max_body: u64,
    pub max_in_flight: usize,
    /// Polls of all features that may begin within a minute; `None`: as many as are due.
    pub most_per_minute: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    pub method: String,
    pub path: String,
    /// With `${…}` filled in.
    pub body: Body,
    /// Where the token stands in the answer.
    pub token: Pointer,
    pub carried: Carried,
    /// How old a token may become; without it, nine tenths of what the token or the answer say.
    pub renew: Option<Span>,
    pub refresh: Option<Refresh>,
}

/// What a login sends.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Empty,
    Json(serde_json::Value),
    /// `application/x-www-form-urlencoded`
    Form(Vec<(String, String)>),
}

/// How polls show that they are logged in.
#[derive(Debug, Clone, PartialEq)]
pub enum Carried {
    /// By default `Authorization: Bearer {}`, the token in place of `{}`.
    Header { name: String, format: String },
    /// The token is the value of this cookie.
    Cookie(String),
    /// The token is the value of this query parameter.
    Param(String),
    /// There is no token: what counts are the cookies that the login's answer sets.
    Cookies,
}

/// How a token is renewed without the password.
#[derive(Debug, Clone, PartialEq)]
pub struct Refresh {
    pub path: String,
    /// `{refresh}` in it is the refresh token.
    pub body: Body,
    /// Where the new token stands in the answer.
    pub token: Pointer,
    /// Where the refresh token stands in the login's answer, and perhaps in this one's.
    pub from: Pointer,
}

/// Stands for the login's present token in what is sent to the WebSocket.
pub const TOKEN: &str = "{token}";

/// What happens on a connection before it counts as open.
#[derive(Debug, Clone, PartialEq)]
pub enum OpenStep {
    Send(String),
    /// Waits for a message that says these texts at these places.
    Expect {
        says: Vec<(Pointer, String)>,
        timeout: Span,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tls {
    pub ca: Option<String>,
    pub client_cert: Option<String>,
    pub client_key: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WsSettings {
    pub url: String,
    pub type_at: Pointer,
    /// Frames that nobody needs, known by these.
    pub ignored: Vec<Sign>,
    /// Types that show that the server lives, and nothing of any feature.
    pub keepalive_types: Vec<String>,
    pub headers: Vec<(String, String)>,
    /// Subprotocols to offer.
    pub protocols: Vec<String>,
    pub open: Vec<OpenStep>,
    pub subscribe: Vec<String>,
    pub keepalive: Option<Keepalive>,
    /// Bytes.
    pub max_message: u64,
    pub tls: Tls,
    pub reconnect_first: Span,
    pub reconnect_most: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Keepalive {
    pub every: Span,
    /// A text message to send; `None` sends protocol pings alone.
    pub send: Option<String>,
    pub timeout: Span,
}

/// A JSON pointer (RFC 6901), split and unescaped; empty is the whole document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(pub Vec<String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Time,
    Arrival,
    Bucket,
}

impl Align {
    pub fn name(self) -> &'static str {
        match self {
            Align::Time => "time",
            Align::Arrival => "arrival",
            Align::Bucket => "bucket",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    Periodic,
    OnChange,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    pub name: Arc<str>,
    /// Environment flag; empty when the contract names none.
    pub flag: String,
    pub align: Align,
    pub interval: Span,
    pub cadence: Cadence,
    /// Names of the key fields, each present in `fields`.
    pub key: Vec<String>,
    /// Name of the event-time field; always set for `time` and `bucket`.
    pub time: Option<String>,
    pub calendar: Arc<CalendarRule>,
    pub time_tolerance: Span,
    pub max_delay: Span,
    pub revise_for: Span,
    /// How far the two feeds may be apart; the contract's where the feature says nothing.
    pub settle: Span,
    /// For naive timestamps.
    pub zone: chrono_tz::Tz,
    pub rest: RestFeed,
    pub ws: WsFeed,
    /// In the contract's order.
    pub fields: Vec<Field>,
    pub rows: Option<Rows>,
    pub invariants: Vec<Invariant>,
    pub market: Option<MarketStatus>,
    pub limits: Limits,
}

/// What a feature's status says of its market, so that both sides can be held against a calendar.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketStatus {
    /// The field that holds the status: its place in `fields`.
    pub column: usize,
    /// Values that say that the market is open, and that it is closed; others say neither.
    pub open: Vec<String>,
    pub closed: Vec<String>,
    /// By stream, as in `market_id=1`; empty where the feature's calendar is that of all its streams.
    pub calendars: Vec<(String, Arc<CalendarRule>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RestFeed {
    pub path: String,
    pub poll: Span,
    pub records: Records,
    /// Parameter name to its values (each a JSON scalar); one request per combination.
    pub each: Vec<(String, Vec<serde_json::Value>)>,
    pub method: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// REST shows one bar, the latest that is closed, and not of when; so long after its end at most.
    pub latest_within: Option<Span>,
    /// An answer is one of several pages.
    pub pages: Option<Pages>,
    pub only: Vec<Only>,
    pub mode: Mode,
}

/// What a body says of the records that it does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing.
    #[default]
    Upsert,
    /// That they are gone: it is the whole list.
    Snapshot,
    /// Nothing, nor of the members that a record leaves out: those are as they were.
    Patch,
}

/// How the pages after the first are found; together they are one body, the list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pages {
    /// Where a page says what follows: a URL, or a value for `param`.
    pub next: Pointer,
    pub param: Option<String>,
    pub most: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WsFeed {
    /// By what a frame of this feature is known: any of these, of which there is one or more.
    pub signs: Vec<Sign>,
    pub records: Records,
    pub only: Vec<Only>,
    pub mode: Mode,
    /// Where a message names the records that are gone: a list of keys, an object of them, or one.
    pub removed: Option<Pointer>,
    /// The member of a record in which a patch stands.
    pub changed: Option<String>,
}

impl WsFeed {
    /// Whether messages can say that a record is gone.
    pub fn tells_removal(&self) -> bool {
        self.mode == Mode::Snapshot || self.removed.is_some()
    }
}

/// By what a frame is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// The text of the value at `[ws] type`, or at a place of its own.
    Says { at: Option<Pointer>, text: String },
    /// Something stands at this place, and not null.
    Has(Pointer),
}

/// Where records stand in a body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Records {
    /// A step `*` is any element of a list or member of an object.
    pub at: Pointer,
    /// They are members of an object whose names become this field; in a tree, their paths do.
    pub index: Option<String>,
    /// Members of that object that are no records.
    pub except: Vec<String>,
    /// They stand anywhere below, and are the objects that have this member.
    pub tree: Option<Tree>,
    /// Nothing there is no record, rather than a fault.
    pub may_lack: bool,
}

impl Records {
    /// How many objects stand around the records, as far as `at` names their members.
    pub fn objects_around(&self) -> usize {
        self.at.0.iter().filter(|step| is_name(step)).count()
    }

    /// The steps to the object in which the last named step stands (1), or one further out.
    pub fn above(&self, levels: usize) -> &[String] {
        let named: Vec<usize> = (0..self.at.0.len()).filter(|i| is_name(&self.at.0[*i])).collect();
        let step = named.len().checked_sub(levels).and_then(|i| named.get(i));
        &self.at.0[..step.copied().unwrap_or(0)]
    }
}

/// Whether a step leads to a member of an object: `*` and a number may lead to an element of a list.
fn is_name(step: &str) -> bool {
    step != "*" && !step.bytes().all(|b| b.is_ascii_digit())
}

/// A tree whose leaves are records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The member that a leaf has.
    pub leaf: String,
    /// What stands between the names of a leaf's path.
    pub join: String,
}

/// Records are in scope whose field says one of these; of the others nothing is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Only {
    /// Its place in `fields`.
    pub column: usize,
    pub values: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub kind: FieldType,
    pub tolerance: Tolerance,
    pub optional: bool,
    pub compare: bool,
    /// `enum`: the allowed values.
    pub values: Vec<String>,
    pub forming: Forming,
    pub is_static: bool,
    pub zone: chrono_tz::Tz,
    pub rest: Source,
    pub ws: Source,
    /// What is done to either side's value before anything is made of it.
    pub reshape_rest: Reshape,
    pub reshape_ws: Reshape,
}

/// From a server's way to write a value to the contract's, in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reshape {
    pub normal: Vec<Normal>,
    /// The server's words and what they stand for; another word stays as it is.
    pub map: Vec<(String, String)>,
    pub scale: Option<BigDecimal>,
    /// Decimal places; half to even.
    pub round: Option<u32>,
    /// The ways to say that there is no value; all are one.
    pub empty: Vec<Empty>,
}

/// A way to say that there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Empty {
    Absent,
    Null,
    /// This word.
    Text(String),
}

impl Reshape {
    pub fn is_none(&self) -> bool {
        *self == Reshape::default()
    }
}

/// One step by which texts that mean the same become the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normal {
    Upper,
    Lower,
    Trim,
    /// Taken off the beginning, once.
    Strip(String),
    Replace(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    String,
    Integer,
    Decimal,
    Boolean,
    Timestamp,
    Enum,
    Countdown,
}

impl FieldType {
    pub fn name(self) -> &'static str {
        match self {
            FieldType::String => "string",
            FieldType::Integer => "integer",
            FieldType::Decimal => "decimal",
            FieldType::Boolean => "boolean",
            FieldType::Timestamp => "timestamp",
            FieldType::Enum => "enum",
            FieldType::Countdown => "countdown",
        }
    }
}

/// How far two values may lie apart and still be equal; the bound itself is equal.
#[derive(Debug, Clone, PartialEq)]
pub enum Tolerance {
    Exact,
    Absolute(BigDecimal),
    /// A fraction of the REST value's size (`"0.01%"` is 0.0001).
    Relative(BigDecimal),
    /// For `timestamp` and `countdown`.
    Time(Span),
}

/// What a value may do while its bucket forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forming {
    Fixed,
    Grows,
    Shrinks,
    /// Says nothing until the bucket is final.
    Final,
}

/// Where a field's value comes from on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path inside the record.
    Record(Vec<String>),
    /// A pointer from the body's root.
    Root(Pointer),
    /// A path inside the object that holds the records' last named step; 2 and more: further out.
    Above(usize, Vec<String>),
    /// The REST request's parameter.
    Param(String),
    /// A constant's text (a string).
    Constant(String),
    /// Not on this side: not compared.
    Absent,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Path of the list inside the record, per side.
    pub at_rest: Vec<String>,
    pub at_ws: Vec<String>,
    pub key: Vec<String>,
    /// Sources are `Record`, `Constant` or `Absent`, relative to the row.
    pub fields: Vec<Field>,
}

/// The limits of SPEC §7 after `[feature.checks.X]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Fractions: 0.02 and 0.20.
    pub drift: f64,
    pub jitter: f64,
    pub min_messages: u64,
    pub min_ticks: u64,
    pub min_pairs: u64,
    pub min_required_messages: u64,
    pub strict_types: bool,
    pub strict_streams: bool,
    pub sessions: u64,
    /// A fraction: 0.995.
    pub coverage: f64,
    /// A fraction: 0.10, and the significance 0.01.
    pub shift: f64,
    pub significance: f64,
    pub min_samples: u64,
    /// `None`: nobody asks whether the endpoint may go away.
    pub retired: Option<Retired>,
}

/// What `rest-retired` needs to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Retired {
    /// Without a request of the path; as many as `sessions-covered` needs where nothing is said.
    pub sessions: Option<u64>,
    /// Two requests of any path no further apart than this show that the log was alive between them.
    pub silence: Span,
    /// Clients whose requests do not count, by what their User-Agent contains.
    pub ignore: Vec<String>,
}

impl Default for Retired {
    fn default() -> Retired {
        Retired { sessions: None, silence: Span::from_secs(300), ignore: Vec::new() }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            drift: 0.02,
            jitter: 0.20,
            min_messages: 3,
            min_ticks: 5,
            min_pairs: 10,
            min_required_messages: 3,
            strict_types: false,
            strict_streams: false,
            sessions: 2,
            coverage: 0.995,
            shift: 0.10,
            significance: 0.01,
            min_samples: 30,
            retired: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logs {
    pub sources: Vec<(String, String)>,
    pub errors: Vec<String>,
}

/// Findings that a person has accepted. Empty `class` or `field` covers all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiver {
    pub feature: String,
    pub class: Option<Class>,
    pub field: String,
    pub reason: String,
    pub owner: String,
    /// The last day (UTC, inclusive) on which it holds, as days since 1970-01-01.
    pub until_day: i64,
}

impl Pointer {
    /// Parses `""` or `/a/b` with `~0` and `~1`.
    pub fn parse(text: &str) -> Option<Pointer> {
        if text.is_empty() {
            return Some(Pointer::default());
        }
        let rest = text.strip_prefix('/')?;
        Some(Pointer(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()))
    }

    /// The text of the scalar that stands there.
    pub fn text(&self, body: &serde_json::Value) -> Option<String> {
        match self.find(body)? {
            serde_json::Value::String(text) => Some(text.clone()),
            value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        }
    }

    /// What stands there in a body that is read whole.
    pub fn find<'v>(&self, body: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.0.iter().try_fold(body, |value, part| match value {
            serde_json::Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        })
    }
}
