//! Decoding speed of small streams, to notice when it falls: `cargo bench --bench motion`. Criterion compares with the run
//! before (`-- --save-baseline NAME`, `-- --baseline NAME`).
//!
//! The vectors of this repository are CAVLC; of the golden set (COMOVE_SHARED, default `../shared`), where it is there, CABAC
//! streams are taken too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use comove::h264::MotionDecoder;
use comove::h264::annexb::access_units;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What each is for: its name among the vectors or in the golden set.
const VECTORS: [&str; 4] = ["r01_p_frames", "r03_b_frames", "r07_paff", "r11_mbaff_320x192"];
const GOLDEN: [(&str, &str); 4] = [
    ("cabac_i_p_b", "jvt/HCAFR1_HHI.264"),
    ("cabac_mbaff", "jvt/HCAMFF1_HHI.264"),
    ("cabac_intra", "jvt/CABAST3_Sony_E.jsv"),
    ("cavlc_8x8", "jvt/FRExt1_Panasonic.avc"),
];

fn shared() -> PathBuf {
    std::env::var_os("COMOVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    )
}

fn streams() -> Vec<(String, Vec<u8>)> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let own = VECTORS.map(|name| (name.to_owned(), vectors.join(format!("{name}.264"))));
    let golden = GOLDEN.map(|(name, file)| (name.to_owned(), shared().join("h264/streams").join(file)));
    let all = own.into_iter().chain(golden);
    all.filter_map(|(name, path)| Some((name, std::fs::read(path).ok()?)))
        .collect()
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("motion");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for (name, bytes) in streams() {
        let units = access_units(&bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut decoder = MotionDecoder::new();
                let mut macroblocks = 0;
                for unit in &units {
                    // Streams of the golden set are sound.
                    let _ = decoder.decode(unit, &mut |field| macroblocks += field.macroblocks());
                }
                macroblocks
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
