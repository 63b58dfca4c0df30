//! Dashboards, rules and the metrics page against the table of metrics, and against promtool where it is installed.

#![allow(clippy::unwrap_used)]

mod dashboards;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use comove::decode::DecodeSnapshot;
use comove::eval::{HeldFigures, Protocol};
use comove::ingest::{ByteBudget, Ledger, StreamName, StreamState};
use comove::model::Preset;
use comove::replay::{Replay, ReplayConfig, SpillConfig, SpillFolder};
use comove::telemetry::table::{Kind, Metric, TABLE};
use comove::telemetry::{
    CheckpointMetrics, MemoryByOwner, ProbeMetrics, Registry, SourceCounts, TrainMetrics,
    collect_byte_budget, collect_decode, collect_ledger, collect_memory, collect_replay, collect_scout,
    collect_stream,
};
use comove::train::{PhaseSeconds, StepReport};
use comove::window::ScoutSnapshot;
use promql_parser::label::Matchers;
use promql_parser::parser::{Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use dashboards::{annotations, dashboards, folder, label_values, panels, rules, targets, variables};

/// Labels that Prometheus adds, or makes of buckets.
const FOREIGN_LABELS: [&str; 3] = ["job", "instance", "le"];

/// The table's entry for a series name; a histogram has three.
fn metric_of(series: &str) -> Option<&'static Metric> {
    let exact = TABLE
        .iter()
        .find(|metric| metric.name == series && !matches!(metric.kind, Kind::Histogram(_)));
    exact.or_else(|| {
        let stem = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| series.strip_suffix(suffix))?;
        TABLE
            .iter()
            .find(|metric| metric.name == stem && matches!(metric.kind, Kind::Histogram(_)))
    })
}

/// Collects what is wrong with one expression.
struct Reviewer {
    recorded: BTreeSet<String>,
    faults: Vec<String>,
}

impl Reviewer {
    fn selector(&mut self, selector: &VectorSelector, over_time: bool) {
        let Some(name) = &selector.name else {
            self.faults.push("a selector without a metric name".to_owned());
            return;
        };
        if name == "up" || self.recorded.contains(name) {
            return;
        }
        let Some(metric) = metric_of(name) else {
            self.faults.push(format!("{name} is not in the table"));
            return;
        };
        let counts = !matches!(metric.kind, Kind::Gauge);
        if counts != over_time {
            self.faults.push(format!(
                "{name} is a {}: it is read {}",
                metric.kind.name(),
                if over_time {
                    "as a counter"
                } else {
                    "without rate or increase"
                }
            ));
        }
        let Matchers { matchers, .. } = &selector.matchers;
        for matcher in matchers {
            let known = metric.labels.contains(&&*matcher.name) || FOREIGN_LABELS.contains(&&*matcher.name);
            if !known {
                self.faults.push(format!("{name} has no label {}", matcher.name));
            }
        }
    }
}

impl ExprVisitor for Reviewer {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        match expr {
            Expr::VectorSelector(selector) => self.selector(selector, false),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs, true),
            // What is averaged over time is a gauge.
            Expr::Call(call) if call.func.name.ends_with("_over_time") => {
                for argument in &call.args.args {
                    if let Expr::MatrixSelector(matrix) = &**argument {
                        self.selector(&matrix.vs, false);
                    }
                }
                return Ok(false);
            }
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                    for label in &labels.labels {
                        let known = FOREIGN_LABELS.contains(&&**label)
                            || TABLE.iter().any(|metric| metric.labels.contains(&&**label));
                        if !known {
                            self.faults.push(format!("no metric has the label {label}"));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

#[track_caller]
fn assert_sound(origin: &str, expr: &str, recorded: &BTreeSet<String>) {
    // What Grafana puts in; `$job` and its like stand in quotes and are legal as they are.
    let filled = expr.replace("$__rate_interval", "1m");
    let parsed =
        promql_parser::parser::parse(&filled).unwrap_or_else(|error| panic!("{origin}: {expr}: {error}"));
    let mut reviewer = Reviewer {
        recorded: recorded.clone(),
        faults: Vec::new(),
    };
    walk_expr(&mut reviewer, &parsed).unwrap();
    assert!(
        reviewer.faults.is_empty(),
        "{origin}: {expr}: {:?}",
        reviewer.faults
    );
}

#[test]
fn a_wrong_expression_is_noticed() {
    let review = |expr: &str| {
        let mut reviewer = Reviewer {
            recorded: BTreeSet::new(),
            faults: Vec::new(),
        };
        walk_expr(&mut reviewer, &promql_parser::parser::parse(expr).unwrap()).unwrap();
        reviewer.faults
    };
    assert!(review("rate(comove_train_steps_total[5m])").is_empty());
    assert!(review("avg_over_time(comove_train_step[5m])").is_empty());
    assert!(review("sum by (le) (rate(comove_train_step_seconds_bucket[5m]))").is_empty());
    for wrong in [
        "comove_train_stepz",
        "comove_train_steps_total",
        "rate(comove_train_step[5m])",
        "comove_train_step_seconds",
        "avg_over_time(comove_train_steps_total[5m])",
        "comove_train_step{stream=\"a\"}",
        "sum by (camera) (comove_train_step)",
        "{job=\"comove\"}",
    ] {
        assert_eq!(review(wrong).len(), 1, "{wrong}");
    }
}

#[test]
fn every_query_reads_metrics_and_labels_of_the_table() {
    let recorded: BTreeSet<String> = rules().into_iter().filter_map(|rule| rule.record).collect();
    for rule in rules() {
        let name = rule.record.or(rule.alert).unwrap();
        assert_sound(&name, &rule.expr, &recorded);
    }
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let at = format!("{name}, {}", panel["title"]);
            for target in targets(panel) {
                assert_sound(&at, target["expr"].as_str().unwrap(), &recorded);
            }
        }
        for annotation in annotations(&dashboard) {
            assert_sound(&name, annotation["expr"].as_str().unwrap(), &recorded);
        }
        for (selector, _) in variables(&dashboard).iter().filter_map(label_values) {
            assert_sound(&name, selector, &recorded);
        }
    }
}

#[test]
fn every_metric_of_the_table_is_on_a_dashboard_or_in_a_rule() {
    let mut read: String = rules().into_iter().map(|rule| rule.expr + "\n").collect();
    for (_, dashboard) in dashboards() {
        read.push_str(&dashboard.to_string());
    }
    let unread: Vec<_> = TABLE
        .iter()
        .map(|metric| metric.name)
        .filter(|name| {
            // Another metric's name may begin with this one.
            !read.match_indices(name).any(|(at, _)| {
                let rest = &read[at + name.len()..];
                let suffixes = ["_bucket", "_sum", "_count", ""];
                suffixes
                    .iter()
                    .filter_map(|suffix| rest.strip_prefix(suffix))
                    .any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
            })
        })
        .collect();
    assert!(unread.is_empty(), "nobody looks at {unread:?}");
}

#[test]
fn every_alert_says_what_to_do_and_is_tested_firing_and_silent() {
    let runbook = std::fs::read_to_string(folder().join("../docs/runbook.md")).unwrap();
    let sections: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let tests = std::fs::read_to_string(folder().join("rules_test.yml")).unwrap();
    let mut alerts = BTreeSet::new();
    for rule in rules() {
        let Some(alert) = rule.alert else { continue };
        assert!(
            !rule.summary.is_empty() && !rule.description.is_empty(),
            "{alert}"
        );
        assert!(
            sections.contains(&*alert),
            "docs/runbook.md has no section {alert}"
        );
        let url = format!("docs/runbook.md#{}", alert.to_lowercase());
        assert_eq!(rule.runbook_url, url);
        let after: Vec<_> = tests
            .split(&format!("alertname: {alert}\n"))
            .skip(1)
            .map(|rest| rest.trim_start())
            .collect();
        assert!(
            after.iter().any(|rest| rest.starts_with("exp_alerts: []")),
            "{alert} is never expected to be silent"
        );
        assert!(
            after.iter().any(|rest| rest.starts_with("exp_alerts:\n")),
            "{alert} is never expected to fire"
        );
        assert!(alerts.insert(alert));
    }
    let alerts: BTreeSet<_> = alerts.iter().map(String::as_str).collect();
    assert_eq!(sections, alerts, "sections of the runbook and alerts");
}

#[test]
fn the_dashboards_are_what_their_generator_writes() {
    let output = Command::new(folder().join("../scripts/make-dashboards"))
        .arg("--check")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn there_are_four_dashboards_with_an_identity_of_their_own() {
    let uids: BTreeSet<_> = dashboards()
        .iter()
        .map(|(_, dashboard)| dashboard["uid"].as_str().unwrap().to_owned())
        .collect();
    let wanted = [
        "comove-learner",
        "comove-overview",
        "comove-process",
        "comove-stream",
    ];
    assert_eq!(uids, wanted.map(str::to_owned).into());
    for (name, dashboard) in dashboards() {
        for absent in ["__inputs", "__requires", "id"] {
            assert!(dashboard.get(absent).is_none(), "{name}: {absent}");
        }
        assert_eq!(name, format!("{}.json", dashboard["uid"].as_str().unwrap()));
        let marks: Vec<_> = annotations(&dashboard)
            .iter()
            .map(|annotation| annotation["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            marks,
            ["Checkpoints", "Program starts", "Stream restarts"],
            "{name}"
        );
    }
}

#[test]
fn panels_have_their_own_id_and_place_and_say_what_they_show() {
    for (name, dashboard) in dashboards() {
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            let at = format!("{name}, {title}");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{at}: the id is taken");
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let (x, y, w, h) = (place("x"), place("y"), place("w"), place("h"));
            assert!(w > 0 && h > 0 && x + w <= 24, "{at}: outside the 24 columns");
            for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (column, row))) {
                assert!(taken.insert(cell), "{at}: on top of another panel");
            }
            if panel["type"] == "row" {
                titles.clear();
                continue;
            }
            assert!(titles.insert(title), "{at}: two panels of a row have this title");
            let said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            let mut letters = BTreeSet::new();
            for target in targets(panel) {
                assert!(letters.insert(target["refId"].as_str().unwrap()), "{at}: refId");
                assert!(said(&target["legendFormat"]), "{at}: no legend");
            }
        }
    }
}

#[test]
fn compose_mounts_files_that_are_here_and_starts_the_grafana_that_the_dashboards_are_checked_against() {
    let root = folder().join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let compose = read("compose.yaml");
    let mounts: Vec<_> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ./")?.split_once(':'))
        .collect();
    assert!(mounts.len() >= 5, "{mounts:?}");
    for (here, _) in &mounts {
        assert!(root.join(here).exists(), "{here} is mounted and missing");
    }
    // What is named inside the containers is something that is mounted there.
    let mounted = |inside: &str| {
        mounts.iter().any(|(here, there)| {
            let there = there.trim_end_matches(":ro");
            let rest = inside.strip_prefix(there);
            rest.is_some_and(|rest| root.join(here).join(rest.trim_start_matches('/')).exists())
        })
    };
    let home = compose.split("HOME_DASHBOARD_PATH: ").nth(1).unwrap();
    assert!(mounted(home.lines().next().unwrap()), "the home dashboard");
    let provider = read("grafana/provisioning/dashboards/comove.yml");
    let path = provider.split("path: ").nth(1).unwrap();
    assert!(mounted(path.lines().next().unwrap()), "the dashboards' folder");
    let rules = mounts.iter().find(|(here, _)| *here == "grafana/rules.yml");
    assert_eq!(rules.unwrap().1, "/etc/prometheus/rules.yml:ro");
    assert!(read("grafana/prometheus.yml").contains("\n  - rules.yml\n"));
    for (service, port) in [("comove", 9464), ("prometheus", 9090)] {
        assert!(compose.contains(&format!("\n  {service}:\n")), "{service}");
        let named = read("grafana/prometheus.yml") + &read("grafana/provisioning/datasources/prometheus.yml");
        assert!(named.contains(&format!("{service}:{port}")), "{service}");
    }
    let schema = read("scripts/check-dashboards");
    let version = schema.split("SCHEMA=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(
        compose.contains(&format!("grafana/grafana:{version}\n")),
        "{version}"
    );
}

/// Runs promtool, with `input` on its standard input; `None` where it is not installed.
fn promtool(arguments: &[&str], input: &str) -> Option<std::process::Output> {
    let spawned = Command::new("promtool")
        .args(arguments)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "promtool: {error}");
            eprintln!("left out: promtool is not installed (package prometheus)");
            return None;
        }
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn promtool_accepts_config_and_rules_and_their_tests() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ] {
        if let Some(output) = promtool(&arguments, "") {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics_page() {
    let registry = Registry::new(SystemTime::now());
    let ledger = Ledger::new();
    drop(ledger.receive(100));
    let name = StreamName::new("gate").unwrap();
    let config = ReplayConfig::default();
    let disk = tempfile::tempdir().unwrap();
    let spill = SpillConfig::default();
    let spill = SpillFolder::open(disk.path(), &spill, &Preset::Micro.sample_spec()).unwrap();
    let replay = Replay::with_spill(&config, 8, ChaCha8Rng::seed_from_u64(0), spill).unwrap();
    let mut scout = ScoutSnapshot::default();
    scout.errors.insert("corrupt", 1);

    registry.collect_with(move |page| {
        collect_ledger(page, &name, &ledger.snapshot());
        collect_scout(page, &name, &scout);
        let source = SourceCounts {
            restarts: [("failed", 1)].into(),
            passes: 1,
            segments: 2,
            ..SourceCounts::default()
        };
        collect_stream(page, &name, StreamState::Running, &source);
        collect_byte_budget(page, &ByteBudget::new(1000));
        collect_decode(page, &DecodeSnapshot::default());
        collect_replay(page, &replay.snapshot());
        collect_memory(page, &MemoryByOwner::default());
    });
    let checkpoint = CheckpointMetrics::new(&registry);
    checkpoint.written(10, 1000, Duration::from_millis(300), SystemTime::now());
    let train = TrainMetrics::new(&registry, 0);
    train.stepped(0.1, Some(&PhaseSeconds::default()));
    train.report(&a_report(), SystemTime::now());
    let probe = ProbeMetrics::new(&registry, 9);
    let figures = HeldFigures {
        protocol: Protocol::LeaveOneOut,
        queries: 9,
        accuracy: 0.5,
        chance: 0.25,
    };
    probe.judged(10, &figures, Duration::from_secs(1), Duration::from_millis(1));
    let page = registry.render();
    // An empty replay has no oldest and no newest sample, and nothing alike.
    let absent = [
        "comove_replay_oldest_arrival_timestamp_seconds",
        "comove_replay_newest_arrival_timestamp_seconds",
        "comove_replay_redundancy_ratio",
    ];
    for metric in TABLE.iter().filter(|metric| !absent.contains(&metric.name)) {
        let header = format!("# TYPE {} {}\n", metric.name, metric.kind.name());
        assert!(page.contains(&header), "{} is on no page", metric.name);
    }
    for line in page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = line.split([' ', '{']).next().unwrap();
        assert!(metric_of(name).is_some(), "{name} is not in the table");
    }
    assert!(
        !page.contains(" summary\n"),
        "a histogram without buckets: {page}"
    );
    if let Some(output) = promtool(&["check", "metrics"], &page) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}

fn a_report() -> StepReport {
    let report = r#"{"step": 10, "samples": 80, "loss": 2, "context_loss": 1.5, "motion_loss": 2.5, "context_top1": 0.5,
        "motion_top1": 0.1, "context_chance": 0.1, "motion_chance": 0.01, "context_queries": 8, "motion_queries": 100,
        "embedding_std": 0.9, "effective_rank": 30, "samples_per_second": 20, "data_wait_seconds": 1, "step_seconds": 0.3,
        "learning_rate": 0.1, "grad_norm": 3, "nonfinite_steps": 0}"#;
    serde_json::from_str(report).unwrap()
}
