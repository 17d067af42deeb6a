//! A metrics page in Prometheus's text format, read for the process behind it.
//!
//! `usage` reads a page; `follow` fetches it again and again. Must not: keep other series.

use super::clock::{Clock, duration};
use super::process::{Usage, ticks};
use super::proxy::ProxySettings;
use super::queue::Queue;
use super::secret::shown_url;
use super::sequencer::{SetupError, stopped};
use super::tls::client_config;
use crate::contract::Contract;
use reqwest::Client;
use tokio::sync::watch;
use url::Url;

/// The series of the Prometheus client libraries.
const CPU: &str = "process_cpu_seconds_total";
const MEMORY: &str = "process_resident_memory_bytes";

/// A page with a million series is about so large.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A page to read, and what its process is called in captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsTarget {
    /// Empty: the URL's host and port.
    pub label: String,
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    #[error("could not read {url}: {reason}")]
    Fetch { url: String, reason: String },
    #[error("{url} has no `{series}`; the page of a Prometheus client library has it, an exporter's may not")]
    NoSeries { url: String, series: &'static str },
    #[error("{url} says `{line}`, which is no number for `{series}`")]
    NoNumber { url: String, series: &'static str, line: String },
}

#[derive(Debug, Clone)]
pub(super) struct Page {
    client: Client,
    url: Url,
    pub(super) label: String,
}

impl Page {
    pub(super) fn new(
        target: &MetricsTarget,
        contract: &Contract,
        proxies: &ProxySettings,
    ) -> Result<Page, SetupError> {
        let wrong = |reason: String| SetupError::Url { place: "--metrics".to_string(), reason };
        let url = Url::parse(&target.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("its scheme is `{}`; it must be http or https", url.scheme())));
        }
        let tls = client_config(&contract.rest.tls, &[b"h2", b"http/1.1"])
            .map_err(|error| SetupError::Tls { place: "[rest]", error })?;
        let failed = |error: reqwest::Error| SetupError::Client(error.without_url().to_string());
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(duration(contract.rest.timeout))
            .no_proxy();
        if let Some(proxy) = proxies.for_url(&url) {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(failed)?);
        }
        let address = match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_string(),
        };
        let label = if target.label.is_empty() { address } else { target.label.clone() };
        Ok(Page { client: builder.build().map_err(failed)?, url, label })
    }

    pub(super) async fn fetch(&self) -> Result<Usage, MetricsError> {
        let url = shown_url(self.url.as_str());
        let failed = |reason: String| MetricsError::Fetch { url: url.clone(), reason };
        let because = |error: reqwest::Error| failed(innermost(&error.without_url()));
        let mut response = self.client.get(self.url.clone()).send().await.map_err(because)?;
        if !response.status().is_success() {
            return Err(failed(format!("it answers with status {}", response.status().as_u16())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(because)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(failed(format!("it is larger than {MOST_BYTES} bytes")));
            }
        }
        usage(&url, &String::from_utf8_lossy(&body))
    }
}

/// What failed in the end, without the layers above it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// The process's usage on a page; series of several workers are added.
fn usage(url: &str, page: &str) -> Result<Usage, MetricsError> {
    let cpu_seconds = sum(url, page, CPU)?;
    Ok(Usage { cpu_seconds, rss_bytes: sum(url, page, MEMORY)? as u64 })
}

fn sum(url: &str, page: &str, series: &'static str) -> Result<f64, MetricsError> {
    let mut total: Option<f64> = None;
    for line in page.lines() {
        let Some(rest) = line.trim_start().strip_prefix(series) else { continue };
        let value = match rest.as_bytes().first() {
            // A label's value may hold a brace; the last one ends the labels.
            Some(b'{') => rest.rsplit_once('}').map(|(_, value)| value),
            Some(b' ' | b'\t') => Some(rest),
            _ => continue,
        };
        let number = value.and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok());
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => total = Some(total.unwrap_or_default() + number),
            None => {
                let line: String = line.chars().take(120).collect();
                return Err(MetricsError::NoNumber { url: url.to_string(), series, line });
            }
        }
    }
    total.ok_or_else(|| MetricsError::NoSeries { url: url.to_string(), series })
}

/// Samples until asked to stop; a page that cannot be read is told once, until it can be again.
pub(super) async fn follow(page: Page, clock: Clock, queue: Queue, mut stop: watch::Receiver<bool>) {
    let mut ticks = ticks(clock);
    let mut failing = false;
    loop {
        tokio::select! { biased;
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let fetched = tokio::select! { biased;
            () = stopped(&mut stop) => return,
            fetched = page.fetch() => fetched,
        };
        match fetched {
            Ok(usage) => {
                failing = false;
                if queue.put(usage.event(&page.label)).await.is_err() {
                    return;
                }
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!("no sample of {}: {error}", page.label);
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP process_cpu_seconds_total Total user and system CPU time.\n\
        # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 12.5\n\
        process_cpu_seconds_total_created 1.7e9\nprocess_resident_memory_bytes 1.8874368e+08\n\
        process_resident_memory_bytes_max 1\n";

    #[test]
    fn the_two_series_are_read() {
        assert_eq!(usage("u", PAGE), Ok(Usage { cpu_seconds: 12.5, rss_bytes: 188_743_680 }));
        let workers = "process_cpu_seconds_total{pid=\"1\",x=\"}\"} 1 1766154600000\n\
            process_cpu_seconds_total{pid=\"2\"} 2\nprocess_resident_memory_bytes{pid=\"1\"} 10\n\
            process_resident_memory_bytes{pid=\"2\"}\t20\n";
        assert_eq!(usage("u", workers), Ok(Usage { cpu_seconds: 3.0, rss_bytes: 30 }));
    }

    #[test]
    fn a_page_without_them_is_refused_with_what_is_lacking() {
        let said = |page: &str| usage("http://h/metrics", page).unwrap_err().to_string();
        assert!(said("<html>").starts_with("http://h/metrics has no `process_cpu_seconds_total`"));
        assert!(said("process_cpu_seconds_total 1\n").contains("no `process_resident_memory_bytes`"));
        let broken = said(&PAGE.replace("12.5", "NaN"));
        assert!(broken.contains("says `process_cpu_seconds_total NaN`, which is no number"), "{broken}");
    }
}
