//! What a part of replay on disk costs: `cargo run --release --example spill_latency -- FOLDER`.
//!
//! Fills a replay of micro samples with and without room on disk, and prints how long inserting a sample and drawing a batch
//! take: from memory, from disk with its pages cached, and after they were dropped (`dd oflag=nocache`). FOLDER should be empty.

#[path = "random_sample/mod.rs"]
mod random_sample;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytesize::ByteSize;
use comove::ingest::StreamName;
use comove::model::Preset;
use comove::replay::{EvictionKind, Replay, ReplayConfig, SpillConfig, SpillFolder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use random_sample::sample;

/// Samples in a batch.
const BATCH: usize = 8;
/// Samples inserted.
const SAMPLES: u64 = 3000;
/// Batches drawn each way.
const DRAWS: usize = 400;
/// Batches between two drops of the page cache.
const DRAWS_A_DROP: usize = 10;

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{what}: median {:.2} ms, 99 of 100 below {:.2} ms",
        at(50),
        at(99)
    );
}

fn insert(replay: &Replay, what: &str) -> anyhow::Result<()> {
    let stream = StreamName::new("noise").context("a name")?;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut took = Vec::new();
    for number in 0..SAMPLES {
        let sample = sample(&mut random, number, &stream);
        let began = Instant::now();
        replay.insert_blocking(sample)?;
        took.push(began.elapsed());
    }
    told(what, took);
    Ok(())
}

fn draw(
    replay: &Replay,
    what: &str,
    mut before: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for number in 0..DRAWS {
        before(number)?;
        let began = Instant::now();
        replay.sample_batch(BATCH, Duration::ZERO)?;
        took.push(began.elapsed());
    }
    told(what, took);
    Ok(())
}

fn drop_pages(folder: &Path) -> anyhow::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let dropped = Command::new("dd")
            .arg(format!("of={}", path.display()))
            .args(["oflag=nocache", "conv=notrunc,fdatasync", "count=0"])
            .stderr(Stdio::null())
            .status()?;
        anyhow::ensure!(dropped.success(), "dd could not drop {}", path.display());
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("spill_latency FOLDER")?;
    let folder = Path::new(&folder);
    let spill = SpillConfig {
        capacity: ByteSize::gib(2),
        ..SpillConfig::default()
    };
    let config = |capacity| ReplayConfig {
        capacity,
        eviction: EvictionKind::Fifo,
        fresh_share: 0.0,
        min_samples: 1,
        tolerance: Some(1e12),
        ..ReplayConfig::default()
    };
    let rng = || ChaCha8Rng::seed_from_u64(1);
    let in_memory = Replay::new(&config(ByteSize::gib(2)), BATCH, rng())?;
    insert(&in_memory, "insert, memory only")?;
    draw(&in_memory, "batch of 8, from memory", |_| Ok(()))?;
    drop(in_memory);

    let files = SpillFolder::open(folder, &spill, &Preset::Micro.sample_spec())?;
    let on_disk = Arc::new(Replay::with_spill(
        &config(ByteSize::mib(128)),
        BATCH,
        rng(),
        files,
    )?);
    let writer = thread::spawn({
        let replay = on_disk.clone();
        move || replay.keep_spilling()
    });
    insert(&on_disk, "insert, disk beside 128 MiB of memory")?;
    let share = |replay: &Replay| {
        let now = replay.snapshot();
        let spilled = now.spill.map_or(0, |spill| spill.samples);
        format!("{spilled} of {} samples on disk", now.samples)
    };
    println!("{}", share(&on_disk));
    draw(&on_disk, "batch of 8, pages cached", |_| Ok(()))?;
    draw(&on_disk, "batch of 8, pages dropped", |number| {
        match number % DRAWS_A_DROP {
            0 => drop_pages(folder),
            _ => Ok(()),
        }
    })?;
    println!("lost: {:?}", on_disk.snapshot().spill.map(|spill| spill.lost));
    on_disk.close();
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))
}
