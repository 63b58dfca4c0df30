//! The real program, seen through `/proc` and its own metrics.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running comove; killed when dropped.
pub struct Program {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

/// What was seen at one scrape.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub resident_bytes: f64,
    pub threads: f64,
    pub descriptors: f64,
    pub budget_bytes: f64,
    pub replay_bytes: f64,
    pub left_pipelines: f64,
    pub hanging_pipelines: f64,
    pub restarts: f64,
    pub received: f64,
    pub dropped: f64,
    pub running: f64,
    pub steps: f64,
}

impl Figures {
    pub const HEAD: &str =
        "  RSS MB threads    fds budget MB replay MB running restarts  left hang    units  dropped  steps";
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.1} {:>7} {:>6} {:>9.1} {:>9.1} {:>7} {:>8} {:>5} {:>4} {:>8} {:>8} {:>6}",
            self.resident_bytes / 1e6,
            self.threads,
            self.descriptors,
            self.budget_bytes / 1e6,
            self.replay_bytes / 1e6,
            self.running,
            self.restarts,
            self.left_pipelines,
            self.hanging_pipelines,
            self.received,
            self.dropped,
            self.steps
        )
    }
}

impl Program {
    pub fn start(program: &Path, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A port that is free now; the log says nothing at this level.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = config.replace("127.0.0.1:0\"", &format!("127.0.0.1:{port}\""));
        std::fs::write(folder.path().join("soak.toml"), config).unwrap();
        let mut child = Command::new(program)
            .args(["run", "-c"])
            .arg(folder.path().join("soak.toml"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                println!("comove: {line}");
            }
        });
        let program = Self {
            child,
            address: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        };
        for _ in 0..600 {
            if program.get("/healthz").is_some() {
                return program;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{}: no answer within a minute", program.address);
    }

    fn get(&self, path: &str) -> Option<String> {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(120)));
        let agent: ureq::Agent = config.build().into();
        let mut answer = agent.get(format!("{}{path}", self.address)).call().ok()?;
        // A page of a hundred streams is long.
        answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_string()
            .ok()
    }

    pub fn pause_training(&self) {
        let told = ureq::post(format!("{}/api/v1/train/pause", self.address)).send_empty();
        assert!(told.unwrap().status().is_success());
    }

    /// Scrapes, checks that every account closes, and looks at the process from outside.
    pub fn figures(&mut self) -> Figures {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "the program has ended by itself"
        );
        let page = self.get("/metrics").expect("a page of metrics");
        let mut sums: HashMap<&str, f64> = HashMap::new();
        let mut accounts: BTreeMap<&str, f64> = BTreeMap::new();
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        for (series, value) in lines.filter_map(|line| line.rsplit_once(' ')) {
            let value: f64 = value.parse().unwrap();
            let (family, labels) = series.split_once('{').unwrap_or((series, ""));
            *sums.entry(family).or_default() += value;
            if labels.contains("fate=\"dropped\"") {
                *sums.entry("dropped").or_default() += value;
            }
            if labels.contains("state=\"running\"") {
                *sums.entry("running").or_default() += value;
            }
            let sign = match family {
                "comove_access_units_received_total" => 1.0,
                "comove_access_units_settled_total" | "comove_access_units_buffered" => -1.0,
                _ => continue,
            };
            let stream = labels
                .strip_prefix("stream=\"")
                .and_then(|rest| rest.split('"').next());
            *accounts.entry(stream.unwrap()).or_default() += sign * value;
        }
        for (stream, left) in &accounts {
            assert!(left.abs() < 0.5, "stream {stream}: {left} access units too many");
        }
        let of = |family: &str| sums.get(family).copied().unwrap_or_default();
        let proc = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let of_process = |key: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .unwrap()
        };
        Figures {
            resident_bytes: of_process("VmRSS:") * 1024.0,
            threads: of_process("Threads:"),
            descriptors: std::fs::read_dir(format!("{proc}/fd")).unwrap().count() as f64,
            budget_bytes: of("comove_byte_budget_used_bytes"),
            replay_bytes: of("comove_replay_bytes"),
            left_pipelines: of("comove_stream_pipelines_left_total"),
            hanging_pipelines: of("comove_stream_pipelines_hanging"),
            restarts: of("comove_stream_restarts_total"),
            received: of("comove_access_units_received_total"),
            dropped: of("dropped"),
            running: of("running"),
            steps: of("comove_train_steps_total"),
        }
    }

    /// How many streams are in which state.
    pub fn states(&self) -> BTreeMap<String, usize> {
        let status: serde_json::Value =
            serde_json::from_str(&self.get("/api/v1/status").expect("a status")).unwrap();
        serde_json::from_value(status["streams"].clone()).unwrap()
    }

    /// Tells it to end, and waits.
    pub fn stop(mut self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(told.unwrap().success());
        let code = self.child.wait().unwrap();
        println!("the program ended with {code}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
