//! The login that polls need: at the start, and again when a token is no longer accepted.
//!
//! Owns the token. A login that is refused at the start ends the run; later on it is tried again,
//! at most every few seconds, while the polls record their 401. The token never leaves this file
//! but as a header, and is masked in whatever is said about it.

use super::exchange::{Failure, Limits, exchange};
use super::{SetupError, header_map, join};
use crate::contract::{Contract, Login};
use crate::source::secret::{Secrets, shown_url};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A storm of 401 must not become a storm of logins, which servers answer with a ban.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A login's answer holds a few tokens.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why a login gave no token.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoginError {
    #[error("the login at {url} was refused with status {status} ({detail}); see `login` of [rest]")]
    Refused { url: String, status: u16, detail: String },
    #[error("the login at {url} gave no token: {reason}; see `login` of [rest]")]
    NoToken { url: String, reason: String },
}

/// The present token; without a login, an empty one of generation 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Token {
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// Counts logins, so that many polls refused at once renew it once.
    pub(super) generation: u64,
}

#[derive(Debug)]
pub(super) struct Session {
    plan: Option<Plan>,
    secrets: Secrets,
    token: RwLock<Token>,
    /// The last try. Held while one is under way.
    last: tokio::sync::Mutex<Option<Attempt>>,
}

#[derive(Debug)]
struct Attempt {
    at: Instant,
    /// Why it gave no token.
    failure: Option<Failure>,
}

impl Attempt {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < RETRY_AFTER
    }
}

#[derive(Debug)]
struct Plan {
    login: Login,
    header: HeaderName,
    method: Method,
    url: Url,
    client: Client,
    limits: Limits,
}

enum Trouble {
    /// The server said no; saying the same again is of no use.
    Refused(LoginError),
    /// It could not be asked, or has troubles of its own.
    Unanswered(Failure),
}

impl Session {
    pub(super) fn new(
        contract: &Contract,
        base: &Url,
        client: Client,
        secrets: Secrets,
    ) -> Result<Session, SetupError> {
        let plan = match &contract.rest.login {
            None => None,
            Some(login) => Some(Plan::new(contract, login, base, client)?),
        };
        Ok(Session { plan, secrets, token: RwLock::default(), last: tokio::sync::Mutex::default() })
    }

    /// The first login. Only a refusal is an error.
    pub(super) async fn begin(&self) -> Result<(), LoginError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        match self.try_now(plan, &mut *self.last.lock().await).await {
            Err(Trouble::Refused(error)) => Err(error),
            Ok(()) | Err(Trouble::Unanswered(_)) => Ok(()),
        }
    }

    /// The token to send; logs in first where there is none yet.
    pub(super) async fn token(&self) -> Result<Token, Failure> {
        let token = self.present();
        match &self.plan {
            Some(plan) if token.header.is_none() => self.first_token(plan).await,
            _ => Ok(token),
        }
    }

    async fn first_token(&self, plan: &Plan) -> Result<Token, Failure> {
        let mut last = self.last.lock().await;
        let is_due = last.as_ref().is_none_or(|last| !last.is_recent());
        if self.present().header.is_none() && is_due {
            let _ = self.try_now(plan, &mut last).await;
        }
        match last.as_ref().and_then(|last| last.failure.clone()) {
            Some(failure) => Err(failure),
            None => Ok(self.present()),
        }
    }

    /// Logs in again after a token of `generation` was refused, unless somebody just has.
    pub(super) async fn renew(&self, generation: u64) {
        let Some(plan) = &self.plan else { return };
        let mut last = self.last.lock().await;
        let is_renewed = self.present().generation != generation;
        if is_renewed || last.as_ref().is_some_and(Attempt::is_recent) {
            return;
        }
        match self.try_now(plan, &mut last).await {
            Ok(()) => tracing::info!("logged in again after a 401"),
            Err(trouble) => {
                let detail = self.secrets.mask(&trouble.failure().detail);
                tracing::warn!("could not log in again after a 401: {detail}");
            }
        }
    }

    async fn try_now(&self, plan: &Plan, last: &mut Option<Attempt>) -> Result<(), Trouble> {
        let at = Instant::now();
        let result = self.log_in(plan).await;
        *last = Some(Attempt { at, failure: result.as_ref().err().map(Trouble::failure) });
        result
    }

    fn present(&self) -> Token {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn log_in(&self, plan: &Plan) -> Result<(), Trouble> {
        let text = plan.ask(&self.secrets).await?;
        self.secrets.add(&text);
        let full = plan.login.format.replace("{}", &text);
        let mut value =
            HeaderValue::from_str(&full).map_err(|_| plan.no_token("it cannot stand in a header"))?;
        value.set_sensitive(true);
        let mut token = self.token.write().unwrap_or_else(PoisonError::into_inner);
        token.header = Some((plan.header.clone(), value));
        token.generation += 1;
        Ok(())
    }
}

impl Plan {
    fn new(contract: &Contract, login: &Login, base: &Url, client: Client) -> Result<Plan, SetupError> {
        let place = "login of [rest]";
        let headers = header_map(&[(login.header.clone(), String::new())], place)?;
        let header = headers.keys().next().cloned().unwrap_or(reqwest::header::AUTHORIZATION);
        let method = Method::from_bytes(login.method.as_bytes())
            .map_err(|_| SetupError::Method { place: place.to_string() })?;
        let url =
            join(base, &login.path).map_err(|reason| SetupError::Url { place: place.to_string(), reason })?;
        let limits = Limits { max_body: MOST_BYTES, ..Limits::of(contract) };
        Ok(Plan { login: login.clone(), header, method, url, client, limits })
    }

    /// Asks for a token.
    async fn ask(&self, secrets: &Secrets) -> Result<String, Trouble> {
        let mut request = self.client.request(self.method.clone(), self.url.clone());
        if let Some(json) = &self.login.json {
            request = request.json(json);
        }
        let answer = exchange(request, &self.limits).await.map_err(|failure| match failure.status {
            Some(status @ 300..=499) if failure.error == "status" && !matches!(status, 408 | 425 | 429) => {
                let detail = secrets.mask(&failure.detail);
                Trouble::Refused(LoginError::Refused { url: shown_url(self.url.as_str()), status, detail })
            }
            _ => Trouble::Unanswered(failure),
        })?;
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|_| self.no_token("the answer is no JSON"))?;
        let found = self.login.token.0.iter().try_fold(&body, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        });
        match found {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(self.no_token("the answer has no text where `token` points")),
        }
    }

    fn no_token(&self, reason: &str) -> Trouble {
        Trouble::Refused(LoginError::NoToken {
            url: shown_url(self.url.as_str()),
            reason: reason.to_string(),
        })
    }
}

impl Trouble {
    /// As the polls record it that could not be sent.
    fn failure(&self) -> Failure {
        match self {
            Trouble::Unanswered(failure) => {
                Failure { detail: format!("could not log in: {}", failure.detail), ..failure.clone() }
            }
            Trouble::Refused(error) => {
                let status = match error {
                    LoginError::Refused { status, .. } => Some(*status),
                    LoginError::NoToken { .. } => None,
                };
                Failure { error: "status", status, detail: error.to_string() }
            }
        }
    }
}
