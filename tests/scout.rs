//! The scout on whole streams: real videos, damage, overload, and its ends.

#![allow(clippy::unwrap_used, reason = "test code")]

mod numbered;
mod scouting;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use comove::decode::{DecodeConfig, DecodePool};
use comove::ingest::{AccessUnit, DropReason, Fate, Ledger, SkipReason};
use comove::replay::{Replay, ReplayConfig};
use comove::window::{Pace, ScoutEnd};
use numbered::{Recipe, encode, number_of};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scouting::{SPEC, Scouted, roomy_replay, samples, stored, units};

fn check_account(ledger: &Ledger) {
    let account = ledger.snapshot();
    assert!(account.closes(), "{account:?}");
    assert_eq!(account.buffered, 0, "{account:?}");
    assert_eq!(
        account.settled(Fate::Dropped(DropReason::Unsettled)),
        0,
        "{account:?}"
    );
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("COMOVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if folder.join("video").is_dir() {
        return Some(folder);
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "{} is missing",
        folder.display()
    );
    eprintln!("left out: {} is missing; set COMOVE_SHARED", folder.display());
    None
}

/// Some 200 frames with B pictures and a key frame every 40.
fn numbered_video(folder: &Path) -> PathBuf {
    let path = folder.join("x.mp4");
    encode(
        &Recipe {
            frames: 200,
            speed: |number| (number % 5) as i64 - 2,
            pts_ms: |number| 40 * number,
            x264: "pass=quant quantizer=20 bframes=2 key-int-max=40 option-string=scenecut=0",
            tail: "mp4mux",
        },
        &path,
    );
    path
}

fn pool() -> DecodePool {
    DecodePool::start(&DecodeConfig::default()).unwrap()
}

#[test]
fn real_videos_give_samples_without_a_failed_window() {
    let Some(shared) = shared() else { return };
    for (name, least) in [
        ("fights/fight/fi001.mp4", 4),
        ("fights/fight/fi012.mp4", 5),
        ("fights/fight/fi086.mp4", 1),
        ("fights/fight/fi077.mp4", 5),
        ("mixed/testsrc2.mp4", 1),
        ("mixed/test.mp4", 5),
        ("mixed/h264_10bits.mp4", 1),
        ("mixed/nasa_13013.mp4", 5),
    ] {
        let (samples, ledger, scout) = samples(&shared.join("video").join(name));
        check_account(&ledger);
        assert_eq!(scout.plans_failed, 0, "{name}: {scout:?}");
        assert!(scout.errors.is_empty(), "{name}: {scout:?}");
        assert!(
            samples.len() >= least,
            "{name}: {} samples, {scout:?}",
            samples.len()
        );
    }
}

/// Fields of a frame come in one access unit or in two; both are one picture.
#[test]
fn field_pairs_are_one_picture() {
    let Some(shared) = shared() else { return };
    for (name, frames) in [
        ("j28_poc1_field", 20),
        ("j33_hier_reorder_mmco_field", 25),
        ("j15_paff_mbaff_cavlc_b_temporal", 20),
    ] {
        let (samples, ledger, scout) = samples(&shared.join("h264/streams/made").join(format!("{name}.264")));
        check_account(&ledger);
        let chooser = scout.chooser;
        let pictures = chooser.i_pictures + chooser.p_pictures + chooser.b_pictures;
        assert_eq!((pictures, chooser.out_of_order), (frames, 0), "{name}: {scout:?}");
        assert_eq!(scout.plans_failed, 0, "{name}: {scout:?}");
        assert!(!samples.is_empty(), "{name}: {scout:?}");
    }
}

#[test]
fn nothing_spans_a_damaged_unit_and_the_account_tells_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = numbered_video(folder.path());
    let (replay, pool) = (roomy_replay(), pool());
    let scouted = Scouted::start(&pool, &replay, Pace::File);
    for mut unit in units(&path) {
        if unit.index == 90 {
            // Cut off in the middle of its slice.
            unit.data = unit.data.slice(..unit.data.len() * 2 / 3);
        }
        scouted.send(unit);
    }
    let (ledger, scout) = scouted.finish();
    pool.close();
    check_account(&ledger);
    let account = ledger.snapshot();
    assert_eq!(account.settled(Fate::Dropped(DropReason::CorruptBitstream)), 1);
    // The rest of its GOP, of 40 pictures.
    assert_eq!(account.settled(Fate::Skipped(SkipReason::BeforeKeyFrame)), 29);
    assert_eq!(scout.errors.values().sum::<u64>(), 1, "{scout:?}");
    assert!(scout.last_error.unwrap().contains("access unit 90"));
    let samples = stored(&replay);
    assert!(samples.len() >= 10);
    let number = |pixels: &[u8]| {
        number_of(
            pixels,
            SPEC.frame_size.width as usize,
            SPEC.frame_size.height as usize,
        )
    };
    for sample in samples {
        let first = number(&sample.clip);
        let last = first + 18;
        assert!(last < 92 || first >= 120, "frames {first} to {last}");
    }
}

#[test]
fn bytes_that_are_no_video_give_no_sample_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = numbered_video(folder.path());
    let (replay, pool) = (roomy_replay(), pool());
    let scouted = Scouted::start(&pool, &replay, Pace::File);
    for mut unit in units(&path) {
        unit.data = Bytes::from(vec![(unit.index * 37) as u8; unit.data.len()]);
        scouted.send(unit);
    }
    let (ledger, scout) = scouted.finish();
    pool.close();
    check_account(&ledger);
    assert_eq!(scout.units, ledger.snapshot().received);
    assert!(scout.errors.values().sum::<u64>() > 0, "{scout:?}");
    assert_eq!(replay.snapshot().samples, 0);
}

#[test]
fn a_live_stream_sheds_windows_while_training_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = numbered_video(folder.path());
    let config = ReplayConfig {
        samples_per_insert: 1.0,
        min_samples: 2,
        ..ReplayConfig::default()
    };
    let replay = Arc::new(Replay::new(&config, 2, ChaCha8Rng::seed_from_u64(1)).unwrap());
    let pool = pool();
    let scouted = Scouted::start(&pool, &replay, Pace::Live);
    for unit in units(&path) {
        scouted.send(unit);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let (ledger, scout) = scouted.finish();
    pool.close();
    check_account(&ledger);
    assert!(!replay.wants_samples());
    assert!(scout.chooser.shed_windows > 5, "{scout:?}");
    let account = ledger.snapshot();
    assert!(
        account.settled(Fate::Dropped(DropReason::ReplayFull)) > 40,
        "{account:?}"
    );
    assert!(account.settled(Fate::Used) > 20, "{account:?}");
}

#[test]
fn a_live_stream_sheds_windows_while_decoders_are_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = numbered_video(folder.path());
    let (replay, pool) = (roomy_replay(), pool());
    let scouted = Scouted::start(&pool, &replay, Pace::Live);
    // As fast as the scout reads: faster than anything decodes.
    units(&path)
        .collect::<Vec<AccessUnit>>()
        .into_iter()
        .for_each(|unit| scouted.send(unit));
    let (ledger, scout) = scouted.finish();
    pool.close();
    check_account(&ledger);
    assert!(scout.decoders_busy > 0, "{scout:?}");
    assert_eq!(scout.in_flight, 0);
    assert_eq!(scout.samples + scout.decoders_busy, scout.chooser.windows);
    let account = ledger.snapshot();
    assert!(
        account.settled(Fate::Dropped(DropReason::DecodersBusy)) > 0,
        "{account:?}"
    );
}

#[test]
fn closing_replay_frees_a_file_that_waits_and_its_units_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = numbered_video(folder.path());
    let config = ReplayConfig {
        samples_per_insert: 1.0,
        min_samples: 2,
        ..ReplayConfig::default()
    };
    let replay = Arc::new(Replay::new(&config, 2, ChaCha8Rng::seed_from_u64(1)).unwrap());
    let pool = pool();
    let scouted = Scouted::start(&pool, &replay, Pace::File);
    let closer = std::thread::spawn({
        let replay = replay.clone();
        move || {
            while replay.wants_samples() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            // The file waits now, or soon.
            std::thread::sleep(std::time::Duration::from_millis(50));
            replay.close();
        }
    });
    units(&path).for_each(|unit| scouted.send(unit));
    let (ledger, _) = scouted.finish();
    closer.join().unwrap();
    pool.close();
    check_account(&ledger);
    let account = ledger.snapshot();
    assert!(
        account.settled(Fate::Dropped(DropReason::Stopping)) > 0,
        "{account:?}"
    );
    assert!(account.settled(Fate::Used) > 0, "{account:?}");
}

#[test]
fn a_scout_that_panics_says_so_and_its_units_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    let path = numbered_video(folder.path());
    let (replay, pool) = (roomy_replay(), pool());
    let calls = std::sync::atomic::AtomicU64::new(0);
    let scouted = Scouted::with_clock(&pool, &replay, Pace::File, move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(call < 100, "the clock stopped");
        call
    });
    // The channel closes with the scout, in the middle of the video.
    for mut unit in units(&path) {
        unit.receipt = scouted.ledger.receive(unit.data.len());
        if let Err(unsent) = scouted.items.send(comove::ingest::IngestItem::Unit(unit)) {
            if let comove::ingest::IngestItem::Unit(unit) = unsent.0 {
                unit.receipt.settle(Fate::Dropped(DropReason::Stopping));
            }
            break;
        }
    }
    drop(scouted.items);
    let end = scouted.scout.thread.join().unwrap();
    assert_eq!(end, ScoutEnd::Panicked("the clock stopped".to_owned()));
    pool.close();
    let account = scouted.ledger.snapshot();
    assert!(account.closes() && account.buffered == 0, "{account:?}");
    assert!(
        account.settled(Fate::Dropped(DropReason::Stopping)) > 0,
        "{account:?}"
    );
}

#[test]
fn a_stream_that_is_dropped_without_a_word_is_told_apart() {
    let (replay, pool) = (roomy_replay(), pool());
    let scouted = Scouted::start(&pool, &replay, Pace::Live);
    drop(scouted.items);
    assert_eq!(scouted.scout.thread.join().unwrap(), ScoutEnd::Abandoned);
    pool.close();
}
