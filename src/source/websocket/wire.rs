//! The byte stream below a WebSocket, which remembers when bytes last came in.
//!
//! Many messages come with one read of the socket; that read is when they arrived, however long
//! they wait to be taken apart.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub(super) struct Wire {
    transport: Box<dyn Transport>,
    last_read: Instant,
}

impl Wire {
    pub(super) fn new(transport: Box<dyn Transport>) -> Wire {
        Wire { transport, last_read: Instant::now() }
    }

    /// When bytes last came in; when the wire was made, if none have.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.transport).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.last_read = Instant::now();
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("last_read", &self.last_read).finish_non_exhaustive()
    }
}
