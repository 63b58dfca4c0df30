use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ingest::{Fate, StreamName};
use crate::telemetry::{Heartbeat, Registry, collect_ledger};
use small_daemon::SmallDaemon;

mod small_daemon;

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
        self.post_to("/api/v1/checkpoints", headers, body)
    }

    fn post_to(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let mut request = self.agent().post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    /// Sends bytes as they are, and gives back all that comes until the server hangs up.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(bytes).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
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
    let server = Server::bind(&local_config()).unwrap();
    let address = server.address();
    let daemon = SmallDaemon::with_trainer(hung);
    daemon.broken.store(true, Ordering::Relaxed);
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

#[test]
fn streams_are_changed_as_the_request_says_or_not_at_all() {
    let running = Running::start(&local_config());
    let body = br#"{"name": "a", "synthetic": {"width": 64, "live": true}, "user": null}"#;
    assert_eq!(running.post_to("/api/v1/streams?persist=true", &[], body).0, 201);
    assert_eq!(running.post_to("/api/v1/streams/gate/disable", &[], b"").0, 200);
    assert_eq!(running.post_to("/api/v1/streams/nobody/enable", &[], b"").0, 404);
    assert_eq!(running.post_to("/api/v1/train/pause", &[], b"").0, 200);
    let noted = [
        "add name = \"a\"\n\n[synthetic]\nlive = true\nwidth = 64 Yes",
        "switch gate Off No",
        "switch nobody On No",
        "Pause",
    ];
    assert_eq!(*running.daemon.changes.lock().unwrap(), noted);
    for (path, body, status, said) in [
        ("/api/v1/streams", &b"{"[..], 400, "EOF"),
        ("/api/v1/streams", b"{} {}", 400, "trailing"),
        ("/api/v1/streams", br#"{"ur": "x"}"#, 400, "unknown field `ur`"),
        (
            "/api/v1/streams",
            br#"{"enabled": 1}"#,
            400,
            "enabled: invalid type",
        ),
        ("/api/v1/streams?persist=maybe", b"{}", 400, "persist"),
        ("/api/v1/streams?keep=true", b"{}", 400, "keep"),
        ("/api/v1/streams/gate/enable", b"{}", 400, "takes no body"),
    ] {
        let (code, answer) = running.post_to(path, &[], body);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(code == status && error.contains(said), "{path}: {code} {error}");
    }
    assert_eq!(running.daemon.changes.lock().unwrap().len(), noted.len());
}

#[test]
fn the_description_names_every_call_that_there_is() {
    let running = Running::start(&local_config());
    let (status, document) = running.get_json("/api/v1/openapi.json");
    assert_eq!(status, 200);
    let paths = document["paths"].as_object().unwrap();
    let index = running.get("/api").1;
    for path in paths.keys() {
        assert!(index.contains(path), "{path} is missing in {index}");
        let path = path.replace("{name}", "gate");
        // A path that no route answers would be 404; of one that takes other methods GET is told so.
        let status = running.get(&path).0;
        assert!([200, 405].contains(&status), "{path}: {status}");
    }
    assert!(paths["/api/v1/streams/{name}"]["delete"].is_object(), "{paths:?}");
}

#[test]
fn rubbish_on_the_wire_harms_nothing() {
    let running = Running::start(&local_config());
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-Header: x\r\n".repeat(10_000));
    let half = "POST /api/v1/streams HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"name\":";
    let chunked = "POST /api/v1/streams HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for bytes in [
        &b"\x00\xff\xfe\x16\x03\x01"[..],
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/v1/streams/%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/streams HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        half.as_bytes(),
        chunked.as_bytes(),
    ] {
        let answer = running.raw(bytes);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(
            refused,
            "{}: {answer}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
        );
    }
    assert!(running.daemon.changes.lock().unwrap().is_empty());
    assert_eq!(running.get("/healthz").0, 200);
}

#[test]
fn clients_that_dribble_their_head_take_no_place_from_others() {
    let running = Running::start(&local_config());
    // Fewer than the server has places for; each is closed when its head is not there in time.
    let slow: Vec<_> = (0..48)
        .map(|_| {
            let mut socket = TcpStream::connect(running.address).unwrap();
            socket.write_all(b"GET /metrics HTT").unwrap();
            socket
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(running.get("/metrics").0, 200);
    }
    drop(slow);
}

#[test]
fn reading_needs_a_token_where_one_is_configured_and_health_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "only-for-looking-at").unwrap();
    let running = Running::start(&ServerConfig {
        read_token_file: Some(path),
        ..local_config()
    });
    for path in ["/metrics", "/api/v1/status", "/api/v1/openapi.json", "/"] {
        assert_eq!(running.get(path).0, 401, "{path}");
    }
    let shown = running
        .agent()
        .get(format!("http://{}/metrics", running.address))
        .header("authorization", "Bearer only-for-looking-at")
        .call();
    assert_eq!(shown.unwrap().status(), 200);
    assert_eq!((running.get("/healthz").0, running.get("/readyz").0), (200, 200));
}
