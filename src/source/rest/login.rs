//! The login that polls need: at the start, and again when a token is no longer accepted.
//!
//! Owns the token. A login that is refused at the start ends the run; later on it is tried again,
//! at most every few seconds, while the polls record their 401. A token whose end is known is renewed
//! before it. It is masked in whatever is said about it.

use super::exchange::{Answer, Failure, Limits, exchange};
use super::{SetupError, header_map, join};
use crate::contract::{Body, Carried, Contract, Login, Pointer, TOKEN};
use crate::source::clock::Clock;
use crate::source::secret::{Secrets, shown_url};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A storm of 401 must not become a storm of logins, which servers answer with a ban.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Of what a token is good for: late enough to be rare, early enough for a slow login.
const RENEW_AT: f64 = 0.9;

/// Stands for the refresh token in the body that asks for another token.
const REFRESH: &str = "{refresh}";

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
pub(in crate::source) struct Token {
    header: Option<(HeaderName, HeaderValue)>,
    param: Option<(String, String)>,
    /// Empty where cookies are all there is.
    text: String,
    refresh: Option<String>,
    /// When it is to be renewed.
    due: Option<Instant>,
    /// Counts logins, so that many polls refused at once renew it once.
    pub(in crate::source) generation: u64,
}

impl Token {
    /// A request that is logged in.
    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match &self.header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        match &self.param {
            Some(pair) => request.query(&[pair]),
            None => request,
        }
    }

    /// What a browser would send to the WebSocket's host as well.
    pub(in crate::source) fn cookie(&self) -> Option<&HeaderValue> {
        self.header.as_ref().filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
    }

    /// The text with the token in it, where it is asked for.
    pub(in crate::source) fn fill(&self, text: &str, encoded: impl Fn(&str) -> String) -> String {
        if text.contains(TOKEN) { text.replace(TOKEN, &encoded(&self.text)) } else { text.to_string() }
    }
}

#[derive(Debug)]
pub(in crate::source) struct Session {
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
    /// A token had been refused.
    after_refusal: bool,
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
    refresh_url: Option<Url>,
    client: Client,
    limits: Limits,
    clock: Clock,
}

/// What an answer gave.
struct Given {
    text: String,
    refresh: Option<String>,
    /// How long it is good for, where anything says so.
    life: Option<Duration>,
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
        clock: Clock,
    ) -> Result<Session, SetupError> {
        let plan = match &contract.rest.login {
            None => None,
            Some(login) => Some(Plan::new(contract, login, base, client, clock)?),
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

    /// The token to send; logs in first where there is none yet, or an old one.
    pub(in crate::source) async fn token(&self) -> Result<Token, Failure> {
        let token = self.present();
        match &self.plan {
            Some(plan) if token.generation == 0 => self.first_token(plan).await,
            Some(plan) if token.is_due() => {
                self.renew_in_time(plan).await;
                Ok(self.present())
            }
            _ => Ok(token),
        }
    }

    /// Renews a token that is still good; if that fails it is used on.
    async fn renew_in_time(&self, plan: &Plan) {
        let mut last = self.last.lock().await;
        let has_failed = last.as_ref().is_some_and(|last| last.failure.is_some() && last.is_recent());
        if !self.present().is_due() || has_failed {
            return;
        }
        match self.try_now(plan, &mut last).await {
            Ok(()) => tracing::info!("renewed the token before its end"),
            Err(trouble) => {
                let detail = self.secrets.mask(&trouble.failure().detail);
                tracing::warn!("could not renew the token before its end: {detail}");
            }
        }
    }

    async fn first_token(&self, plan: &Plan) -> Result<Token, Failure> {
        let mut last = self.last.lock().await;
        let is_due = last.as_ref().is_none_or(|last| !last.is_recent());
        if self.present().generation == 0 && is_due {
            let _ = self.try_now(plan, &mut last).await;
        }
        match last.as_ref().and_then(|last| last.failure.clone()) {
            Some(failure) => Err(failure),
            None => Ok(self.present()),
        }
    }

    /// Logs in again after a token of `generation` was refused, unless somebody just has; whether there is
    /// another token now.
    pub(in crate::source) async fn renew(&self, generation: u64) -> bool {
        let Some(plan) = &self.plan else { return false };
        let mut last = self.last.lock().await;
        if self.present().generation != generation {
            return true;
        }
        let futile = |last: &Attempt| last.is_recent() && (last.after_refusal || last.failure.is_some());
        if last.as_ref().is_some_and(futile) {
            return false;
        }
        let tried = self.try_now(plan, &mut last).await;
        if let Some(last) = &mut *last {
            last.after_refusal = true;
        }
        match tried {
            Ok(()) => tracing::info!("logged in again after a 401"),
            Err(trouble) => {
                let detail = self.secrets.mask(&trouble.failure().detail);
                tracing::warn!("could not log in again after a 401: {detail}");
                return false;
            }
        }
        true
    }

    async fn try_now(&self, plan: &Plan, last: &mut Option<Attempt>) -> Result<(), Trouble> {
        let at = Instant::now();
        let result = self.log_in(plan).await;
        *last =
            Some(Attempt { at, failure: result.as_ref().err().map(Trouble::failure), after_refusal: false });
        result
    }

    fn present(&self) -> Token {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// With the refresh token where there is one and it is taken, else with the password.
    async fn log_in(&self, plan: &Plan) -> Result<(), Trouble> {
        let refresh = self.present().refresh;
        let given = match plan.refresh(refresh.as_deref(), &self.secrets).await {
            Some(Ok(given)) => given,
            Some(Err(trouble)) => {
                let detail = self.secrets.mask(&trouble.failure().detail);
                tracing::info!("the refresh token was of no use, so the password is: {detail}");
                plan.ask(&self.secrets).await?
            }
            None => plan.ask(&self.secrets).await?,
        };
        for secret in [Some(&given.text), given.refresh.as_ref()].into_iter().flatten() {
            self.secrets.add(secret);
        }
        let mut token = self.token.write().unwrap_or_else(PoisonError::into_inner);
        let shown = match &plan.login.carried {
            Carried::Header { format, .. } => Some(format.replace("{}", &given.text)),
            Carried::Cookie(name) => Some(format!("{name}={}", given.text)),
            Carried::Cookies => Some(given.text.clone()),
            Carried::Param(_) => None,
        };
        token.header = match shown {
            Some(shown) => {
                let mut value = HeaderValue::from_str(&shown)
                    .map_err(|_| plan.no_token("it cannot stand in a header"))?;
                value.set_sensitive(true);
                Some((plan.header.clone(), value))
            }
            None => None,
        };
        token.param = match &plan.login.carried {
            Carried::Param(name) => Some((name.clone(), given.text.clone())),
            _ => None,
        };
        token.text = if plan.login.carried == Carried::Cookies { String::new() } else { given.text };
        token.refresh = given.refresh.or(refresh);
        let most = plan.login.renew.map(|span| plan.clock.real(span));
        token.due = most.or(given.life.map(|life| life.mul_f64(RENEW_AT))).map(|wait| Instant::now() + wait);
        token.generation += 1;
        Ok(())
    }
}

impl Token {
    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() >= due)
    }
}

impl Plan {
    fn new(
        contract: &Contract,
        login: &Login,
        base: &Url,
        client: Client,
        clock: Clock,
    ) -> Result<Plan, SetupError> {
        let place = "login of [rest]";
        let header = match &login.carried {
            Carried::Header { name, .. } => {
                let headers = header_map(&[(name.clone(), String::new())], place)?;
                headers.keys().next().cloned().unwrap_or(reqwest::header::AUTHORIZATION)
            }
            _ => COOKIE,
        };
        let method = Method::from_bytes(login.method.as_bytes())
            .map_err(|_| SetupError::Method { place: place.to_string() })?;
        let url_of = |path: &str| {
            join(base, path).map_err(|reason| SetupError::Url { place: place.to_string(), reason })
        };
        let refresh_url = login.refresh.as_ref().map(|refresh| url_of(&refresh.path)).transpose()?;
        let limits = Limits { max_body: MOST_BYTES, ..Limits::of(contract) };
        Ok(Plan {
            header,
            method,
            url: url_of(&login.path)?,
            refresh_url,
            client,
            limits,
            clock,
            login: login.clone(),
        })
    }

    /// Asks for a token with the password.
    async fn ask(&self, secrets: &Secrets) -> Result<Given, Trouble> {
        let request = self.client.request(self.method.clone(), self.url.clone());
        let answer = self.answer(with_body(request, &self.login.body, ""), &self.url, secrets).await?;
        if self.login.carried == Carried::Cookies {
            return match answer.cookies.is_empty() {
                true => Err(self.no_token("the answer sets no cookie")),
                false => Ok(Given { text: answer.cookies.join("; "), refresh: None, life: None }),
            };
        }
        let from = self.login.refresh.as_ref().map(|refresh| &refresh.from);
        self.given(&answer, &self.login.token, from)
    }

    /// Asks for another token with the refresh token; `None` where there is none, or no way.
    async fn refresh(&self, refresh: Option<&str>, secrets: &Secrets) -> Option<Result<Given, Trouble>> {
        let (url, how) = (self.refresh_url.as_ref()?, self.login.refresh.as_ref()?);
        let request = with_body(self.client.post(url.clone()), &how.body, refresh?);
        Some(match self.answer(request, url, secrets).await {
            Ok(answer) => self.given(&answer, &how.token, Some(&how.from)),
            Err(trouble) => Err(trouble),
        })
    }

    async fn answer(&self, request: RequestBuilder, url: &Url, secrets: &Secrets) -> Result<Answer, Trouble> {
        exchange(request, &self.limits).await.map_err(|failure| match failure.status {
            Some(status @ 300..=499) if failure.error == "status" && !matches!(status, 408 | 425 | 429) => {
                let detail = secrets.mask(&failure.detail);
                Trouble::Refused(LoginError::Refused { url: shown_url(url.as_str()), status, detail })
            }
            _ => Trouble::Unanswered(failure),
        })
    }

    fn given(&self, answer: &Answer, token: &Pointer, refresh: Option<&Pointer>) -> Result<Given, Trouble> {
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|_| self.no_token("the answer is no JSON"))?;
        let text = text_at(&body, token)
            .ok_or_else(|| self.no_token("the answer has no text where `token` points"))?;
        let said =
            body.get("expires_in").and_then(|life| life.as_f64().or_else(|| life.as_str()?.parse().ok()));
        let life = said.or_else(|| life_of_jwt(&text, self.clock.now().0 as f64 / 1e9));
        let life = life.filter(|life| *life > 0.0).and_then(|life| Duration::try_from_secs_f64(life).ok());
        Ok(Given { refresh: refresh.and_then(|at| text_at(&body, at)), life, text })
    }

    fn no_token(&self, reason: &str) -> Trouble {
        Trouble::Refused(LoginError::NoToken {
            url: shown_url(self.url.as_str()),
            reason: reason.to_string(),
        })
    }
}

/// A value's text, where there is some.
fn text_at(body: &Value, at: &Pointer) -> Option<String> {
    at.text(body).filter(|text| !text.is_empty())
}

/// How many seconds a JSON Web Token (RFC 7519) is good for: from its issue where it says that, since its
/// clock is not ours, else from now.
fn life_of_jwt(token: &str, now: f64) -> Option<f64> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let end = claims.get("exp")?.as_f64()?;
    Some(end - claims.get("iat").and_then(Value::as_f64).unwrap_or(now))
}

/// The request with its body, `{refresh}` filled in.
fn with_body(request: RequestBuilder, body: &Body, refresh: &str) -> RequestBuilder {
    match body {
        Body::Empty => request,
        Body::Json(json) => request.json(&filled(json, refresh)),
        Body::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in pairs {
                form.append_pair(name, &value.replace(REFRESH, refresh));
            }
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
        }
    }
}

fn filled(json: &Value, refresh: &str) -> Value {
    match json {
        Value::String(text) => Value::String(text.replace(REFRESH, refresh)),
        Value::Array(items) => items.iter().map(|item| filled(item, refresh)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), filled(value, refresh))).collect()
        }
        other => other.clone(),
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
                Failure { error: "status", status, detail: error.to_string(), retry_after: None }
            }
        }
    }
}
