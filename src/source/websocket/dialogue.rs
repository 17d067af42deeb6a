//! What is said on a new connection before it counts as open: the contract's `open`, step by step.
//!
//! Messages that a step waits for are no data and are not recorded: they may hold credentials. Others that come
//! meanwhile are handed on, for the feed may begin before the dialogue has ended.

use super::dial::{DialError, Socket};
use crate::contract::{OpenStep, Pointer};
use crate::source::clock::duration;
use crate::source::rest::Token;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;

/// A feed that sends more than this before its dialogue ends is open already.
const MOST_EARLY: usize = 10_000;

/// Takes all steps, and gives what else came.
pub(super) async fn hold(
    socket: &mut Socket,
    steps: &[OpenStep],
    token: &Token,
) -> Result<Vec<Message>, DialError> {
    let mut early = Vec::new();
    for (number, step) in (1..).zip(steps) {
        let failed = |why: String| DialError::new("handshake", format!("step {number} of `open`: {why}"));
        match step {
            OpenStep::Send(text) => {
                let message = Message::text(token.fill(text, str::to_string));
                socket.send(message).await.map_err(|error| failed(format!("could not send: {error}")))?;
            }
            OpenStep::Expect { says, timeout } => {
                let deadline = Instant::now() + duration(*timeout);
                while let Some(other) = next(socket, says, deadline).await.map_err(|end| {
                    failed(format!("no message with {} {}", described(says), end.words(*timeout)))
                })? {
                    early.push(other);
                    if early.len() > MOST_EARLY {
                        return Err(failed(format!(
                            "{MOST_EARLY} messages came, none with {}",
                            described(says)
                        )));
                    }
                }
            }
        }
    }
    Ok(early)
}

/// Why what was expected did not come.
enum End {
    TooLate,
    Closed(String),
}

impl End {
    fn words(self, timeout: crate::model::Span) -> String {
        match self {
            End::TooLate => format!("came within {timeout}"),
            End::Closed(how) => format!("came before the connection ended: {how}"),
        }
    }
}

/// The next message that is not the expected one; `None` once that came.
async fn next(
    socket: &mut Socket,
    says: &[(Pointer, String)],
    deadline: Instant,
) -> Result<Option<Message>, End> {
    loop {
        let message = match timeout_at(deadline, socket.next()).await {
            Err(_) => return Err(End::TooLate),
            Ok(None) => return Err(End::Closed("without a close frame".to_string())),
            Ok(Some(Err(error))) => return Err(End::Closed(error.to_string())),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(text) if is_said(text.as_str(), says) => return Ok(None),
            Message::Text(_) | Message::Binary(_) => return Ok(Some(message)),
            Message::Close(frame) => {
                let how = frame.map(|frame| format!("close {} {}", u16::from(frame.code), frame.reason));
                return Err(End::Closed(how.unwrap_or_else(|| "without a code".to_string())));
            }
            // Answered by the crate.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

fn is_said(text: &str, says: &[(Pointer, String)]) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(text) else { return false };
    says.iter().all(|(at, wanted)| at.text(&body).as_ref() == Some(wanted))
}

/// `/type = auth_ok`
fn described(says: &[(Pointer, String)]) -> String {
    let all: Vec<String> = says.iter().map(|(at, text)| format!("/{} = {text}", at.0.join("/"))).collect();
    all.join(", ")
}
