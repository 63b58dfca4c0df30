//! Streams made for comove with golden motion from independent decoders: every line equal in every column.

mod golden;

use std::path::Path;

#[test]
fn every_vector_is_exact() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut streams = 0;
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(&directory).expect("tests/vectors can be read") {
        let path = entry.expect("its entries too").path();
        if path.extension().is_none_or(|e| e != "264") {
            continue;
        }
        let stream = std::fs::read(&path).expect("the stream can be read");
        let lines = std::fs::read_to_string(path.with_extension("motion.tsv")).expect("its golden lines too");
        let comparison = golden::compare(&stream, &lines);
        assert_eq!(comparison.untrusted, 0, "{}", path.display());
        assert!(
            comparison.exact > 0 || !comparison.differences.is_empty(),
            "{} is empty",
            path.display()
        );
        failures.extend(
            comparison
                .differences
                .iter()
                .map(|d| format!("{}: {d}", path.display())),
        );
        streams += 1;
    }
    assert!(streams >= 12, "only {streams} vectors found");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
