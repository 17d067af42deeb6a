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
    /// When a login was last tried. Held while one is under way.
    tried: tokio::sync::Mutex<Option<Instant>>,
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
        Ok(Session { plan, secrets, token: RwLock::default(), tried: tokio::sync::Mutex::default() })
    }

    /// The first login. Only a refusal is an error.
    pub(super) async fn begin(&self) -> Result<(), LoginError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let mut tried = self.tried.lock().await;
        *tried = Some(Instant::now());
        match self.log_in(plan).await {
            Ok(()) | Err(Trouble::Unanswered(_)) => Ok(()),
            Err(Trouble::Refused(error)) => Err(error),
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
        let mut tried = self.tried.lock().await;
        let token = self.present();
        if token.header.is_some() {
            return Ok(token);
        }
        if tried.is_some_and(|tried| tried.elapsed() < RETRY_AFTER) {
            return Err(failure(Failure {
                error: "connect",
                status: None,
                detail: "not logged in yet; the last try failed".to_string(),
            }));
        }
        *tried = Some(Instant::now());
        match self.log_in(plan).await {
            Ok(()) => Ok(self.present()),
            Err(Trouble::Unanswered(trouble)) => Err(failure(trouble)),
            Err(Trouble::Refused(error)) => {
                Err(Failure { error: "status", status: error.status(), detail: error.to_string() })
            }
        }
    }

    /// Logs in again after a token of `generation` was refused, unless somebody just has.
    pub(super) async fn renew(&self, generation: u64) {
        let Some(plan) = &self.plan else { return };
        let mut tried = self.tried.lock().await;
        let is_renewed = self.present().generation != generation;
        if is_renewed || tried.is_some_and(|tried| tried.elapsed() < RETRY_AFTER) {
            return;
        }
        *tried = Some(Instant::now());
        match self.log_in(plan).await {
            Ok(()) => tracing::info!("logged in again after a 401"),
            Err(Trouble::Unanswered(failure)) => {
                tracing::warn!("could not log in again: {}", self.secrets.mask(&failure.detail));
            }
            Err(Trouble::Refused(error)) => tracing::warn!("could not log in again: {error}"),
        }
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

impl LoginError {
    fn status(&self) -> Option<u16> {
        match self {
            LoginError::Refused { status, .. } => Some(*status),
            LoginError::NoToken { .. } => None,
        }
    }
}

fn failure(failure: Failure) -> Failure {
    Failure { detail: format!("could not log in: {}", failure.detail), ..failure }
}
