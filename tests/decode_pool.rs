//! What the decode pool gives is what a full decode gives, bit for bit.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;

use std::{
    path::Path,
    sync::{Arc, mpsc},
};

use comove::{
    decode::{DecodeConfig, DecodeError, DecodeJob, DecodePool, FeedUnit, RgbPicture, VideoReader},
    ingest::{AccessUnit, StreamName},
    window::FrameSize,
};

const SIZE: FrameSize = FrameSize {
    width: 176,
    height: 128,
};

/// A job from the key unit at `start` up to the next but one key unit: every `stride`-th picture, without the disposable
/// pictures in between. Ranks follow presentation times.
fn job(units: &[Arc<AccessUnit>], start: usize, stride: usize) -> (DecodeJob, Vec<u64>) {
    let pts = |unit: &AccessUnit| unit.pts_ns.unwrap();
    let end = (start + 1..units.len())
        .filter(|&at| units[at].key_unit)
        .nth(1)
        .unwrap_or(units.len());
    let group: Vec<_> = units[start..end]
        .iter()
        .filter(|unit| pts(unit) >= pts(&units[start]))
        .collect();
    let mut times: Vec<u64> = group.iter().map(|unit| pts(unit)).collect();
    times.sort_unstable();
    let rank = |unit: &AccessUnit| u32::try_from(times.binary_search(&pts(unit)).unwrap()).unwrap();
    let wanted: Vec<u32> = (0..u32::try_from(times.len()).unwrap()).step_by(stride).collect();
    let feed = group
        .iter()
        .filter(|unit| !media::is_disposable(unit) || wanted.contains(&rank(unit)))
        .map(|unit| FeedUnit {
            unit: Arc::clone(unit),
            display_rank: rank(unit),
        })
        .collect();
    let wanted_times = wanted.iter().map(|&rank| times[rank as usize]).collect();
    let job = DecodeJob {
        stream: StreamName::new("test").unwrap(),
        format: units[start].format.clone(),
        feed,
        wanted,
        size: SIZE,
    };
    (job, wanted_times)
}

fn decode(pool: &DecodePool, job: DecodeJob) -> Result<Vec<RgbPicture>, DecodeError> {
    let (told, outcome) = mpsc::channel();
    pool.queue()
        .submit(job, Box::new(move |pictures| told.send(pictures).unwrap()));
    outcome.recv().unwrap()
}

/// Compares jobs from every key unit of `path` with a full decode; says how many pictures were compared.
fn compare_with_full_decode(pool: &DecodePool, path: &Path, stride: usize) -> usize {
    let full: Vec<_> = VideoReader::open(path, Some(SIZE))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let units = media::access_units(path);
    let mut compared = 0;
    for start in (0..units.len()).filter(|&at| units[at].key_unit) {
        let (job, times) = job(&units, start, stride);
        let wanted = job.wanted.clone();
        let pictures = decode(pool, job).unwrap();
        assert_eq!(
            pictures
                .iter()
                .map(|picture| picture.display_rank)
                .collect::<Vec<_>>(),
            wanted
        );
        for (picture, time) in pictures.iter().zip(times) {
            // Containers round times: the frame of this time is the nearest.
            let frame = full
                .iter()
                .min_by_key(|frame| frame.pts_ns.unwrap().abs_diff(time))
                .unwrap();
            assert!(
                frame.pixels == picture.pixels,
                "{}: frame at {time} ns",
                path.display()
            );
            compared += 1;
        }
    }
    compared
}

#[test]
fn every_wanted_picture_of_a_stream_with_b_frames_equals_that_of_a_full_decode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ball.mp4");
    media::h264(100, "mp4mux", &path);
    let pool = DecodePool::start(&DecodeConfig::default()).unwrap();
    let units = media::access_units(&path);
    let disposable = units.iter().filter(|unit| media::is_disposable(unit)).count();
    assert!(disposable > 20, "the stream has B frames: {disposable}");
    assert!(compare_with_full_decode(&pool, &path, 4) > 40);
    let figures = pool.snapshot();
    assert_eq!((figures.jobs_done, figures.jobs_failed), (4, 0));
    assert!(figures.pictures_given < figures.pictures_decoded);
    pool.close();
}

#[test]
fn pictures_of_real_streams_equal_those_of_a_full_decode() {
    let Some(shared) = media::shared() else { return };
    let pool = DecodePool::start(&DecodeConfig::default()).unwrap();
    for (file, at_least) in [
        ("intel/asl_gestures/book.mkv", 20),
        ("intel/surveillance/car-detection.mp4", 90),
        ("mixed/testsrc2.mp4", 5),
        ("mixed/h264_10bits.mp4", 1),
        ("mixed/testsrc2_odd_height_and_width_444.mp4", 1),
        ("mixed/bt709_full_range.mp4", 5),
        ("fights/fight/fi001.mp4", 5),
        ("mixed/test.mp4", 5),
    ] {
        let compared = compare_with_full_decode(&pool, &shared.join("video").join(file), 4);
        assert!(compared >= at_least, "{file}: {compared}");
    }
    let figures = pool.snapshot();
    println!(
        "{} jobs, {} units fed, {} pictures decoded, {} given, in {:?} of decoder time",
        figures.jobs_done, figures.units_fed, figures.pictures_decoded, figures.pictures_given, figures.busy
    );
    pool.close();
}

#[test]
fn says_which_pictures_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ball.mp4");
    media::h264(30, "mp4mux", &path);
    let pool = DecodePool::start(&DecodeConfig::default()).unwrap();
    let (whole, _) = job(&media::access_units(&path), 0, 4);

    let mut unfed = whole.clone();
    unfed.feed.retain(|fed| fed.display_rank != 4);
    let error = decode(&pool, unfed).unwrap_err();
    assert!(matches!(error, DecodeError::InvalidJob { .. }), "{error}");

    let mut noise = whole.clone();
    let last = noise.feed.iter_mut().find(|fed| fed.display_rank == 8).unwrap();
    let old = &last.unit;
    let broken = AccessUnit {
        data: bytes::Bytes::from_static(&[0, 0, 1, 0x0c, 1, 2, 3]),
        segment: 0,
        index: old.index,
        pts_ns: old.pts_ns,
        dts_ns: None,
        arrival_unix_ns: 0,
        key_unit: false,
        format: old.format.clone(),
        credit: comove::ingest::ByteBudget::new(9).try_acquire(7).unwrap(),
        receipt: comove::ingest::Ledger::new().receive(7),
    };
    last.unit = Arc::new(broken);
    let error = decode(&pool, noise).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Missing { missing, .. } if missing.contains(&8)),
        "{error}"
    );
    assert!(
        error.to_string().contains("stream test, units 0 to 29"),
        "{error}"
    );

    // The same pool goes on.
    assert!(decode(&pool, whole).is_ok());
    pool.close();
}
