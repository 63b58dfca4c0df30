//! The rules of Grafana's dashboard-linter (github.com/grafana/dashboard-linter, docs/rules), one test a rule or two.

#![allow(clippy::unwrap_used)]

mod dashboards;

use dashboards::{annotations, dashboards, label_values, panels, targets, variables};
use promql_parser::parser::{Expr, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

/// Units that Grafana knows, of those used here.
const UNITS: &[&str] = &[
    "none",
    "short",
    "percentunit",
    "bytes",
    "bps",
    "cps",
    "cpm",
    "s",
    "sci",
];

/// Every query of every panel, with a name for messages.
fn queries() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in targets(panel) {
                let at = format!("{name}, {}, {}", panel["title"], target["refId"]);
                all.push((at, target["expr"].as_str().unwrap().to_owned()));
            }
        }
    }
    assert!(all.len() > 100, "{} queries", all.len());
    all
}

/// What Grafana puts in for its own variable, as a duration that nothing else uses.
fn parsed(expr: &str) -> Result<Expr, String> {
    parse(&expr.replace("$__rate_interval", "7m13s"))
}

/// Collects what the linter's rules for queries object to.
#[derive(Default)]
struct Linter {
    faults: Vec<String>,
}

impl Linter {
    fn selector(&mut self, matchers: &promql_parser::label::Matchers, name: &str) {
        for (label, value) in [("job", "$job"), ("instance", "$instance")] {
            let has = matchers.matchers.iter().any(|matcher| {
                matcher.name == label && matcher.value == value && matcher.op.to_string().starts_with("=~")
            });
            if !has {
                self.faults
                    .push(format!("{name}: no {label}=~\"{value}\" (target-{label}-rule)"));
            }
        }
    }
}

impl ExprVisitor for Linter {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        match expr {
            Expr::Call(call) => {
                for argument in &call.args.args {
                    let Expr::MatrixSelector(matrix) = &**argument else {
                        continue;
                    };
                    let is_rate = ["rate", "irate"].contains(&call.func.name);
                    if is_rate && matrix.range.as_secs() != 7 * 60 + 13 {
                        self.faults
                            .push("rate without $__rate_interval (target-rate-interval-rule)".to_owned());
                    }
                }
            }
            Expr::VectorSelector(selector) => {
                let name = selector.name.clone().unwrap_or_default();
                if name.ends_with("_total") {
                    self.faults.push(format!(
                        "{name} without rate or increase (target-counter-agg-rule)"
                    ));
                }
                self.selector(&selector.matchers, &name);
            }
            Expr::MatrixSelector(matrix) => {
                let name = matrix.vs.name.clone().unwrap_or_default();
                self.selector(&matrix.vs.matchers, &name);
            }
            _ => {}
        }
        Ok(true)
    }
}

fn lint(expr: &str) -> Vec<String> {
    let mut linter = Linter::default();
    match parsed(expr) {
        Ok(parsed) => walk_expr(&mut linter, &parsed).map(drop).unwrap(),
        Err(error) => linter.faults.push(format!("{error} (target-promql-rule)")),
    }
    linter.faults
}

#[test]
fn the_linter_here_notices_what_it_must() {
    let run = r#"job=~"$job", instance=~"$instance""#;
    assert!(lint(&format!("sum(rate(a_total{{{run}}}[$__rate_interval]))")).is_empty());
    assert!(lint(&format!("increase(a_total{{{run}}}[1h])")).is_empty());
    for (wrong, rule) in [
        (format!("rate(a_total{{{run}}}[5m])"), "target-rate-interval-rule"),
        (format!("sum(a_total{{{run}}})"), "target-counter-agg-rule"),
        (r#"b{job=~"$job"}"#.to_owned(), "target-instance-rule"),
        (r#"b{instance=~"$instance"}"#.to_owned(), "target-job-rule"),
        (format!("sum(b{{{run}}}"), "target-promql-rule"),
    ] {
        let faults = lint(&wrong);
        assert!(
            faults.len() == 1 && faults[0].contains(rule),
            "{wrong}: {faults:?}"
        );
    }
}

#[test]
fn queries_are_promql_with_job_and_instance_and_rates_over_the_rate_interval() {
    for (at, expr) in queries() {
        let faults = lint(&expr);
        assert!(faults.is_empty(), "{at}: {expr}: {faults:?}");
    }
    for (name, dashboard) in dashboards() {
        for annotation in annotations(&dashboard) {
            let faults = lint(annotation["expr"].as_str().unwrap());
            assert!(faults.is_empty(), "{name}, {}: {faults:?}", annotation["name"]);
        }
    }
}

#[test]
fn the_data_source_is_a_variable_and_everything_uses_it() {
    let is_variable = |source: &Value| source["type"] == "prometheus" && source["uid"] == "${datasource}";
    for (name, dashboard) in dashboards() {
        let sources: Vec<_> = variables(&dashboard)
            .iter()
            .filter(|variable| variable["type"] == "datasource")
            .collect();
        assert_eq!(sources.len(), 1, "{name}: template-datasource-rule");
        assert_eq!(sources[0]["name"], "datasource", "{name}");
        assert_eq!(sources[0]["label"], "Data source", "{name}");
        assert_eq!(sources[0]["query"], "prometheus", "{name}");
        for panel in panels(&dashboard) {
            let at = format!("{name}, {}", panel["title"]);
            assert!(is_variable(&panel["datasource"]), "{at}: panel-datasource-rule");
            assert!(
                targets(panel)
                    .iter()
                    .all(|target| is_variable(&target["datasource"])),
                "{at}"
            );
        }
        let annotations = annotations(&dashboard).iter();
        assert!(
            annotations.map(|mark| &mark["datasource"]).all(is_variable),
            "{name}"
        );
    }
}

#[test]
fn job_and_instance_are_variables_of_several_values_that_follow_the_time_range() {
    for (name, dashboard) in dashboards() {
        for (wanted, label) in [("job", "Job"), ("instance", "Instance")] {
            let variable = variables(&dashboard)
                .iter()
                .find(|variable| variable["name"] == wanted)
                .unwrap_or_else(|| panic!("{name}: template-{wanted}-rule"));
            let at = format!("{name}, {wanted}");
            assert_eq!(variable["type"], "query", "{at}");
            assert_eq!(variable["label"], label, "{at}");
            assert_eq!(variable["multi"], true, "{at}");
            assert_eq!(variable["allValue"], ".+", "{at}");
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{at}");
        }
        for variable in variables(&dashboard) {
            let at = format!("{name}, {}", variable["name"]);
            if variable["type"] != "query" {
                continue;
            }
            assert_eq!(
                variable["refresh"], 2,
                "{at}: template-on-time-change-reload-rule"
            );
            let (selector, label) =
                label_values(variable).unwrap_or_else(|| panic!("{at}: template-label-promql-rule"));
            parsed(selector).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(variable["name"], label, "{at}");
        }
    }
}

#[test]
fn panels_have_title_description_a_known_unit_and_queries() {
    let said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    for (name, dashboard) in dashboards() {
        assert_eq!(dashboard["editable"], false, "{name}: uneditable-dashboard");
        for panel in panels(&dashboard) {
            let at = format!("{name}, {}", panel["title"]);
            assert!(said(&panel["title"]), "{at}: panel-title-description-rule");
            assert!(said(&panel["description"]), "{at}: panel-title-description-rule");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or("");
            assert!(UNITS.contains(&unit), "{at}: panel-units-rule: {unit:?}");
            assert!(!targets(panel).is_empty(), "{at}: panel-no-targets-rule");
        }
    }
}
