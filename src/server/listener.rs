use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::{Shared, router};
use super::guard::Tokens;
use super::{Daemon, ServerConfig};
use crate::telemetry::Registry;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// A request's head has arrived by then, and an idle connection has asked again by then, or it is closed.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// A connection is closed after this long whatever it does: a client that never reads cannot hold a place for ever.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// What answers under way may still take when the program stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Somebody else has the port.
    #[error(
        "server.listen = \"{address}\": the port is in use, perhaps by another comove; choose another with --listen \
         (port 0 takes a free one)"
    )]
    PortInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("server.listen = \"{address}\": {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The bearer token cannot be used.
    #[error("{origin}: {reason}")]
    Token {
        /// Where it was to come from.
        origin: String,
        /// What is wrong with it, or what it must be.
        reason: String,
    },
}

/// A bound port that does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tokens: Tokens,
}

impl Server {
    /// Takes the port and reads the token, so that both fail before any work starts.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn bind(config: &ServerConfig) -> Result<Self, ServerError> {
        let tokens = Tokens::find_here(config)?;
        let address = config.listen;
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind().map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServerError::PortInUse { address },
            _ => ServerError::Bind { address, source },
        })?;
        if !address.ip().is_loopback() && tokens.read.is_none() {
            tracing::warn!(%address, "metrics and status can be read by whoever reaches this address: no read token is set");
        }
        Ok(Self {
            listener,
            address,
            tokens,
        })
    }

    /// Where it listens; with port 0 asked for, the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then finishes what is under way, 5 s at most.
    ///
    /// # Errors
    /// When the socket cannot be handed to tokio.
    pub async fn serve(
        self,
        daemon: Arc<dyn Daemon>,
        registry: Registry,
        stop: CancellationToken,
    ) -> Result<(), ServerError> {
        let address = self.address;
        let listener = tokio::net::TcpListener::from_std(self.listener)
            .map_err(|source| ServerError::Bind { address, source })?;
        let router = router(Shared {
            daemon,
            registry,
            tokens: self.tokens,
        });
        tracing::info!("metrics and API at http://{address}/");
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let arrival = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                arrival = arrival => arrival,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let router = router.clone().layer(Extension(Peer(peer)));
                    let stop = stop.clone();
                    connections.spawn(async move {
                        converse(socket, router, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly. Waiting lets some be closed; spinning would not.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, finished).await.is_err() {
            tracing::warn!("connections were closed in mid-answer, as the program stops");
        }
        Ok(())
    }
}

async fn converse(socket: TcpStream, router: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // What a client did wrong or broke off is its own affair.
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended badly");
            }
            return;
        }
        () = stop.cancelled() => {}
        () = tokio::time::sleep(CONNECTION_LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    if tokio::time::timeout(STOP_PATIENCE, connection).await.is_err() {
        tracing::debug!("a connection was cut");
    }
}
