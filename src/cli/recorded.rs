//! Owns `serve --from`: a recording looked through before anything is served, then served to its end.
//! Must not judge anything.

use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::live_run;
use super::replay;
use crate::capture::{Reader, ReaderOptions, Tail};
use crate::contract::Contract;
use crate::model::Timestamp;
use crate::playback::{Playback, Survey};
use crate::server::{Ended, RecordedServer, RecordingOptions};
use crate::source::{each_line, open_capture, read_steps};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq)]
pub struct RecordedSettings {
    pub capture: PathBuf,
    pub contract: Option<PathBuf>,
    pub waits: bool,
    pub repeats: bool,
    pub origins: Vec<String>,
}

pub fn run(
    listen: SocketAddr,
    speed: u32,
    settings: RecordedSettings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let path = settings.capture;
    let (contract, survey) = look_through(&path, settings.contract.as_deref())?;
    let begins = survey.begins(&contract).ok_or_else(|| nothing_to_serve(&path, &survey))?;
    for stranger in &survey.strangers {
        console
            .note(&format!("the contract has no feature `{stranger}`; what was polled for it is not served"));
    }
    let playback = Playback::new(&contract, &survey);
    let (endpoints, socket) = (playback.endpoints(), playback.socket_path().to_string());
    let again = path.clone();
    let options = RecordingOptions {
        listen,
        speed: f64::from(speed),
        playback,
        begins,
        waits: settings.waits,
        repeats: settings.repeats,
        origins: settings.origins,
        read: Box::new(move || read_steps(&again)),
    };
    let ended = live_run::runtime()?.block_on(async {
        let server = RecordedServer::bind(options).await.map_err(|error| anyhow::anyhow!("could not {error}"))?;
        let at = server.address();
        console.result(format!("REST http://{at}/  WebSocket ws://{at}{socket}\n").as_bytes())?;
        let last = survey.last.unwrap_or(begins);
        console.note(&format!(
            "{endpoints} endpoint{} and {} frames, recorded from {} to {} ({} at speed {speed}); Ctrl-C ends it",
            if endpoints == 1 { "" } else { "s" },
            survey.frames,
            begins.whole_millis(),
            last.whole_millis(),
            duration(begins, last, speed),
        ));
        let mut stop = live_run::stop_signal(console);
        // Only an end of the watch itself could fail here, and it has none before a stop.
        let stopped = async { drop(stop.wait_for(|stop| *stop).await) };
        Ok::<_, anyhow::Error>(server.run(stopped).await)
    })?;
    let could_not = || could_not_read(&path);
    match ended {
        Ended::Stopped => {}
        Ended::Over(tail) if tail.is_interrupted() => {
            console.note("the recording is over; it was interrupted, so there is no more of that session");
        }
        Ended::Over(_) => console.note("the recording is over"),
        Ended::Damaged(error) => return Err(error).with_context(could_not),
        Ended::Unreadable(error) => return Err(error).with_context(could_not),
    }
    Ok(Exit::Pass)
}

/// The whole recording, so that damage is told before anything is served, and all endpoints are known.
fn look_through(path: &Path, given: Option<&Path>) -> anyhow::Result<(Contract, Survey)> {
    let could_not = || could_not_read(path);
    let capture = open_capture(path).with_context(could_not)?;
    if !path.is_file() {
        let why = "it is read more than once, so it must be a file";
        return Err(WrongUse(format!("{}: {why}", could_not())).into());
    }
    let mut reader = Reader::new(capture, ReaderOptions::default());
    let start = reader.read_start().with_context(could_not)?;
    let contract = replay::contract(given, start.as_ref().map(|start| (path, start)))?;
    let mut survey = Survey::default();
    let tail = each_line(&mut reader, |line| {
        survey.see(&contract, &line.observation);
        true
    })
    .with_context(could_not)?;
    if start.is_none() && tail == Tail::Empty {
        return Err(WrongUse(format!("{}: it is empty", could_not())).into());
    }
    Ok((contract, survey))
}

fn could_not_read(path: &Path) -> String {
    format!("could not read {}", path.display())
}

fn nothing_to_serve(path: &Path, survey: &Survey) -> anyhow::Error {
    let strangers: Vec<&str> = survey.strangers.iter().map(String::as_str).collect();
    let why = match strangers.is_empty() {
        true => "there is no REST body in it".to_string(),
        false => format!("it has no REST body of the contract's features, only of {}", strangers.join(", ")),
    };
    let cure = "record one with `cutover watch` or `cutover simulate`";
    WrongUse(format!("could not serve {}: {why}; {cure}", path.display())).into()
}

/// How long that takes, in seconds, minutes and hours.
fn duration(from: Timestamp, to: Timestamp, speed: u32) -> String {
    let seconds = ((to - from).as_secs_f64() / f64::from(speed)).ceil().max(0.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {seconds:02}s"),
        _ => format!("{hours}h {minutes:02}m"),
    }
}
