//! TLS for both feeds: rustls with ring, and whom to trust.
//!
//! Without `ca` the roots are the operating system's, or Mozilla's where the system has none (a
//! container made from scratch). A `ca` *replaces* them, as `curl --cacert` does: the feed is
//! trusted by that authority alone.

use crate::contract::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("could not read `{key}` from {path}: {reason}")]
    File { key: &'static str, path: String, reason: String },
    #[error("`{given}` is set, but `{lacking}` is not; a client certificate needs both")]
    Half { given: &'static str, lacking: &'static str },
    #[error("could not set up TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The configuration of one feed; `alpn` must name what the feed's library can speak.
pub(super) fn client_config(tls: &Tls, alpn: &[&[u8]]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(tls)?);
    let mut config = match (&tls.client_cert, &tls.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            builder.with_client_auth_cert(certificates("client_cert", certificate)?, private_key(key)?)?
        }
        (Some(_), None) => return Err(TlsError::Half { given: "client_cert", lacking: "client_key" }),
        (None, Some(_)) => return Err(TlsError::Half { given: "client_key", lacking: "client_cert" }),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn roots(tls: &Tls) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &tls.ca {
        for certificate in certificates("ca", path)? {
            roots.add(certificate)?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("could not load some of the system's root certificates: {error}");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

fn certificates(key: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File { key, path: path.to_string(), reason };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("it holds no certificate in PEM form".to_string()));
    }
    Ok(certificates)
}

fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        key: "client_key",
        path: path.to_string(),
        reason: error.to_string(),
    })
}
