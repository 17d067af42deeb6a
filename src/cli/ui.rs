//! Owns the page that follows a run: `--ui`. It shows what `report.html` would, as far as the run has come.
//! Must not judge, nor hold up the run: it is made anew at most once a second, and only while somebody looks.

use super::console::Console;
use super::exit::WrongUse;
use super::judging::TOOL;
use crate::checks::{Provenance, conclude};
use crate::engine::Engine;
use crate::model::{Outcome, Phase};
use crate::report::html;
use crate::server::page::{Page, Served, Told, serve};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(1);
/// Of the run's own time the page takes at most one part in so many.
const SHARE: u32 = 20;
/// How long a browser may take to hear the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

const SO_FAR: &str = "the run goes on: this is how it stands; what needs the whole run is judged at its end";

/// `--ui`: a port of this machine's own, or an address that others reach too.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse::<u16>().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let given = port.or_else(|_| text.replace("localhost:", "127.0.0.1:").parse());
    given.map_err(|_| "give a port, or an address with one, such as `8080` or `127.0.0.1:8080`".into())
}

#[derive(Debug)]
pub struct Ui {
    told: Arc<watch::Sender<Told>>,
    served: Served,
    due: Instant,
    phases: Vec<Phase>,
}

impl Ui {
    pub async fn start(listen: SocketAddr, phases: &[Phase], console: &Console) -> anyhow::Result<Ui> {
        let told = Arc::new(watch::Sender::new(Told::default()));
        let newest = Arc::clone(&told);
        let pages = move |path: &str| match path {
            "/" => Some(Page::Text("text/html; charset=utf-8", html::to_live_html(TOOL))),
            "/events" => Some(Page::Events(newest.subscribe())),
            _ => None,
        };
        let served = serve(listen, Arc::new(pages)).await;
        let served = served.map_err(|error| WrongUse(format!("could not serve the page (--ui): {error}")))?;
        console.note(&format!("the run can be followed on http://{}/", served.address));
        if !served.address.ip().is_loopback() {
            console.note("whoever reaches that address can read what both feeds say");
        }
        Ok(Ui { told, served, due: Instant::now(), phases: phases.to_vec() })
    }

    /// Shows where the run stands, if somebody looks.
    pub fn update(&mut self, engine: &Engine) {
        let now = Instant::now();
        if now < self.due || self.told.receiver_count() == 0 {
            return;
        }
        let provenance =
            Provenance { tool: TOOL.into(), phases: self.phases.clone(), ..Provenance::default() };
        let mut outcome = conclude(engine, provenance);
        outcome.notes.insert(0, SO_FAR.into());
        self.told.send_replace(Told { text: html::result(&outcome).into(), over: false });
        self.due = Instant::now() + EVERY.max(now.elapsed() * SHARE);
    }

    /// Shows the result, and waits a little until everybody has it.
    pub async fn end(self, outcome: &Outcome) {
        self.told.send_replace(Told { text: html::result(outcome).into(), over: true });
        let heard = tokio::time::timeout(LAST_WORDS, self.told.closed()).await;
        if heard.is_err() {
            tracing::debug!("somebody who follows the run did not hear its end");
        }
        drop(self.served);
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_port_alone_is_of_this_machine() {
        for (text, is) in [
            ("8080", "127.0.0.1:8080"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), is);
        }
        for bad in ["", "host", "70000", "example.com:80"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
