//! The capture: an append-only file of observations, one JSON object a line (SPEC §4).
//!
//! Owns the recording format: writing a line, reading one, the versions of the format, and what a
//! whole file means (torn, interrupted, damaged). Opens no file and reads no clock: it works over
//! `Read` and `Write`, and time is the `at` of the lines.

pub mod block;
pub mod decode;
pub mod encode;
pub mod reader;
pub mod sequence;
pub mod version;
pub mod writer;

pub use block::{Block, Blocks};
pub use decode::{LineError, decode, decode_checked, decode_slow};
pub use encode::encode;
pub use reader::{Line, Reader};
pub use sequence::{CaptureError, CaptureErrorKind, ReaderOptions, Sequence, Tail};
pub use version::VERSION;
pub use writer::Writer;
