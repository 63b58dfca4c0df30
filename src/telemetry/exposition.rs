use std::fmt::Write;

use super::table::{Kind, Metric, TABLE};

/// Series written at scrape time from snapshots, in Prometheus' text format, grouped by family in the table's order.
///
/// A snapshot that is consistent in itself stays so on the page, which separate handles could not promise: a stream's
/// access units add up in every scrape.
#[derive(Debug)]
pub struct Exposition {
    /// Lines of each family, at its place in the table.
    families: Vec<String>,
}

impl Default for Exposition {
    fn default() -> Self {
        Self {
            families: vec![String::new(); TABLE.len()],
        }
    }
}

impl Exposition {
    /// Adds a value. `labels` are the values of `metric.labels`, in that order.
    ///
    /// # Panics
    /// When the number of labels is not the metric's or the metric is a histogram or not in the table: a defect in comove.
    pub fn put(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        assert!(
            !matches!(metric.kind, Kind::Histogram(_)),
            "{} has buckets",
            metric.name
        );
        let labels: Vec<_> = metric
            .labels
            .iter()
            .copied()
            .zip(labels.iter().copied())
            .collect();
        self.line(metric, "", &labels, value);
    }

    /// Adds a histogram: `counts` by bucket, the last one above every bound, not added up; `sum` of all values.
    ///
    /// # Panics
    /// When the number of labels or of buckets is not the metric's, or it is no histogram: a defect in comove.
    pub fn put_histogram(&mut self, metric: &Metric, labels: &[&str], counts: &[u64], sum: f64) {
        assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let Kind::Histogram(bounds) = metric.kind else {
            panic!("{} has no buckets", metric.name);
        };
        assert_eq!(bounds.len() + 1, counts.len(), "buckets of {}", metric.name);
        let labels: Vec<_> = metric
            .labels
            .iter()
            .copied()
            .zip(labels.iter().copied())
            .collect();
        let mut so_far = 0;
        for (count, bound) in counts.iter().zip(bounds.iter().copied().chain([f64::INFINITY])) {
            so_far += count;
            let bound = spelled(bound);
            let mut labels = labels.clone();
            labels.push(("le", &bound));
            self.line(metric, "_bucket", &labels, so_far as f64);
        }
        self.line(metric, "_sum", &labels, sum);
        self.line(metric, "_count", &labels, so_far as f64);
    }

    fn line(&mut self, metric: &Metric, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let place = TABLE.iter().position(|known| known.name == metric.name);
        let Some(family) = place.and_then(|place| self.families.get_mut(place)) else {
            panic!("{} is not in the table", metric.name);
        };
        family.push_str(metric.name);
        family.push_str(suffix);
        for (i, (name, value)) in labels.iter().enumerate() {
            family.push(if i == 0 { '{' } else { ',' });
            family.push_str(name);
            family.push_str("=\"");
            escape(value, family);
            family.push('"');
        }
        if !labels.is_empty() {
            family.push('}');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(family, " {}", spelled(value));
    }

    /// The text, each family under its HELP and TYPE.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (metric, lines) in TABLE.iter().zip(&self.families) {
            if lines.is_empty() {
                continue;
            }
            let _ = writeln!(text, "# HELP {} {}", metric.name, metric.help);
            let _ = writeln!(text, "# TYPE {} {}", metric.name, metric.kind.name());
            text.push_str(lines);
            text.push('\n');
        }
        text
    }
}

/// `{}` of f64 gives the shortest text that reads back as the same number; infinities need Prometheus' spelling.
fn spelled(value: f64) -> String {
    match value {
        v if v == f64::INFINITY => "+Inf".to_owned(),
        v if v == f64::NEG_INFINITY => "-Inf".to_owned(),
        v => v.to_string(),
    }
}

fn escape(value: &str, into: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::table;

    #[test]
    fn families_stand_together_however_they_were_added() {
        let mut page = Exposition::default();
        for stream in ["a", "b"] {
            page.put(&table::ACCESS_UNITS_BUFFERED, &[stream], 2.0);
            page.put(&table::ACCESS_UNITS_RECEIVED, &[stream], 3.5);
        }
        let text = page.render();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "comove_access_units_received_total{stream=\"a\"} 3.5",
                "comove_access_units_received_total{stream=\"b\"} 3.5",
                "",
                "comove_access_units_buffered{stream=\"a\"} 2",
                "comove_access_units_buffered{stream=\"b\"} 2",
                "",
            ]
        );
        assert_eq!(text.matches("# TYPE").count(), 2);
    }

    #[test]
    fn a_histogram_is_written_with_added_up_buckets() {
        let mut page = Exposition::default();
        let Kind::Histogram(bounds) = table::DECODE_JOB_SECONDS.kind else {
            panic!("no buckets");
        };
        let mut counts = vec![0; bounds.len() + 1];
        counts[0] = 2;
        counts[bounds.len()] = 1;
        page.put_histogram(&table::DECODE_JOB_SECONDS, &[], &counts, 70.5);
        let text = page.render();
        let name = table::DECODE_JOB_SECONDS.name;
        for line in [
            format!("# TYPE {name} histogram"),
            format!("{name}_bucket{{le=\"{}\"}} 2", bounds[1]),
            format!("{name}_bucket{{le=\"+Inf\"}} 3"),
            format!("{name}_sum 70.5"),
            format!("{name}_count 3"),
        ] {
            assert!(
                text.lines().any(|have| have == line),
                "{line} is missing in {text}"
            );
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut page = Exposition::default();
        page.put(&table::BUILD_INFO, &["a\"b\\c\nd"], f64::INFINITY);
        assert!(page.render().contains(r#"{version="a\"b\\c\nd"} +Inf"#));
    }

    #[test]
    #[should_panic(expected = "labels of comove_train_step")]
    fn a_label_too_many_is_a_defect() {
        Exposition::default().put(&table::TRAIN_STEP, &["x"], 1.0);
    }
}
