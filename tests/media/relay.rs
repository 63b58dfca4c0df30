//! A TCP relay before a server, which can lose packets, freeze, hang up and refuse: what happens to a camera's cable.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often threads look whether the mode has changed.
const POLL: Duration = Duration::from_millis(30);

/// What the relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Everything passes.
    Up,
    /// Connections stay, and nothing passes.
    Frozen,
    /// Connections are cut, and new ones refused.
    Refusing,
}

struct Shared {
    upstream: SocketAddr,
    mode: AtomicU8,
    lose_per_mille: AtomicU32,
    lost_packets: AtomicU64,
    accepted: AtomicU64,
    stop: AtomicBool,
}

/// Relays from a port of its own to `upstream`. Dropped, it cuts everything.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Shared {
    fn is(&self, mode: Mode) -> bool {
        self.mode.load(Ordering::Relaxed) == mode as u8
    }

    fn is_cut(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is(Mode::Refusing)
    }
}

impl Relay {
    pub fn to(upstream_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream: SocketAddr::from(([127, 0, 0, 1], upstream_port)),
            mode: AtomicU8::new(Mode::Up as u8),
            lose_per_mille: AtomicU32::new(0),
            lost_packets: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let thread = thread::spawn({
            let shared = shared.clone();
            move || listen(&shared, listener, port)
        });
        Self {
            port,
            shared,
            thread: Some(thread),
        }
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Of RTP packets interleaved in RTSP, so many in a thousand are lost on the way to the client.
    pub fn lose(&self, per_mille: u32) {
        self.shared.lose_per_mille.store(per_mille, Ordering::Relaxed);
    }

    pub fn lost_packets(&self) -> u64 {
        self.shared.lost_packets.load(Ordering::Relaxed)
    }

    /// Connections that came so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn listen(shared: &Arc<Shared>, listener: TcpListener, port: u16) {
    let mut listener = Some(listener);
    let mut ways: Vec<JoinHandle<()>> = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        if shared.is(Mode::Refusing) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(("127.0.0.1", port)).ok();
        }
        if let Some(listener) = &listener {
            listener.set_nonblocking(true).unwrap();
            while let Ok((client, _)) = listener.accept() {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
                ways.extend(connect(shared, client));
            }
        }
        ways.retain(|way| !way.is_finished());
        thread::sleep(POLL);
    }
    for way in ways {
        way.join().unwrap();
    }
}

/// The two ways of a connection, a thread each. None where the server refuses: the client sees its connection end.
fn connect(shared: &Arc<Shared>, client: TcpStream) -> Vec<JoinHandle<()>> {
    let Ok(server) = TcpStream::connect_timeout(&shared.upstream, Duration::from_secs(2)) else {
        return Vec::new();
    };
    client.set_nonblocking(false).unwrap();
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(POLL)).unwrap();
        socket.set_write_timeout(Some(POLL)).unwrap();
    }
    let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (up, down) = (shared.clone(), shared.clone());
    let seed = shared.accepted.load(Ordering::Relaxed);
    vec![
        thread::spawn(move || carry(&up, client, server, |_, bytes| bytes.to_vec())),
        thread::spawn(move || {
            let mut packets = Packets::new(seed);
            carry(&down, server2, client2, move |shared, bytes| {
                packets.pass(shared, bytes)
            });
        }),
    ]
}

fn carry(
    shared: &Shared,
    mut from: TcpStream,
    mut to: TcpStream,
    mut through: impl FnMut(&Shared, &[u8]) -> Vec<u8>,
) {
    let mut room = [0; 16 * 1024];
    'carrying: while !shared.is_cut() {
        if shared.is(Mode::Frozen) {
            thread::sleep(POLL);
            continue;
        }
        let bytes = match from.read(&mut room) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        let passed = through(shared, &room[..bytes]);
        let mut rest = passed.as_slice();
        while !rest.is_empty() {
            match to.write(rest) {
                Ok(0) => break 'carrying,
                Ok(sent) => rest = &rest[sent..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if shared.is_cut() {
                        break 'carrying;
                    }
                }
                Err(_) => break 'carrying,
            }
        }
    }
    // The other way may have done so before.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Finds the RTP packets in an RTSP connection (RFC 2326, 10.12: `$`, channel, length) and loses some.
struct Packets {
    held: Vec<u8>,
    random: ChaCha8Rng,
}

impl Packets {
    fn new(seed: u64) -> Self {
        Self {
            held: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn pass(&mut self, shared: &Shared, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut passed = Vec::with_capacity(self.held.len());
        while let Some(length) = self.first_message() {
            let message: Vec<u8> = self.held.drain(..length).collect();
            // Even channels carry RTP, odd ones RTCP.
            let is_rtp = message[0] == b'$' && message[1].is_multiple_of(2);
            if is_rtp && self.random.random_range(0..1000) < shared.lose_per_mille.load(Ordering::Relaxed) {
                shared.lost_packets.fetch_add(1, Ordering::Relaxed);
            } else {
                passed.extend(message);
            }
        }
        passed
    }

    /// Length of the first message, if it is there whole.
    fn first_message(&self) -> Option<usize> {
        let held = &self.held;
        let length = if held.first()? == &b'$' {
            4 + usize::from(u16::from_be_bytes([*held.get(2)?, *held.get(3)?]))
        } else {
            let head = held.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
            let text = String::from_utf8_lossy(&held[..head]).to_ascii_lowercase();
            let body = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            head + body.unwrap_or(0)
        };
        (held.len() >= length).then_some(length)
    }
}
