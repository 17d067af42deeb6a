//! What the server counted, as Prometheus text. Reads this process's CPU time and memory from
//! `/proc` where there is one; decides nothing.

// The one place of this room that opens files: the process's own figures, never in a report.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Metrics {
    /// By path and status.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pub ws_clients: AtomicI64,
    pub ws_connections: AtomicU64,
    /// Messages handed to clients, each client's counted.
    pub ws_messages: AtomicU64,
    pub ws_slow_clients: AtomicU64,
    pub faults: AtomicU64,
}

impl Metrics {
    pub fn count_request(&self, path: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((path, status)).or_default() += 1;
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        let name = "cutover_reference_rest_requests_total";
        let _ = writeln!(out, "# HELP {name} Answered REST requests.\n# TYPE {name} counter");
        for ((path, status), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(out, "{name}{{path=\"{path}\",status=\"{status}\"}} {count}");
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let clients = self.ws_clients.load(Ordering::Relaxed) as f64;
        for (name, kind, help, value) in [
            ("cutover_reference_ws_clients", "gauge", "Open WebSocket connections.", Some(clients)),
            (
                "cutover_reference_ws_connections_total",
                "counter",
                "WebSocket connections since the start.",
                Some(load(&self.ws_connections)),
            ),
            (
                "cutover_reference_ws_messages_total",
                "counter",
                "Messages queued for clients.",
                Some(load(&self.ws_messages)),
            ),
            (
                "cutover_reference_ws_slow_clients_total",
                "counter",
                "Clients that were dropped since their queue was full.",
                Some(load(&self.ws_slow_clients)),
            ),
            ("cutover_reference_faults_total", "counter", "Injected faults.", Some(load(&self.faults))),
            ("process_cpu_seconds_total", "counter", "CPU time of this process.", cpu_seconds()),
            ("process_resident_memory_bytes", "gauge", "Resident memory of this process.", resident_bytes()),
        ] {
            if let Some(value) = value {
                let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
            }
        }
        out
    }
}

/// Linux counts in hundredths of a second on every architecture that runs this (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let ticks = |index: usize| after_name.split_ascii_whitespace().nth(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_as_prometheus_text() {
        let metrics = Metrics::default();
        metrics.count_request("/api/bars", 200);
        metrics.count_request("/api/bars", 200);
        let text = metrics.text();
        assert!(
            text.contains("cutover_reference_rest_requests_total{path=\"/api/bars\",status=\"200\"} 2\n")
        );
        assert!(text.contains("# TYPE cutover_reference_ws_clients gauge\ncutover_reference_ws_clients 0\n"));
    }
}
