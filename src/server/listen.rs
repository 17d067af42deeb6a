//! A server's life: bind, accept, stop in order. Every task belongs to one set, so that none outlives the
//! server. Knows nothing of what is served.

use super::http::{self, Answers};
use super::hub::Hub;
use super::socket::{self, Upgrade};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub(super) struct Listening {
    listener: TcpListener,
    pub address: SocketAddr,
    pub hub: Arc<Hub>,
    upgrades: mpsc::Receiver<Upgrade>,
}

/// Handshakes that wait for their socket to be taken over.
const UPGRADES_WAITING: usize = 64;
/// More are refused, so that a client without an end cannot take the machine.
const MOST_CONNECTIONS: usize = 1024;
/// After an accept that failed (too many open files): try again soon, not at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections get this long to end in order.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

impl Listening {
    /// Takes the port. Errors name the address.
    pub async fn bind(listen: SocketAddr) -> io::Result<Listening> {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("listen on {listen}: {error}")))?;
        let address = listener.local_addr()?;
        let (sender, upgrades) = mpsc::channel(UPGRADES_WAITING);
        Ok(Listening { listener, address, hub: Arc::new(Hub::new(sender)), upgrades })
    }

    /// Serves until `shutdown` is ready, then ends every connection. Nothing is left running. `driver` is
    /// what sends, and is told when to stop.
    pub async fn run<D: Future<Output = ()> + Send + 'static>(
        mut self,
        answers: Answers,
        driver: impl FnOnce(watch::Receiver<bool>) -> D,
        shutdown: impl Future<Output = ()>,
    ) {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(driver(stopped.clone()));
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if tasks.len() < MOST_CONNECTIONS => {
                        tasks.spawn(serve_connection(stream, Arc::clone(&answers), stopped.clone()));
                    }
                    Ok(_) => tracing::warn!("over {MOST_CONNECTIONS} connections; one was refused"),
                    Err(error) => {
                        tracing::warn!("could not accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(upgrade) = self.upgrades.recv() => {
                    tasks.spawn(socket::serve(upgrade, Arc::clone(&self.hub), stopped.clone()));
                }
                Some(_) = tasks.join_next() => {}
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, all_ended).await.is_err() {
            tasks.shutdown().await;
        }
    }
}

async fn serve_connection(stream: TcpStream, answers: Answers, mut stopped: watch::Receiver<bool>) {
    // Messages are small and due now; waiting to fill a packet would show as lateness.
    let _ = stream.set_nodelay(true);
    let connection = http::connection(stream, answers);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => if let Err(error) = result {
            tracing::debug!("connection: {error}");
        },
        () = stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits until the server is asked to stop.
pub(super) async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server itself is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
