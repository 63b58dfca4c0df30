use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ingest::{Fate, Ledger, StreamName};
use crate::telemetry::{Heartbeat, Pulse, Registry, collect_ledger};

/// A small program: one stream, a trainer with a heartbeat, checkpoints that can fail.
struct SmallDaemon {
    started: Instant,
    trainer: Heartbeat,
    ledger: Ledger,
    streams_run: AtomicBool,
    disk_full: AtomicBool,
}

impl SmallDaemon {
    fn new() -> Arc<Self> {
        let started = Instant::now();
        Arc::new(Self {
            started,
            trainer: Heartbeat::new("train", Duration::from_secs(3600), started),
            ledger: Ledger::new(),
            streams_run: AtomicBool::new(true),
            disk_full: AtomicBool::new(false),
        })
    }
}

impl Sight for SmallDaemon {}

impl Daemon for SmallDaemon {
    fn pulses(&self) -> Vec<Pulse> {
        vec![self.trainer.pulse(Instant::now())]
    }

    fn not_ready(&self) -> Vec<String> {
        match self.streams_run.load(Ordering::Relaxed) {
            true => Vec::new(),
            false => vec!["stream gate has not started".to_owned()],
        }
    }

    fn status(&self) -> StatusView {
        StatusView {
            version: "0".to_owned(),
            state: "running".to_owned(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            not_ready: self.not_ready(),
            stages: self.pulses().into_iter().map(StageView::from).collect(),
            streams: [("running".to_owned(), 1)].into(),
            replay: None,
            train: Some(TrainView {
                preset: "micro".to_owned(),
                device: "cpu".to_owned(),
                step: 10,
                loss: 1.5,
                context: TaskView {
                    loss: 1.0,
                    top1: 0.5,
                    chance: 0.25,
                },
                motion: TaskView {
                    loss: f64::NAN,
                    top1: f64::NAN,
                    chance: f64::NAN,
                },
                embedding_std: 0.5,
                effective_rank: 9.0,
                samples_per_second: 20.0,
                learning_rate: 0.1,
                nonfinite_steps: 0,
            }),
        }
    }

    fn streams(&self) -> Vec<StreamView> {
        vec![StreamView {
            name: "gate".to_owned(),
            source: "rtsp://***@camera/".to_owned(),
            state: "running".to_owned(),
            last_error: None,
            restarts: 0,
            account: AccountView::from(&self.ledger.snapshot()),
        }]
    }

    fn checkpoints(&self) -> Result<Vec<CheckpointView>, String> {
        match self.disk_full.load(Ordering::Relaxed) {
            true => Err("checkpoints: Input/output error".to_owned()),
            false => Ok(Vec::new()),
        }
    }

    fn write_checkpoint(&self) -> Result<CheckpointView, SnapshotError> {
        match self.disk_full.load(Ordering::Relaxed) {
            true => Err(SnapshotError::Failed("no space left on device".to_owned())),
            false => Ok(CheckpointView {
                step: 12,
                path: "checkpoints/00000012".to_owned(),
                latest: true,
                written_at: Some("2026-01-01T00:00:00Z".to_owned()),
                bytes: Some(9),
                error: None,
            }),
        }
    }
}

/// The server on a free port, on its own runtime; stopped when dropped.
struct Running {
    address: SocketAddr,
    daemon: Arc<SmallDaemon>,
    stop: CancellationToken,
    runtime: tokio::runtime::Runtime,
    served: Option<tokio::task::JoinHandle<Result<(), ServerError>>>,
}

fn local_config() -> ServerConfig {
    ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServerConfig::default()
    }
}

impl Running {
    fn start(config: &ServerConfig) -> Self {
        let daemon = SmallDaemon::new();
        let registry = Registry::new(SystemTime::UNIX_EPOCH);
        let ledger = daemon.ledger.clone();
        let name = StreamName::new("gate").unwrap();
        registry.collect_with(move |page| collect_ledger(page, &name, &ledger.snapshot()));
        let server = Server::bind(config).unwrap();
        let address = server.address();
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let served = runtime.spawn(server.serve(daemon.clone(), registry, stop.clone()));
        Self {
            address,
            daemon,
            stop,
            runtime,
            served: Some(served),
        }
    }

    fn agent(&self) -> ureq::Agent {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        config
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into()
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut response = self
            .agent()
            .get(format!("http://{}{path}", self.address))
            .call()
            .unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    }

    fn get_json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_str(&body).unwrap())
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let mut request = self
            .agent()
            .post(format!("http://{}/api/v1/checkpoints", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(served) = self.served.take() {
            self.runtime.block_on(served).unwrap().unwrap();
        }
    }
}

#[test]
fn metrics_close_the_account_in_every_scrape() {
    let running = Running::start(&local_config());
    let held = running.daemon.ledger.receive(10);
    running.daemon.ledger.receive(10).settle(Fate::Used);
    let (status, page) = running.get("/metrics");
    assert_eq!(status, 200);
    assert!(
        page.contains("comove_access_units_received_total{stream=\"gate\"} 2\n"),
        "{page}"
    );
    assert!(
        page.contains("comove_access_units_buffered{stream=\"gate\"} 1\n"),
        "{page}"
    );
    assert!(page.contains("fate=\"used\",reason=\"used\"} 1\n"), "{page}");
    assert!(page.contains("comove_process_resident_memory_bytes "), "{page}");
    drop(held);
}

#[test]
fn healthz_tells_a_silent_stage() {
    let running = Running::start(&local_config());
    let (status, body) = running.get_json("/healthz");
    assert_eq!((status, &body["alive"]), (200, &Value::Bool(true)));
    let hung = Heartbeat::new("train", Duration::ZERO, Instant::now() - Duration::from_secs(60));
    struct Hung(Arc<SmallDaemon>, Heartbeat);
    impl Sight for Hung {}

    impl Daemon for Hung {
        fn pulses(&self) -> Vec<Pulse> {
            vec![self.1.pulse(Instant::now())]
        }
        fn not_ready(&self) -> Vec<String> {
            self.0.not_ready()
        }
        fn status(&self) -> StatusView {
            self.0.status()
        }
        fn streams(&self) -> Vec<StreamView> {
            self.0.streams()
        }
        fn checkpoints(&self) -> Result<Vec<CheckpointView>, String> {
            self.0.checkpoints()
        }
        fn write_checkpoint(&self) -> Result<CheckpointView, SnapshotError> {
            panic!("the daemon broke")
        }
    }
    let server = Server::bind(&local_config()).unwrap();
    let address = server.address();
    let daemon = Arc::new(Hung(SmallDaemon::new(), hung));
    let registry = Registry::new(SystemTime::UNIX_EPOCH);
    running
        .runtime
        .spawn(server.serve(daemon, registry, running.stop.clone()));
    let read = |path: &str| {
        let mut response = running
            .agent()
            .get(format!("http://{address}{path}"))
            .call()
            .unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    };
    let (status, body) = read("/healthz");
    assert_eq!(status, 503);
    assert!(
        body.contains("\"stage\":\"train\"") && body.contains("\"alive\":false"),
        "{body}"
    );
    let (status, body) = read("/readyz");
    assert_eq!(status, 503);
    assert!(body.contains("train gave no sign of life for 60 s"), "{body}");
    // A panic in the daemon is one failed answer, and the server lives on.
    let url = format!("http://{address}/api/v1/checkpoints");
    assert_eq!(running.agent().post(url).send_empty().unwrap().status(), 500);
    assert_eq!(read("/healthz").0, 503);
}

#[test]
fn readyz_gives_the_reasons() {
    let running = Running::start(&local_config());
    assert_eq!(running.get("/readyz").0, 200);
    running.daemon.streams_run.store(false, Ordering::Relaxed);
    let (status, body) = running.get_json("/readyz");
    assert_eq!(status, 503);
    assert_eq!(body["reasons"][0], "stream gate has not started");
}

#[test]
fn the_api_shows_status_streams_and_checkpoints() {
    let running = Running::start(&local_config());
    drop(running.daemon.ledger.receive(7));
    assert_eq!(running.get_json("/api/v1/status").1["streams"]["running"], 1);
    let (_, streams) = running.get_json("/api/v1/streams");
    assert_eq!(streams[0]["account"]["received"], 1);
    assert_eq!(streams[0]["account"]["dropped"]["unsettled"], 1);
    assert_eq!(
        running.get_json("/api/v1/checkpoints"),
        (200, Value::Array(Vec::new()))
    );
    let (status, body) = running.get_json("/nothing");
    assert_eq!(status, 404);
    assert!(body["error"].as_str().unwrap().contains("GET /"));
    assert!(running.get("/api").1.contains("/api/v1/checkpoints"));
    assert!(running.get("/").1.contains("What the learner sees"));
}

#[test]
fn a_client_reads_what_the_server_says() {
    let running = Running::start(&local_config());
    drop(running.daemon.ledger.receive(7));
    let client = Client::new(&running.address.to_string());
    assert_eq!(client.streams().unwrap(), running.daemon.streams());
    let status = client.status().unwrap();
    assert_eq!(status.state, "running");
    // What is not finite has no place in JSON and comes back as what it was.
    let train = status.train.unwrap();
    assert!(train.motion.loss.is_nan() && train.context.loss == 1.0);
    let nobody = Server::bind(&local_config()).unwrap().address();
    let message = Client::new(&format!("http://{nobody}/"))
        .status()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains(&format!("no answer from http://{nobody}/api/v1/status")),
        "{message}"
    );
}

#[test]
fn a_checkpoint_is_written_on_demand_or_its_failure_told() {
    let running = Running::start(&local_config());
    let (status, body) = running.post(&[], b"");
    assert_eq!((status, &body["step"]), (201, &Value::from(12)));
    running.daemon.disk_full.store(true, Ordering::Relaxed);
    let (status, body) = running.post(&[], b"");
    assert_eq!(status, 500);
    assert!(
        body["error"].as_str().unwrap().contains("no space left"),
        "{body}"
    );
}

#[test]
fn changes_need_the_token_where_one_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "a-token-of-some-length").unwrap();
    let running = Running::start(&ServerConfig {
        token_file: Some(path),
        ..local_config()
    });
    assert_eq!(running.post(&[], b"").0, 401);
    assert_eq!(
        running
            .post(&[("authorization", "Bearer wrong-token-of-some")], b"")
            .0,
        401
    );
    assert_eq!(
        running
            .post(&[("authorization", "Bearer a-token-of-some-length")], b"")
            .0,
        201
    );
    assert_eq!(running.get("/metrics").0, 200);
}

#[test]
fn a_web_page_may_not_change_anything() {
    let running = Running::start(&local_config());
    let (status, body) = running.post(&[("origin", "http://evil.example")], b"");
    assert_eq!(status, 403);
    assert!(body["error"].as_str().unwrap().contains("a web page"), "{body}");
}

#[test]
fn large_and_unwanted_bodies_are_refused() {
    let running = Running::start(&local_config());
    // Refused by what the head announces: the body itself is never sent, let alone read.
    let mut large = TcpStream::connect(running.address).unwrap();
    large
        .write_all(b"POST /api/v1/checkpoints HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n")
        .unwrap();
    let mut head = [0; 12];
    large.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
    assert_eq!(running.post(&[], b"{}").0, 400);
}

#[test]
fn a_port_in_use_is_told_before_work_starts() {
    let running = Running::start(&local_config());
    let error = Server::bind(&ServerConfig {
        listen: running.address,
        ..ServerConfig::default()
    })
    .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains(&format!("server.listen = \"{}\"", running.address)),
        "{message}"
    );
    assert!(
        message.contains("in use") && message.contains("--listen"),
        "{message}"
    );
}

#[test]
fn stopping_does_not_wait_for_an_idle_client() {
    let running = Running::start(&local_config());
    let mut idle = TcpStream::connect(running.address).unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
    assert_eq!(running.get("/healthz").0, 200);
    let begun = Instant::now();
    drop(running);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    idle.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut rest = Vec::new();
    // Closed, orderly or by reset: either way the client is not left hanging.
    let ended = idle.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock));
}
