//! The format's version, its history, and the refusal of what this program cannot read.

/// The version that is written.
///
/// History:
/// * 1: the kinds `start`, `rest`, `rest_error`, `rest_skipped`, `ws_open`, `ws`, `ws_close`,
///   `ws_error`, `ws_rtt`, `sample`, `log`, `frontend`, `self_stall` and `end`. Members nobody
///   knows are ignored, so a later cutover may add members without a new version; a new kind or
///   another meaning of an old member needs one. Added since: `status` of `frontend`; `state` of
///   `log`, on a line that is empty (a source can be read from here on, or no longer).
pub const VERSION: u32 = 1;

/// Why a capture of `version` cannot be read, or nothing if it can.
pub fn refusal(version: u64) -> Option<String> {
    let newest = u64::from(VERSION);
    match version {
        0 => Some(format!("`capture` is 0, but versions count from 1; this cutover reads {VERSION}")),
        v if v > newest => {
            Some(format!("this capture is version {v}; this cutover reads {VERSION}; use a newer cutover"))
        }
        _ => None,
    }
}
