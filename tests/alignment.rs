//! Every picture and every motion map of a sample is that of its frame: through demuxer, motion decoder, chooser, decode pool
//! and assembler, with B pictures and variable frame rate too.

#![allow(clippy::unwrap_used, reason = "test code")]

mod numbered;
mod scouting;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use comove::ingest::{DropReason, Fate, Templates, UnitReader};
use comove::replay::{MASKED, Sample};
use comove::window::{CodedType, FactsReader, ScoutSnapshot, UnitContent};
use numbered::{MOVING_FROM_ROW, Recipe, encode, number_of};
use scouting::{SPEC, samples};

/// Coded type and motion of every frame, by its number in display, from time stamps alone: by another way than the
/// chooser's.
fn by_number(path: &Path, poc_per_frame: i32) -> BTreeMap<u64, (CodedType, Vec<i16>)> {
    let mut reader = FactsReader::new(SPEC.motion_size);
    let mut by_time = BTreeMap::new();
    for unit in UnitReader::open_file(path, &Templates::default()).unwrap() {
        let unit = unit.unwrap();
        let UnitContent::Picture(facts) = reader.read(&unit.data).content else {
            panic!("unit {} has no picture", unit.index);
        };
        let mut motion = Vec::new();
        facts
            .motion
            .append_per_frame(SPEC.motion_size, poc_per_frame, &mut motion);
        by_time.insert(unit.pts_ns.unwrap(), (facts.coded_type, motion));
    }
    (0..).zip(by_time.into_values()).collect()
}

/// Number of a sample's picture.
fn number(pixels: &[u8]) -> u64 {
    number_of(
        pixels,
        SPEC.frame_size.width as usize,
        SPEC.frame_size.height as usize,
    )
}

fn clip_numbers(sample: &Sample) -> Vec<u64> {
    sample
        .clip
        .chunks(3 * SPEC.frame_size.area())
        .map(number)
        .collect()
}

/// Checks every sample of the file at `path` against the frames' numbers; `timed` is the same video in a container that has
/// time stamps.
fn check(path: &Path, timed: &Path, poc_per_frame: i32, least_samples: usize) -> ScoutSnapshot {
    let (samples, ledger, scout) = samples(path);
    let frames = by_number(timed, poc_per_frame);
    assert!(
        samples.len() >= least_samples,
        "{} samples: {scout:?}",
        samples.len()
    );
    let maps: HashMap<&[i16], Vec<u64>> = frames.iter().fold(HashMap::new(), |mut maps, (number, frame)| {
        maps.entry(&frame.1[..]).or_insert_with(Vec::new).push(*number);
        maps
    });
    for sample in &samples {
        let clip = clip_numbers(sample);
        let expected: Vec<u64> = (0..8).map(|frame| clip[0] + 2 * frame).collect();
        assert_eq!(clip, expected);
        let key = number(&sample.key_frame);
        assert_eq!(
            frames[&key].0,
            CodedType::I,
            "frame {key} as key frame of clip {clip:?}"
        );

        let map = 2 * SPEC.motion_size.area();
        let target = clip[7] + 1..clip[7] + 5;
        for (motion, number) in sample.target.chunks(map).zip(target.clone()) {
            assert_eq!(motion, frames[&number].1, "target map of frame {number}");
        }
        for window in sample.negatives.chunks(4 * map) {
            let possible: Vec<&Vec<u64>> = window.chunks(map).map(|motion| &maps[motion]).collect();
            let start = possible[1..]
                .iter()
                .zip(1..)
                .find_map(|(numbers, place)| (numbers.len() == 1).then(|| numbers[0] - place))
                .unwrap_or(possible[0][0]);
            for (numbers, number) in possible.iter().zip(start..) {
                assert!(
                    numbers.contains(&number),
                    "negative at frame {start}: {possible:?}"
                );
                assert!(!target.contains(&number), "negative overlaps the target");
            }
        }
    }
    let account = ledger.snapshot();
    assert!(account.closes());
    assert_eq!(account.buffered, 0);
    assert_eq!(account.settled(Fate::Dropped(DropReason::Unsettled)), 0);
    assert!(account.settled(Fate::Used) > 0);
    assert_eq!(scout.plans_failed, 0, "{scout:?}");
    assert_eq!(scout.errors, BTreeMap::new(), "{scout:?}");
    scout
}

/// Even and odd, forward and back, never twice the same in a row.
fn changing_speed(number: u64) -> i64 {
    [3, -1, 5, 2, -4, 1, 6, -2, 4][(number * 5 % 9) as usize]
}

fn steady_rate(number: u64) -> u64 {
    40 * number
}

/// 15 to 50 frames a second.
fn variable_rate(number: u64) -> u64 {
    (0..number)
        .map(|frame| [20, 66, 33, 41, 25][(frame * frame % 5) as usize])
        .sum()
}

const B_PYRAMID: &str = "pass=quant quantizer=16 speed-preset=fast bframes=3 b-pyramid=true b-adapt=false ref=3 \
                         key-int-max=33 option-string=scenecut=0";

#[test]
fn with_a_b_pyramid_and_variable_frame_rate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mkv");
    encode(
        &Recipe {
            frames: 260,
            speed: changing_speed,
            pts_ms: variable_rate,
            x264: B_PYRAMID,
            tail: "matroskamux",
        },
        &path,
    );
    let scout = check(&path, &path, 2, 30);
    assert!(scout.chooser.b_pictures > 150, "{scout:?}");
}

#[test]
fn with_open_gops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mkv");
    encode(
        &Recipe {
            frames: 200,
            speed: changing_speed,
            pts_ms: steady_rate,
            x264: "pass=quant quantizer=16 bframes=3 b-pyramid=true b-adapt=false ref=3 key-int-max=20 \
                   option-string=open-gop=1:scenecut=0",
            tail: "matroskamux",
        },
        &path,
    );
    check(&path, &path, 2, 20);
}

#[test]
fn without_time_stamps() {
    let folder = tempfile::tempdir().unwrap();
    let [bare, timed] = ["x.h264", "x.mkv"].map(|name| folder.path().join(name));
    for (path, tail) in [
        (&bare, "video/x-h264,stream-format=byte-stream"),
        (&timed, "matroskamux"),
    ] {
        encode(
            &Recipe {
                frames: 150,
                speed: changing_speed,
                pts_ms: steady_rate,
                x264: B_PYRAMID,
                tail,
            },
            path,
        );
    }
    check(&bare, &timed, 2, 15);
}

#[test]
fn a_video_of_37_frames_with_preset_micro() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp4");
    encode(
        &Recipe {
            frames: 37,
            speed: changing_speed,
            pts_ms: steady_rate,
            x264: B_PYRAMID,
            tail: "mp4mux",
        },
        &path,
    );
    check(&path, &path, 2, 2);
}

/// Mean of a map's x over the moving rows, in pixels per frame, for columns far from the border where texture comes in.
fn mean_x(map: &[i16]) -> f64 {
    let (width, height) = (SPEC.motion_size.width as usize, SPEC.motion_size.height as usize);
    let first_row = height * (MOVING_FROM_ROW + 16) / numbered::HEIGHT;
    let known: Vec<f64> = (first_row..height)
        .flat_map(|row| (width / 6..width * 5 / 6).map(move |column| map[row * width + column]))
        .filter(|x| *x != MASKED)
        .map(|x| f64::from(x) / 64.0)
        .collect();
    assert!(known.len() > 100, "hardly any motion");
    known.iter().sum::<f64>() / known.len() as f64
}

#[test]
fn motion_is_where_each_frames_content_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp4");
    encode(
        &Recipe {
            frames: 120,
            speed: changing_speed,
            pts_ms: steady_rate,
            x264: "pass=quant quantizer=16 bframes=0 ref=1 key-int-max=200 option-string=scenecut=0",
            tail: "mp4mux",
        },
        &path,
    );
    let (samples, ..) = samples(&path);
    assert!(samples.len() >= 12);
    for sample in &samples {
        let last = clip_numbers(sample)[7];
        for (map, number) in sample.target.chunks(2 * SPEC.motion_size.area()).zip(last + 1..) {
            let came_from = -changing_speed(number) as f64;
            let x = mean_x(map);
            assert!(
                (x - came_from).abs() < 0.4,
                "frame {number}: {x} pixels, not {came_from}"
            );
        }
    }
}

#[test]
fn motion_is_per_frame_whatever_the_distance_to_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mkv");
    encode(
        &Recipe {
            frames: 120,
            speed: |_| 3,
            pts_ms: variable_rate,
            x264: B_PYRAMID,
            tail: "matroskamux",
        },
        &path,
    );
    let (samples, ..) = samples(&path);
    assert!(samples.len() >= 12);
    let mut maps = 0;
    for map in samples
        .iter()
        .flat_map(|sample| sample.target.chunks(2 * SPEC.motion_size.area()))
    {
        if map.iter().any(|cell| *cell != MASKED) {
            let x = mean_x(map);
            assert!((x + 3.0).abs() < 0.4, "{x} pixels a frame, not -3");
            maps += 1;
        }
    }
    assert!(maps > 40);
}
