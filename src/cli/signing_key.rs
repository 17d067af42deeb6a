//! Owns key files of reviewers: ed25519 as PKCS#8 PEM, or an OpenSSH key without a passphrase.
//! Must not overwrite one, nor print what is secret.

use super::exit::WrongUse;
use anyhow::Context;
use base64::prelude::{BASE64_STANDARD, Engine};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

const PEM: (&str, &str) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
const SSH: (&str, &str) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
const PEM_COLUMNS: usize = 64;

/// Makes a key and its file, which only its owner can read.
pub fn create(file: &Path) -> anyhow::Result<Ed25519KeyPair> {
    let could_not = || format!("could not write the key file {}", file.display());
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    #[allow(clippy::disallowed_methods, reason = "a key file is made here and nowhere else")]
    let mut made = match options.open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(WrongUse(format!("{} exists; a key is never overwritten", file.display())).into());
        }
        opened => opened.with_context(could_not)?,
    };
    let body = BASE64_STANDARD.encode(document.as_ref());
    let lines: Vec<&str> = (0..body.len())
        .step_by(PEM_COLUMNS)
        .map(|from| &body[from..body.len().min(from + PEM_COLUMNS)])
        .collect();
    let text = format!("{}\n{}\n{}\n", PEM.0, lines.join("\n"), PEM.1);
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).with_context(could_not)?;
    from_pem(&text).with_context(could_not)
}

#[allow(clippy::disallowed_methods, reason = "a key file is read here and nowhere else")]
pub fn read(file: &Path) -> anyhow::Result<Ed25519KeyPair> {
    let could_not = || format!("could not read the key file {}", file.display());
    let text = std::fs::read_to_string(file).with_context(could_not)?;
    from_pem(&text).with_context(could_not)
}

fn from_pem(text: &str) -> anyhow::Result<Ed25519KeyPair> {
    let key = match (between(text, PEM), between(text, SSH)) {
        (Some(document), _) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document).ok(),
        (None, Some(document)) => from_openssh(&document),
        (None, None) => None,
    };
    let message = "it is no ed25519 private key: PKCS#8 PEM (see `cutover sign --new-key`), or OpenSSH without a \
                   passphrase, is accepted";
    key.ok_or_else(|| WrongUse(message.into()).into())
}

fn between(text: &str, (begin, end): (&str, &str)) -> Option<Vec<u8>> {
    let body = text.split_once(begin)?.1.split_once(end)?.0;
    let body: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}

/// The layout of `openssh-key-v1`: length-prefixed strings (PROTOCOL.key of OpenSSH).
fn from_openssh(document: &[u8]) -> Option<Ed25519KeyPair> {
    fn string<'d>(rest: &mut &'d [u8]) -> Option<&'d [u8]> {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (string, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        *rest = after;
        Some(string)
    }
    let mut rest = document.strip_prefix(b"openssh-key-v1\0")?;
    let (cipher, _derivation, _options) = (string(&mut rest)?, string(&mut rest)?, string(&mut rest)?);
    let mut rest = rest.strip_prefix(&[0, 0, 0, 1]).filter(|_| cipher == b"none")?;
    let _public = string(&mut rest)?;
    // Two equal numbers that prove the decryption stand first.
    let mut private = string(&mut rest)?.get(8..)?;
    let kind = string(&mut private)?;
    let (public, secret) = (string(&mut private)?, string(&mut private)?);
    let seed = secret.get(..32).filter(|_| kind == b"ssh-ed25519")?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::sign::public_key;
    use ring::signature::KeyPair;

    #[test]
    fn a_key_file_is_its_owner_s_and_never_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("ann.key");
        let made = create(&file).unwrap();
        assert_eq!(public_key(&made), public_key(&read(&file).unwrap()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let error = create(&file).unwrap_err();
        assert!(error.to_string().ends_with("exists; a key is never overwritten"), "{error}");
        assert_eq!(public_key(&made), public_key(&read(&file).unwrap()));
    }

    #[test]
    fn an_openssh_key_is_read_and_a_locked_or_torn_one_is_not() {
        let seed = [7u8; 32];
        let public = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().public_key().as_ref().to_vec();
        let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
        let private = [vec![1, 2, 3, 4, 1, 2, 3, 4], string(b"ssh-ed25519"), string(&public)].concat();
        let private = [private, string(&[&seed[..], &public].concat()), string(b"ann")].concat();
        let document = |cipher: &[u8]| {
            let head = [b"openssh-key-v1\0".to_vec(), string(cipher), string(b"none"), string(b"")].concat();
            [head, vec![0, 0, 0, 1], string(&public), string(&private)].concat()
        };
        let whole = document(b"none");
        let pem = format!("{}\n{}\n{}\n", SSH.0, BASE64_STANDARD.encode(&whole), SSH.1);
        assert_eq!(from_pem(&pem).unwrap().public_key().as_ref(), public);
        assert!(from_openssh(&document(b"aes256-ctr")).is_none());
        for cut in 0..whole.len() - 10 {
            assert!(from_openssh(&whole[..cut]).is_none());
        }
        assert!(from_pem("nothing").unwrap_err().to_string().starts_with("it is no ed25519 private key"));
    }
}
