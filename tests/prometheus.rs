//! A real Prometheus scrapes the real program at work, with a camera that is not there, checkpoints and a restart. Then everything that
//! Grafana would ask is asked over Prometheus' own API: what fails or comes out empty fails the test.

#![allow(clippy::unwrap_used, reason = "test code")]

mod dashboards;
mod media;
mod program;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dashboards::{annotations, dashboards, folder, label_values, panels, rules, targets, variables};
use program::{Place, Run};
use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// How long Prometheus may take for something that must happen, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A stream that sheds, one that waits, one that is not there and has a password.
const STREAMS: &str = r#"
[[stream]]
name = "live"
[stream.synthetic]
live = true
width = 160
height = 120
scene_frames = 60
seed = 1
[[stream]]
name = "file"
[stream.synthetic]
width = 160
height = 120
scene_frames = 60
b_frames = 2
seed = 2
[[stream]]
name = "gate"
uri = "rtsp://viewer:hunter2hunter2@127.0.0.1:1/none"
"#;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Prometheus with the project's own config, but for addresses and a scrape a second.
struct Prometheus {
    child: Child,
    url: String,
    config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// `None` where it is not installed.
    fn start(target_port: u16) -> Option<Self> {
        let temporary = tempfile::tempdir().unwrap();
        let written = std::fs::read_to_string(folder().join("prometheus.yml")).unwrap();
        let changed = written
            .replace("comove:9464", &format!("127.0.0.1:{target_port}"))
            .replace("15s", "1s")
            .replace("rules.yml", &folder().join("rules.yml").display().to_string());
        assert_eq!(changed.matches("1s").count(), 2, "{changed}");
        let config = temporary.path().join("prometheus.yml");
        std::fs::write(&config, changed).unwrap();
        let port = free_port();
        let spawned = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                temporary.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(temporary.path().join("log")).unwrap())
            .spawn();
        match spawned {
            Ok(child) => Some(Self {
                child,
                url: format!("http://127.0.0.1:{port}"),
                config,
                _folder: temporary,
            }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "prometheus: {error}");
                eprintln!("left out: prometheus is not installed");
                None
            }
        }
    }

    /// An answer's `data`, or what is wrong with it.
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut answer = agent
            .get(format!("{}/api/v1/{path}?{query}", self.url))
            .call()
            .map_err(|error| error.to_string())?;
        let answer: Value = answer.body_mut().read_json().map_err(|error| error.to_string())?;
        match answer["status"] == "success" {
            true => Ok(answer["data"].clone()),
            false => Err(answer["error"].to_string()),
        }
    }

    /// The values of all series that a query gives now.
    fn now(&self, query: &str) -> Result<Vec<f64>, String> {
        let data = self.ask("query", &[("query", query)])?;
        Ok(values(&data, "value"))
    }

    /// The same over a stretch of time.
    fn over(&self, query: &str, (from, to): (f64, f64)) -> Result<Vec<f64>, String> {
        let data = self.ask(
            "query_range",
            &[
                ("query", query),
                ("start", &from.to_string()),
                ("end", &to.to_string()),
                ("step", "1"),
            ],
        )?;
        Ok(values(&data, "values"))
    }

    fn wait_for(&self, what: &str, mut seen: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !seen(self) {
            assert!(Instant::now() < deadline, "no {what}");
            thread::sleep(Duration::from_millis(250));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every finite value in an answer: of `value` (one pair a series) or `values` (a list of pairs).
fn values(data: &Value, key: &str) -> Vec<f64> {
    let number = |pair: &Value| pair[1].as_str().and_then(|text| text.parse::<f64>().ok());
    let mut all = Vec::new();
    for series in data["result"].as_array().into_iter().flatten() {
        match key {
            "value" => all.extend(number(&series[key])),
            _ => all.extend(series[key].as_array().into_iter().flatten().filter_map(number)),
        }
    }
    all.retain(|value| value.is_finite());
    all
}

/// What Grafana puts in for its variables.
fn filled(expr: &str, stream: &str) -> String {
    expr.replace("$__rate_interval", "8s")
        .replace("$job", ".+")
        .replace("$instance", ".+")
        .replace("$stream", stream)
}

/// Every metric that an expression reads.
fn selectors(expr: &str) -> Vec<String> {
    struct Selectors(Vec<String>);
    impl Selectors {
        fn add(&mut self, selector: &VectorSelector) {
            let mut alone = selector.clone();
            alone.offset = None;
            self.0.push(alone.to_string());
        }
    }
    impl ExprVisitor for Selectors {
        type Error = String;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
            match expr {
                Expr::VectorSelector(selector) => self.add(selector),
                Expr::MatrixSelector(matrix) => self.add(&matrix.vs),
                _ => {}
            }
            Ok(true)
        }
    }
    let mut found = Selectors(Vec::new());
    walk_expr(&mut found, &parse(expr).unwrap()).unwrap();
    found.0
}

fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// Collects what went wrong, so that one run tells all of it.
#[derive(Default)]
struct Faults {
    asked: usize,
    found: Vec<String>,
}

impl Faults {
    fn expect_values(&mut self, at: &str, query: &str, answer: Result<Vec<f64>, String>) {
        self.asked += 1;
        match answer {
            Ok(values) if !values.is_empty() => {}
            Ok(_) => self.found.push(format!("{at}: empty: {query}")),
            Err(error) => self.found.push(format!("{at}: {error}: {query}")),
        }
    }
}

fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// Starts the program where Prometheus looks for it.
fn start(place: &Place, port: u16) -> Run {
    Run::start(&place.run([
        format!("--listen=127.0.0.1:{port}"),
        "--resume=if-present".to_owned(),
    ]))
}

#[test]
fn every_panel_variable_annotation_and_rule_has_an_answer_of_a_real_prometheus() {
    let port = free_port();
    let Some(prometheus) = Prometheus::start(port) else {
        return;
    };
    let place = Place::new();
    let labelled = place.path("labelled");
    media::class_folders(&labelled);
    let probe = format!("[probe]\ndir = {labelled:?}\nevery = \"2s\"\n");
    // So little memory that samples go to disk within seconds.
    let config = std::fs::read_to_string(place.path("config.toml"))
        .unwrap()
        .replace("min_samples = 4", "min_samples = 4\ncapacity = \"3 MiB\"")
        + "[replay.spill]\ncapacity = \"40 MiB\"\nsegment_size = \"2 MiB\"\n"
        + &probe
        + STREAMS;
    std::fs::write(place.path("config.toml"), config).unwrap();

    let mut first = start(&place, port);
    first.wait_for_message("trained");
    prometheus.wait_for("scrape", |p| {
        p.now("comove_train_step").is_ok_and(|v| !v.is_empty())
    });
    first.signal("TERM");
    assert!(first.end().status.success());

    let begin = unix_now();
    let mut second = start(&place, port);
    second.wait_for_message("trained");
    second.signal("USR1");
    second.wait_for_message("checkpoint written");
    // Of this run: what the one before left behind is older.
    let written = format!("comove_checkpoint_last_success_timestamp_seconds > {begin}");
    let waits = [
        ("scrape of the checkpoint", &*written),
        (
            "restarts of the gate",
            "sum(comove_stream_restarts_total{stream=\"gate\"}) > 2",
        ),
        (
            "recorded share of waiting",
            "instance:comove_train_data_wait:ratio_rate5m >= 0",
        ),
        (
            "alert on the gate",
            "ALERTS{alertname=\"ComoveStreamDown\", stream=\"gate\", alertstate=\"pending\"}",
        ),
        (
            "samples of both streams",
            "min(comove_samples_made_total{stream!=\"gate\"}) > 1",
        ),
        (
            "rate of decoding",
            "sum(rate(comove_decode_job_seconds_count[8s])) > 0",
        ),
        ("figure of the probe", "comove_probe_accuracy_ratio >= 0"),
        ("figure of redundancy", "comove_replay_redundancy_ratio >= -1"),
    ];
    // Long enough for a rate at every metric.
    prometheus.wait_for("scrapes", |_| unix_now() - begin > 15.0);
    for (what, query) in waits {
        prometheus.wait_for(what, |p| p.now(query).is_ok_and(|v| !v.is_empty()));
    }
    let page = second.get("/metrics").unwrap();
    let range = (begin, unix_now());

    let mut faults = Faults::default();
    for (name, dashboard) in dashboards() {
        let stream = if name.contains("stream") { "live" } else { ".+" };
        for variable in variables(&dashboard) {
            let Some((selector, label)) = label_values(variable) else {
                continue;
            };
            let selector = filled(selector, ".+");
            let answer = prometheus.ask(&format!("label/{label}/values"), &[("match[]", &selector)]);
            let count = answer.map(|data| vec![0.0; data.as_array().map_or(0, Vec::len)]);
            faults.expect_values(&format!("{name}, variable {label}"), &selector, count);
        }
        for annotation in annotations(&dashboard) {
            let at = format!("{name}, annotation {}", annotation["name"]);
            let query = filled(annotation["expr"].as_str().unwrap(), ".+");
            faults.expect_values(&at, &query, prometheus.over(&query, range));
        }
        for panel in panels(&dashboard) {
            for target in targets(panel) {
                let at = format!("{name}, {}, {}", panel["title"], target["refId"]);
                let query = filled(target["expr"].as_str().unwrap(), stream);
                let answer = match target["instant"] == true {
                    true => prometheus.now(&query),
                    false => prometheus.over(&query, range),
                };
                faults.expect_values(&at, &query, answer);
            }
        }
    }
    let all_rules = rules();
    let recorded: BTreeSet<_> = all_rules.iter().filter_map(|rule| rule.record.clone()).collect();
    for rule in &all_rules {
        let name = rule.record.clone().or(rule.alert.clone()).unwrap();
        // An alert that does not fire is empty; what it reads must not be.
        let reads = match rule.record {
            Some(_) => vec![name.clone()],
            None => selectors(&rule.expr),
        };
        for query in reads {
            let never = ["ALERTS"].contains(&&*query);
            assert!(!never && (recorded.contains(&query) || query.len() > 1));
            // A reason that never came has no ratio: what it is made of has.
            let answer = prometheus.now(&query);
            faults.expect_values(&name, &query, answer);
        }
    }
    let groups = prometheus.ask("rules", &[]).unwrap();
    let mut healthy = 0;
    for rule in groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
    {
        assert_eq!(rule["health"], "ok", "{rule}");
        healthy += 1;
    }
    assert_eq!(healthy, all_rules.len());
    assert!(
        faults.found.is_empty(),
        "{} of {} queries:\n{}",
        faults.found.len(),
        faults.asked,
        faults.found.join("\n")
    );
    assert!(faults.asked > 150, "{} queries", faults.asked);

    promtool(&["check", "metrics"], &page);
    promtool(&["check", "config", &prometheus.config.display().to_string()], "");
    assert!(!page.contains("hunter2"), "a password is on the page");
    if let Some(folder) = std::env::var_os("COMOVE_RENDER") {
        render(&prometheus, Path::new(&folder), range);
    }
    second.signal("TERM");
    assert!(second.end().status.success());
}

/// Pictures of the dashboards, for people.
fn render(prometheus: &Prometheus, folder: &Path, (from, to): (f64, f64)) {
    let drawn = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/render-dashboards"))
        .args(["--prometheus", &prometheus.url, "--out"])
        .arg(folder)
        .args([
            "--from",
            &from.to_string(),
            "--to",
            &to.to_string(),
            "--rate-interval",
            "8s",
        ])
        .status()
        .unwrap();
    assert!(drawn.success());
}
