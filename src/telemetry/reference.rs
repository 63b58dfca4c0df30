use std::fmt::Write;

use super::table::{Kind, TABLE, Unit};

/// docs/metrics.md: the table for readers.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` serves these in Prometheus' text format. This page is written from the table in\n\
         `src/telemetry/table.rs`; a test proves that it is current and, with `COMOVE_WRITE=1`, writes it.\n\n\
         Per stream and at every scrape: received = settled (all fates and reasons) + buffered.\n\n\
         | name | kind | unit | labels | meaning |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut buckets = String::new();
    for metric in TABLE {
        let unit = match metric.unit {
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            Unit::Seconds => "seconds",
            Unit::Ratio => "ratio",
            Unit::Plain => "",
        };
        let labels = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect::<Vec<_>>();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {unit} | {} | {} |",
            metric.name,
            metric.kind.name(),
            labels.join(", "),
            metric.help
        );
        if let Kind::Histogram(bounds) = metric.kind {
            let bounds = bounds.iter().map(f64::to_string).collect::<Vec<_>>();
            let _ = writeln!(buckets, "- `{}`: {}, +Inf", metric.name, bounds.join(", "));
        }
    }
    page.push_str("\nUpper bounds of the buckets:\n\n");
    page.push_str(&buckets);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("COMOVE_WRITE").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == reference(),
            "docs/metrics.md is not what the table says; run this test with COMOVE_WRITE=1"
        );
    }
}
