//! Reading along HTTP/1.1 as it goes by (RFC 9112): where a head ends, and where the next begins.
//!
//! Owns no socket and never fails: what it cannot follow it calls opaque, and reads no further.

/// The longest head that is read along; servers refuse far shorter ones.
const LONGEST_HEAD: usize = 256 * 1024;

/// Of a line that tells a chunk's size.
const LONGEST_LINE: usize = 4 * 1024;

pub(super) const SWITCHED: u16 = 101;

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another head, at once.
    Head,
    /// A body of so many bytes, then a head.
    Body(u64),
    /// Chunks, then a head.
    Chunks,
    /// Nothing that this can read.
    Opaque,
}

/// A request as far as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) agent: Option<String>,
}

/// `100 Continue` and its like precede the answer proper.
pub(super) fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != SWITCHED
}

#[derive(Debug)]
pub(super) struct Sniffer {
    state: State,
    /// The head or line that is being read.
    text: Vec<u8>,
    kind: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    Trailer,
    Opaque,
}

impl Sniffer {
    pub(super) fn requests() -> Sniffer {
        Sniffer { state: State::Head, text: Vec::new(), kind: "requests" }
    }

    pub(super) fn answers() -> Sniffer {
        Sniffer { state: State::Head, text: Vec::new(), kind: "answers" }
    }

    /// Reads bytes that went by; `on_head` gets each whole head, and says what follows (`None`: it is no
    /// head that it knows).
    pub(super) fn read(&mut self, mut bytes: &[u8], mut on_head: impl FnMut(&Head<'_>) -> Option<Next>) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Opaque => return,
                State::Body(left) => self.pass(bytes, left, State::Body, State::Head),
                // The line break behind a chunk belongs to it.
                State::Chunk(left) => self.pass(bytes, left, State::Chunk, State::ChunkSize),
                State::Head => self.head(bytes, &mut on_head),
                State::ChunkSize | State::Trailer => self.line(bytes),
            };
        }
    }

    fn pass<'b>(&mut self, bytes: &'b [u8], left: u64, same: fn(u64) -> State, then: State) -> &'b [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        self.state = if left == 0 { then } else { same(left) };
        &bytes[count..]
    }

    /// Takes bytes to the end of the line; whether it ended.
    fn take_line<'b>(&mut self, bytes: &'b [u8]) -> (&'b [u8], bool) {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                self.text.extend_from_slice(&bytes[..=end]);
                (&bytes[end + 1..], true)
            }
            None => {
                self.text.extend_from_slice(bytes);
                (&[], false)
            }
        }
    }

    fn head<'b>(&mut self, bytes: &'b [u8], on_head: &mut impl FnMut(&Head<'_>) -> Option<Next>) -> &'b [u8] {
        let (rest, ended) = self.take_line(bytes);
        if matches!(self.text.as_slice(), b"\r\n" | b"\n") {
            // Empty lines before a head are to be passed over (RFC 9112, 2.2).
            self.text.clear();
        } else if ended && (self.text.ends_with(b"\n\r\n") || self.text.ends_with(b"\n\n")) {
            let text = std::mem::take(&mut self.text);
            let next = std::str::from_utf8(&text).ok().and_then(|text| on_head(&Head { text }));
            self.state = match next {
                Some(Next::Head | Next::Body(0)) => State::Head,
                Some(Next::Body(length)) => State::Body(length),
                Some(Next::Chunks) => State::ChunkSize,
                Some(Next::Opaque) => State::Opaque,
                None => self.lost("a head that is no HTTP/1.1"),
            };
        } else if self.text.len() > LONGEST_HEAD {
            self.state = self.lost("an endless head");
        }
        rest
    }

    fn line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (rest, ended) = self.take_line(bytes);
        if !ended {
            if self.text.len() > LONGEST_LINE {
                self.state = self.lost("an endless line");
            }
            return rest;
        }
        let text = std::mem::take(&mut self.text);
        let line = String::from_utf8_lossy(&text);
        let line = line.trim_end();
        self.state = match self.state {
            State::Trailer if line.is_empty() => State::Head,
            State::Trailer => State::Trailer,
            _ => {
                let size = line.split(';').next().unwrap_or_default().trim();
                match u64::from_str_radix(size, 16) {
                    Ok(0) => State::Trailer,
                    Ok(size) => State::Chunk(size.saturating_add(2)),
                    Err(_) => self.lost("a chunk without a size"),
                }
            }
        };
        rest
    }

    fn lost(&mut self, why: &str) -> State {
        self.text = Vec::new();
        tracing::warn!("tap: {} of a connection pass on unrecorded from here: {why}", self.kind);
        State::Opaque
    }
}

/// A request's or an answer's head.
#[derive(Debug)]
pub(super) struct Head<'h> {
    text: &'h str,
}

impl Head<'_> {
    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        // Of several, the last: for lists of codings that is the one that counts.
        lines
            .filter(|(found, _)| found.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .last()
    }

    fn body(&self) -> Option<Next> {
        if let Some(codings) = self.header("transfer-encoding") {
            let chunked = codings.to_ascii_lowercase().ends_with("chunked");
            return Some(if chunked { Next::Chunks } else { Next::Opaque });
        }
        let length = self.header("content-length")?;
        Some(length.parse().map_or(Next::Opaque, Next::Body))
    }

    /// A request, and what follows it.
    pub(super) fn asked(&self) -> Option<(Asked, Next)> {
        let mut words = self.first_line().split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !version.starts_with("HTTP/1.") || method.is_empty() {
            return None;
        }
        let agent = self.header("user-agent").map(str::to_string);
        let asked = Asked { method: method.to_string(), target: target.to_string(), agent };
        Some((asked, self.body().unwrap_or(Next::Head)))
    }

    pub(super) fn status(&self) -> Option<u16> {
        let mut words = self.first_line().split(' ');
        words.next().filter(|version| version.starts_with("HTTP/1."))?;
        words.next()?.parse().ok()
    }

    /// What follows an answer of this status to that request (RFC 9112, 6.3).
    pub(super) fn after(&self, status: u16, asked: &Asked) -> Next {
        match status {
            SWITCHED => Next::Opaque,
            200..300 if asked.method == "CONNECT" => Next::Opaque,
            204 | 304 => Next::Head,
            _ if asked.method == "HEAD" => Next::Head,
            // Without a length it lasts until the connection closes.
            _ => self.body().unwrap_or(Next::Opaque),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests read from these bytes, whole and in pieces of every size.
    fn targets(bytes: &str) -> Vec<String> {
        let read = |size: usize| {
            let (mut sniffer, mut found) = (Sniffer::requests(), Vec::new());
            for piece in bytes.as_bytes().chunks(size) {
                sniffer.read(piece, |head| {
                    let (asked, next) = head.asked()?;
                    found.push(format!("{} {}", asked.method, asked.target));
                    Some(next)
                });
            }
            found
        };
        let whole = read(bytes.len());
        (1..bytes.len()).for_each(|size| assert_eq!(read(size), whole, "in pieces of {size}"));
        whole
    }

    #[test]
    fn requests_are_told_from_their_bodies() {
        let found = targets(
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n\
             POST /b HTTP/1.1\r\nContent-Length: 25\r\n\r\nGET /no HTTP/1.1\r\n\r\n     \
             \r\nPOST /c HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n\
             5;x=y\r\nGET /\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n\
             PUT /d HTTP/1.0\n\nDELETE /e HTTP/1.1\r\n\r\n",
        );
        assert_eq!(found, ["GET /a", "POST /b", "POST /c", "PUT /d", "DELETE /e"]);
    }

    #[test]
    fn what_is_no_http_is_read_no_further() {
        for bytes in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /a HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET /b HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\nContent-Length: many\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
        ] {
            assert!(targets(bytes).len() <= 1, "{bytes}");
        }
        let mut sniffer = Sniffer::requests();
        for _ in 0..10 {
            sniffer.read(&[b'x'; LONGEST_HEAD / 4], |_| panic!("no head"));
        }
        assert!(sniffer.state == State::Opaque && sniffer.text.capacity() == 0);
    }

    #[test]
    fn answers_end_where_the_standard_says() {
        let next = |text: &str, method: &str| {
            let head = Head { text };
            let asked = Asked { method: method.into(), target: "/".into(), agent: None };
            head.after(head.status().unwrap(), &asked)
        };
        for (text, method, expect) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "GET", Next::Body(7)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD", Next::Head),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "GET", Next::Head),
            ("HTTP/1.1 204\r\n\r\n", "GET", Next::Head),
            ("HTTP/1.1 200 OK\r\n\r\n", "GET", Next::Opaque),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 7\r\n\r\n",
                "GET",
                Next::Chunks,
            ),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "GET", Next::Opaque),
        ] {
            assert_eq!(next(text, method), expect, "{text}");
        }
        assert!(is_interim(100) && is_interim(103) && !is_interim(101) && !is_interim(200));
    }
}
