//! Owns what is typed of the backend beside the feeds: logs, processes, metrics pages.
//! Must not open any of them.

use crate::contract::Contract;
use crate::source::{BackendTargets, LogTarget, MetricsTarget, ProcessTarget, Which};
use clap::Args;
use std::path::PathBuf;

const BACKEND: &str = "Backend";

#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = BACKEND)]
pub struct BackendArguments {
    /// Sample a process of this machine, all of a name as one (repeatable): NAME, PID, LABEL=NAME or LABEL=PID
    #[arg(long = "process", value_name = "NAME|PID", value_parser = process)]
    pub processes: Vec<ProcessTarget>,
    /// Sample process_cpu_seconds_total and process_resident_memory_bytes of a metrics page (repeatable):
    /// URL or LABEL=URL
    #[arg(long = "metrics", value_name = "URL", value_parser = metrics)]
    pub metrics: Vec<MetricsTarget>,
    /// Follow a log, through rotation, beside those of the contract's [logs] sources (repeatable)
    #[arg(long = "log", value_name = "NAME=PATH", value_parser = log)]
    pub logs: Vec<LogTarget>,
}

impl BackendArguments {
    /// What was typed, and the contract's own logs; a typed one of the same name wins.
    pub fn targets(self, contract: &Contract) -> BackendTargets {
        let BackendArguments { processes, metrics, mut logs } = self;
        for (name, path) in &contract.logs.sources {
            if logs.iter().all(|log| log.name != *name) {
                logs.push(LogTarget { name: name.clone(), path: PathBuf::from(path), must_exist: false });
            }
        }
        BackendTargets { logs, processes, metrics }
    }
}

fn process(text: &str) -> Result<ProcessTarget, String> {
    let (label, which) = text.split_once('=').unwrap_or(("", text));
    if which.is_empty() || (label.is_empty() && text.starts_with('=')) {
        return Err("give a process's name or number, e.g. `daphne`, `4711`, `api=4711`".into());
    }
    let which = which.parse().map_or_else(|_| Which::Name(which.to_string()), Which::Pid);
    Ok(ProcessTarget { label: label.to_string(), which })
}

fn metrics(text: &str) -> Result<MetricsTarget, String> {
    // A `=` in the URL itself stands behind its `://`.
    let (label, url) = match text.split_once('=') {
        Some((label, url)) if !label.contains("://") => (label, url),
        _ => ("", text),
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err("give the page's URL, e.g. `http://127.0.0.1:8000/metrics` or `api=http://…`".into());
    }
    Ok(MetricsTarget { label: label.to_string(), url: url.to_string() })
}

fn log(text: &str) -> Result<LogTarget, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(LogTarget { name: name.to_string(), path: path.into(), must_exist: true })
        }
        _ => Err("give a name and a file, e.g. `backend=/var/log/backend.log`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_names_of_their_own() {
        let target = |label: &str, which| Ok(ProcessTarget { label: label.into(), which });
        assert_eq!(process("daphne"), target("", Which::Name("daphne".into())));
        assert_eq!(process("4711"), target("", Which::Pid(4711)));
        assert_eq!(process("api=4711"), target("api", Which::Pid(4711)));
        let page = metrics("api=http://h/metrics?a=b").unwrap();
        assert_eq!((page.label.as_str(), page.url.as_str()), ("api", "http://h/metrics?a=b"));
        assert_eq!(metrics("http://h/metrics?a=b").unwrap().label, "");
        assert_eq!(log("a=/b=c.log").unwrap().path, PathBuf::from("/b=c.log"));
        for (bad, error) in
            [("", process("").is_err()), ("=5", process("=5").is_err()), ("a=", process("a=").is_err())]
        {
            assert!(error, "{bad}");
        }
        assert!(metrics("h:80/metrics").is_err() && log("app.log").is_err() && log("=x").is_err());
    }
}
