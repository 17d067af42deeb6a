//! Which proxy a feed goes through. Both feeds must take the same route, or their latencies cannot
//! be compared; so this is decided here once, and neither library looks at the environment itself.
//!
//! Read are `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (lower case first, as curl
//! does). Only `http://` proxies are supported. Loopback addresses never go through a proxy.

use super::secret::shown_url;
use crate::contract::Environment;
use url::{Host, Url};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProxyError {
    #[error("{variable} is no URL; write it as http://host:port")]
    NotAUrl { variable: String },
    #[error("{variable} names a {scheme} proxy; only http:// proxies are supported")]
    Scheme { variable: String, scheme: String },
}

/// The proxies of the environment.
#[derive(Clone, Default, PartialEq)]
pub struct ProxySettings {
    for_plain: Option<Url>,
    for_tls: Option<Url>,
    /// Host names, domains, addresses, or `*`.
    except: Vec<String>,
}

impl ProxySettings {
    pub fn from_environment(environment: Environment<'_>) -> Result<ProxySettings, ProxyError> {
        let all = variable(environment, "ALL_PROXY")?;
        let except = ["no_proxy", "NO_PROXY"].iter().find_map(|name| environment(name)).unwrap_or_default();
        let except = except.split(',').map(|entry| entry.trim().trim_start_matches('.').to_ascii_lowercase());
        Ok(ProxySettings {
            for_plain: variable(environment, "HTTP_PROXY")?.or_else(|| all.clone()),
            for_tls: variable(environment, "HTTPS_PROXY")?.or(all),
            except: except.filter(|entry| !entry.is_empty()).collect(),
        })
    }

    /// The proxy on the way to `url`, if any.
    pub(super) fn for_url(&self, url: &Url) -> Option<&Url> {
        let host = url.host()?;
        let is_loopback = match &host {
            Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if is_loopback || self.is_excepted(&host) {
            return None;
        }
        match url.scheme() {
            "https" | "wss" => self.for_tls.as_ref(),
            _ => self.for_plain.as_ref(),
        }
    }

    fn is_excepted(&self, host: &Host<&str>) -> bool {
        let host = match host {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        self.except.iter().any(|entry| {
            let is_domain_of = host.strip_suffix(entry.as_str()).is_some_and(|front| front.ends_with('.'));
            entry == "*" || host == *entry || is_domain_of
        })
    }
}

/// Without the proxies' passwords.
impl std::fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = |url: &Option<Url>| url.as_ref().map(|url| shown_url(url.as_str()));
        f.debug_struct("ProxySettings")
            .field("for_plain", &host(&self.for_plain))
            .field("for_tls", &host(&self.for_tls))
            .field("except", &self.except)
            .finish()
    }
}

fn variable(environment: Environment<'_>, name: &str) -> Result<Option<Url>, ProxyError> {
    let names = [name.to_ascii_lowercase(), name.to_string()];
    let found = names.into_iter().find_map(|name| environment(&name).map(|text| (name, text)));
    let Some((variable, text)) = found.filter(|(_, text)| !text.is_empty()) else { return Ok(None) };
    let full = if text.contains("://") { text } else { format!("http://{text}") };
    match Url::parse(&full) {
        Ok(url) if url.scheme() == "http" && url.host().is_some() => Ok(Some(url)),
        Ok(url) if url.host().is_some() => {
            Err(ProxyError::Scheme { variable, scheme: url.scheme().to_string() })
        }
        // The text may hold a password, so it is not shown.
        _ => Err(ProxyError::NotAUrl { variable }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: &[(&str, &str)], url: &str, expect: Option<&str>) {
        let look_up = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        };
        let settings = ProxySettings::from_environment(&look_up).unwrap();
        let found = settings.for_url(&Url::parse(url).unwrap()).map(Url::as_str);
        assert_eq!(found, expect, "{environment:?} {url}");
    }

    #[test]
    fn both_feeds_find_the_same_proxy() {
        let environment =
            [("https_proxy", "proxy:3128"), ("HTTP_PROXY", "http://plain/"), ("NO_PROXY", ".corp, 10.0.0.1")];
        for (url, expect) in [
            ("https://x.example/", Some("http://proxy:3128/")),
            ("wss://x.example/", Some("http://proxy:3128/")),
            ("ws://x.example/", Some("http://plain/")),
            ("ws://x.corp/", None),
            ("ws://corp/", None),
            ("ws://xcorp/", Some("http://plain/")),
            ("http://10.0.0.1/", None),
            ("wss://127.0.0.1/", None),
            ("wss://[::1]/", None),
            ("wss://localhost/", None),
        ] {
            check(&environment, url, expect);
        }
        check(&[("ALL_PROXY", "http://all/")], "wss://x.example/", Some("http://all/"));
        check(&[("ALL_PROXY", "http://all/"), ("no_proxy", "*")], "wss://x.example/", None);
        check(&[], "wss://x.example/", None);
    }

    #[test]
    fn passwords_of_proxies_are_not_shown() {
        let environment = |name: &str| (name == "HTTP_PROXY").then(|| "http://u:secret@h:1".to_string());
        let shown = format!("{:?}", ProxySettings::from_environment(&environment));
        assert!(shown.contains("http://h:1/") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn unsupported_proxies_are_refused_by_name() {
        let socks = |name: &str| (name == "all_proxy").then(|| "socks5://u:secret@h".to_string());
        let error = ProxySettings::from_environment(&socks).unwrap_err().to_string();
        assert_eq!(error, "all_proxy names a socks5 proxy; only http:// proxies are supported");
    }
}
