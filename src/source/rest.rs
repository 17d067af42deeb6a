//! The REST side: one poller a feature and combination of `each`, on an absolute grid.
//!
//! Owns the HTTP client and the polls. A poll starts when the grid says so, never after the last
//! answer; one that cannot start because its predecessor is still under way is a `rest_skipped`.
//! `max_in_flight` holds per feature, so that a slow endpoint delays no other feature.
//!
//! Bodies are decompressed by the client; `bytes` and `max_body` count what comes out of it.

mod cap;
mod exchange;
mod login;
mod pages;
mod validator;

pub use login::LoginError;
pub(super) use login::{Session, Token};

use super::clock::{Random, duration};
use super::proxy::ProxySettings;
use super::redact::Redactor;
use super::sequencer::{SetupError, Wiring, stopped};
use super::tls::client_config;
use crate::capture::encode::push_string;
use crate::contract::{Contract, Feature, Pages, RestSettings};
pub(super) use crate::engine::route::{filled, percent_encoded};
use crate::model::{Event, Timestamp};
use cap::Cap;
use exchange::{Answer, Failure, Limits};
use pages::Stack;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::Value;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use url::Url;
use validator::Validator;

/// What the client calls itself, unless the contract says otherwise.
pub(super) const USER_AGENT: &str = concat!("cutover/", env!("CARGO_PKG_VERSION"));

/// As many as browsers follow, and only within the same host.
const MOST_REDIRECTS: usize = 10;

/// All polls of a run, ready to start.
#[derive(Debug)]
pub(super) struct RestFeeds {
    pollers: Vec<Poller>,
    session: Arc<Session>,
}

impl RestFeeds {
    /// The pollers of the named features (`None`: of all).
    pub(super) fn new(wiring: &Wiring, names: Option<&[String]>) -> Result<RestFeeds, SetupError> {
        let contract = &wiring.contract;
        let base = base_url(&contract.rest.base_url)?;
        let client = client(&contract.rest, &base, &wiring.proxies)?;
        let session =
            Arc::new(Session::new(contract, &base, client.clone(), wiring.secrets.clone(), wiring.clock)?);
        let cap = Arc::new(Cap::new(contract.rest.most_per_minute));
        let wanted =
            |feature: &&Feature| names.is_none_or(|names| names.iter().any(|n| **n == *feature.name));
        let mut pollers = Vec::new();
        for feature in contract.features.iter().filter(wanted) {
            let permits = Arc::new(Semaphore::new(contract.rest.max_in_flight.max(1)));
            let mut random = Random::new(wiring.seed, &feature.name);
            for params in combinations(&feature.rest.each) {
                pollers.push(Poller {
                    endpoint: Endpoint::new(feature, &base, &params, wiring.redactor.as_deref())?,
                    client: client.clone(),
                    session: Arc::clone(&session),
                    cap: Arc::clone(&cap),
                    permits: Arc::clone(&permits),
                    validator: Validator::default(),
                    resting: Mutex::default(),
                    limits: Limits::of(contract),
                    every: wiring.clock.real(feature.rest.poll).max(SHORTEST_POLL),
                    phase: random.fraction(),
                    wiring: wiring.clone(),
                });
            }
        }
        Ok(RestFeeds { pollers, session })
    }

    /// The login, for who else needs its token.
    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }

    /// Logs in, where the contract says how. An error is a refusal; a server that cannot be
    /// reached is none, and is tried again with the polls.
    pub(super) async fn log_in(&self) -> Result<(), LoginError> {
        self.session.begin().await
    }

    pub(super) fn start(self, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        let origin = Instant::now();
        for poller in self.pollers {
            tasks.spawn(poller.follow_grid(origin, stop.clone()));
        }
    }
}

/// A fast clock may ask for more than timers can do; tokio's timers tick in milliseconds.
const SHORTEST_POLL: Duration = Duration::from_millis(2);

/// A server that asks for more (`Retry-After`) is asked again all the same: whether REST serves is what a run is
/// there to see.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// One request that is sent again and again.
#[derive(Debug)]
struct Endpoint {
    feature: Arc<str>,
    /// The parameters as the capture shows them: a JSON object, redacted where asked.
    params: String,
    method: Method,
    url: Url,
    headers: HeaderMap,
    pages: Option<Pages>,
}

impl Endpoint {
    fn new(
        feature: &Feature,
        base: &Url,
        params: &[(&str, &Value)],
        redactor: Option<&Redactor>,
    ) -> Result<Endpoint, SetupError> {
        let place = format!("rest of feature \"{}\"", feature.name);
        let method = Method::from_bytes(feature.rest.method.as_bytes())
            .map_err(|_| SetupError::Method { place: place.clone() })?;
        let mut url = join(base, &filled(&feature.rest.path, params, percent_encoded))
            .map_err(|reason| SetupError::Url { place: format!("path of {place}"), reason })?;
        for (name, value) in &feature.rest.query {
            url.query_pairs_mut().append_pair(name, &filled(value, params, str::to_string));
        }
        let json = params_json(params);
        Ok(Endpoint {
            feature: Arc::clone(&feature.name),
            params: redactor.map_or_else(|| json.clone(), |redactor| redactor.redact(&json)),
            method,
            url,
            headers: header_map(&feature.rest.headers, &place)?,
            pages: feature.rest.pages.clone(),
        })
    }
}

/// One endpoint on its grid.
#[derive(Debug)]
struct Poller {
    endpoint: Endpoint,
    client: Client,
    session: Arc<Session>,
    cap: Arc<Cap>,
    permits: Arc<Semaphore>,
    validator: Validator,
    /// Until when the server asked to be left alone.
    resting: Mutex<Option<Instant>>,
    limits: Limits,
    /// Real time from poll to poll.
    every: Duration,
    /// Where in an interval the grid lies, from 0 to 1.
    phase: f64,
    wiring: Wiring,
}

type Flight<'p> = Pin<Box<dyn Future<Output = ()> + Send + 'p>>;

impl Poller {
    async fn follow_grid(self, origin: Instant, mut stop: watch::Receiver<bool>) {
        let mut due = origin + self.every.mul_f64(self.phase);
        let asked = stop.clone();
        let mut flight: Option<Flight<'_>> = None;
        loop {
            let under_way = flight.is_some();
            tokio::select! { biased;
                () = stopped(&mut stop) => break,
                () = landed(&mut flight), if under_way => flight = None,
                () = sleep_until(due) => {
                    // Held up past the next one: starting late would leave the grid.
                    let missed = due.elapsed() >= self.every;
                    due += self.every;
                    if under_way || missed || self.rests() || !self.cap.admits(Instant::now()) {
                        self.skip().await;
                    } else {
                        flight = Some(Box::pin(self.poll(asked.clone())));
                    }
                }
            }
        }
        landed(&mut flight).await;
    }

    async fn skip(&self) {
        let feature = self.endpoint.feature.to_string().into();
        let params = self.endpoint.params.clone().into();
        // A closed queue is seen at the next turn: the run is over, and so is this task.
        let _ = self.wiring.queue.put(Event::RestSkipped { feature, params }).await;
    }

    async fn poll(&self, stop: watch::Receiver<bool>) {
        let Ok(_permit) = self.permits.acquire().await else { return };
        if *stop.borrow() {
            return self.skip().await;
        }
        let token = match self.session.token().await {
            Ok(token) => token,
            Err(failure) => return self.report_failure(self.wiring.clock.now(), failure).await,
        };
        let (sent_at, answer) = self.ask(&token).await;
        let (sent_at, answer) = match answer {
            // A token that ran out is no news of the feed: with another one it is asked again.
            Err(failure) if failure.status == Some(401) && self.session.renew(token.generation).await => {
                match self.session.token().await {
                    Ok(token) => self.ask(&token).await,
                    Err(_) => (sent_at, Err(failure)),
                }
            }
            answer => (sent_at, answer),
        };
        match answer {
            Ok(answer) => self.report(sent_at, answer).await,
            Err(failure) => {
                if let Some(wait) = failure.retry_after {
                    let until = Instant::now() + wait.min(LONGEST_REST);
                    *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                }
                self.report_failure(sent_at, failure).await;
            }
        }
    }

    fn rests(&self) -> bool {
        let until = *self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    async fn ask(&self, token: &Token) -> (Timestamp, Result<Answer, Failure>) {
        let sent_at = self.wiring.clock.now();
        let answer = match &self.endpoint.pages {
            None if self.endpoint.method == Method::GET => self.if_changed(token).await,
            None => self.page(token, &self.endpoint.url).await,
            Some(pages) => self.all_pages(token, Stack::new(pages, self.limits.max_body)).await,
        };
        (sent_at, answer)
    }

    async fn page(&self, token: &Token, url: &Url) -> Result<Answer, Failure> {
        exchange::exchange(self.request(token, url), &self.limits).await
    }

    async fn if_changed(&self, token: &Token) -> Result<Answer, Failure> {
        let request = self.validator.on(self.request(token, &self.endpoint.url));
        let answer = exchange::exchange(request, &self.limits).await?;
        self.validator.note(&answer);
        Ok(answer)
    }

    fn request(&self, token: &Token, url: &Url) -> RequestBuilder {
        let request = self.client.request(self.endpoint.method.clone(), url.clone());
        token.on(request.headers(self.endpoint.headers.clone()))
    }

    async fn all_pages(&self, token: &Token, mut stack: Stack<'_>) -> Result<Answer, Failure> {
        let mut url = self.endpoint.url.clone();
        loop {
            let answer = self.page(token, &url).await?;
            match stack.add(&url, &answer)? {
                Some(next) => url = next,
                None => return Ok(stack.whole(answer)),
            }
        }
    }

    async fn report(&self, sent_at: Timestamp, answer: Answer) {
        let at = self.wiring.clock.at(answer.arrived);
        let event = Event::Rest {
            sent_at,
            feature: self.endpoint.feature.to_string().into(),
            params: self.endpoint.params.clone().into(),
            status: answer.status,
            bytes: answer.body.len() as u64,
            payload: answer.payload(self.wiring.redactor.as_deref()),
        };
        let _ = self.wiring.queue.put_batch(vec![super::queue::Arrival { at, event }]).await;
    }

    async fn report_failure(&self, sent_at: Timestamp, failure: Failure) {
        let event = Event::RestError {
            sent_at,
            feature: self.endpoint.feature.to_string().into(),
            params: self.endpoint.params.clone().into(),
            error: failure.error.into(),
            status: failure.status,
            detail: self.wiring.secrets.mask(&failure.detail).into(),
        };
        let _ = self.wiring.queue.put(event).await;
    }
}

/// Waits for the flight; at once, if there is none.
async fn landed(flight: &mut Option<Flight<'_>>) {
    if let Some(flight) = flight {
        flight.await;
    }
}

fn client(rest: &RestSettings, base: &Url, proxies: &ProxySettings) -> Result<Client, SetupError> {
    let tls = client_config(&rest.tls, &[b"h2", b"http/1.1"])
        .map_err(|error| SetupError::Tls { place: "[rest]", error })?;
    let failed = |error: reqwest::Error| SetupError::Client(error.without_url().to_string());
    let mut headers = header_map(&rest.headers, "[rest]")?;
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .connect_timeout(duration(rest.timeout))
        .redirect(same_host_alone())
        .no_proxy();
    if let Some(proxy) = proxies.for_url(base) {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(failed)?);
    }
    builder.build().map_err(failed)
}

/// A redirect to another host would measure, and hand credentials to, somebody else.
fn same_host_alone() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::origin);
        if first == Some(attempt.url().origin()) && attempt.previous().len() <= MOST_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn base_url(text: &str) -> Result<Url, SetupError> {
    let failed = |reason: String| SetupError::Url { place: "base_url of [rest]".to_string(), reason };
    let url = Url::parse(text).map_err(|error| failed(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(failed(format!("its scheme is `{other}`; it must be http or https"))),
    }
}

/// `path` below the base: a base with a path of its own keeps it.
fn join(base: &Url, path: &str) -> Result<Url, String> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    url.set_query(query);
    url.set_fragment(None);
    let front = base.path().trim_end_matches('/');
    url.set_path(&format!("{front}/{}", path.trim_start_matches('/')));
    Ok(url)
}

fn header_map(headers: &[(String, String)], place: &str) -> Result<HeaderMap, SetupError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        // The value may be a secret, so the reason does not show it.
        let failed = |reason: &str| SetupError::Header {
            place: place.to_string(),
            name: name.clone(),
            reason: reason.to_string(),
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| failed("this is no header name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| failed("its value holds line breaks or other control codes"))?;
        value.set_sensitive(true);
        map.append(header, value);
    }
    Ok(map)
}

/// All combinations of `each`, the last parameter changing fastest; one empty one without `each`.
pub(super) fn combinations(each: &[(String, Vec<Value>)]) -> Vec<Vec<(&str, &Value)>> {
    each.iter().fold(vec![Vec::new()], |front, (name, values)| {
        let extended = front.iter().flat_map(|combination| {
            values.iter().map(move |value| {
                let mut longer = combination.clone();
                longer.push((name.as_str(), value));
                longer
            })
        });
        extended.collect()
    })
}

pub(super) fn params_json(params: &[(&str, &Value)]) -> String {
    let mut json = String::from("{");
    for (index, (name, value)) in params.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_string(&mut json, name);
        json.push(':');
        json.push_str(&value.to_string());
    }
    json.push('}');
    json
}

impl Limits {
    fn of(contract: &Contract) -> Limits {
        Limits { timeout: duration(contract.rest.timeout), max_body: contract.rest.max_body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn its_requests_are_known_as_its_own() {
        assert!(USER_AGENT.starts_with(crate::engine::retired::OWN_AGENT));
    }

    #[test]
    fn combinations_are_told_in_the_contracts_order() {
        let each = [("a".to_string(), vec![json!(1), json!(2)]), ("b".to_string(), vec![json!("x/y")])];
        let all: Vec<String> = combinations(&each).iter().map(|params| params_json(params)).collect();
        assert_eq!(all, [r#"{"a":1,"b":"x/y"}"#, r#"{"a":2,"b":"x/y"}"#]);
        assert_eq!(combinations(&[]).iter().map(|params| params_json(params)).collect::<Vec<_>>(), ["{}"]);
        let params = combinations(&each).remove(0);
        assert_eq!(filled("/p/{a}/{b}/{c}", &params, percent_encoded), "/p/1/x%2Fy/{c}");
    }

    #[test]
    fn paths_stand_below_the_base() {
        for (base, path, expect) in [
            ("http://h", "/api/x?y=1", "http://h/api/x?y=1"),
            ("http://h/v1/", "/api/x/", "http://h/v1/api/x/"),
            ("http://u:p@h:1/v1?z#f", "a%2Fb", "http://u:p@h:1/v1/a%2Fb"),
        ] {
            assert_eq!(join(&base_url(base).unwrap(), path).unwrap().as_str(), expect);
        }
        assert!(base_url("ftp://h").unwrap_err().to_string().contains("must be http or https"));
    }
}
