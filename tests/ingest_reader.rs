//! Access units of whole videos, as the demuxers and the parser give them.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;

use std::{collections::BTreeSet, path::Path};

use comove::ingest::{AccessUnit, SourceKind, Templates, UnitReader};

fn read(path: &Path) -> Vec<AccessUnit> {
    UnitReader::open_file(path, &Templates::default())
        .unwrap()
        .map(|unit| unit.unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

fn nal_types(unit: &AccessUnit) -> BTreeSet<u8> {
    let codes = unit.data.windows(4).filter(|bytes| bytes[..3] == [0, 0, 1]);
    codes.map(|bytes| bytes[3] & 0x1f).collect()
}

#[test]
fn every_container_gives_the_same_units_in_decoding_order() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tail) in [
        ("x.mp4", "mp4mux"),
        ("x.mkv", "matroskamux"),
        ("x.ts", "mpegtsmux"),
        ("x.flv", "flvmux"),
        ("x.h264", "video/x-h264,stream-format=byte-stream"),
    ] {
        let path = folder.path().join(name);
        media::h264(60, tail, &path);
        let units = read(&path);
        assert_eq!(units.len(), 60, "{name}");
        assert!(
            units.iter().all(|unit| unit.segment == 0),
            "{name} is one segment"
        );
        assert!(
            units.iter().enumerate().all(|(at, unit)| unit.index == at as u64),
            "{name}"
        );
        let keys: Vec<_> = units
            .iter()
            .filter(|unit| unit.key_unit)
            .map(|unit| unit.index)
            .collect();
        assert_eq!(keys.len(), 3, "{name}: {keys:?}");
        for unit in units.iter().filter(|unit| unit.key_unit) {
            assert!(
                nal_types(unit).is_superset(&BTreeSet::from([5, 7, 8])),
                "{name}: {:?}",
                nal_types(unit)
            );
        }
        let times: Vec<_> = units.iter().filter_map(|unit| unit.pts_ns).collect();
        if name != "x.h264" {
            assert_eq!(times.len(), 60, "{name}");
            assert!(
                times.windows(2).any(|pair| pair[0] > pair[1]),
                "{name} has B frames"
            );
            assert_eq!(times.iter().collect::<BTreeSet<_>>().len(), 60, "{name}");
        }
    }
}

#[test]
fn only_the_first_h264_track_is_read_and_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tracks.mkv");
    let source = "videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=64,height=48";
    media::render(
        &format!(
            "matroskamux name=m ! filesink name=out \
             audiotestsrc num-buffers=40 ! vorbisenc ! m. \
             {source} ! vp8enc deadline=1 ! m. \
             {source} ! x264enc ! h264parse ! m. \
             videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=32,height=32 ! x264enc ! h264parse ! m."
        ),
        &path,
    );
    let mut reader = UnitReader::open_file(&path, &Templates::default()).unwrap();
    let units: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(units.len(), 30);
    assert_eq!(units[0].format.width, 64);
    let ignored = reader.ignored_tracks().join(", ");
    assert!(ignored.contains("a further H.264 track"), "{ignored}");
}

#[test]
fn synthetic_scenes_are_segments_that_begin_with_a_key_frame_and_come_out_the_same_each_time() {
    let read = |text: &str| -> Vec<AccessUnit> {
        UnitReader::open(&SourceKind::parse(text).unwrap(), &Templates::default())
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let text = "synthetic:width=96&height=64&frames=100&scene_frames=40&key_interval=16&b_frames=2&seed=3";
    let units = read(text);
    assert_eq!(units.len(), 100);
    for (segment, frames) in [(0, 40), (1, 40), (2, 20)] {
        let of_segment: Vec<_> = units.iter().filter(|unit| unit.segment == segment).collect();
        assert_eq!(of_segment.len(), frames, "segment {segment}");
        assert!(
            of_segment[0].key_unit && nal_types(of_segment[0]).contains(&5),
            "segment {segment}"
        );
    }
    assert!(units.iter().filter(|unit| media::is_disposable(unit)).count() > 25);
    let again = read(text);
    assert!(
        units
            .iter()
            .zip(&again)
            .all(|(one, other)| one.data == other.data)
    );
    let other = read("synthetic:width=96&height=64&frames=100&scene_frames=40&key_interval=16&seed=4");
    assert!(
        units
            .iter()
            .zip(&other)
            .any(|(one, other)| one.data != other.data)
    );
    let without_b = read("synthetic:width=96&height=64&frames=50&b_frames=0");
    assert!(without_b.windows(2).all(|pair| pair[0].pts_ns < pair[1].pts_ns));
}

#[test]
fn a_file_cut_off_in_the_middle_gives_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ts");
    media::h264(60, "mpegtsmux", &path);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let units = read(&path).len();
    assert!((10..60).contains(&units), "{units}");
}

#[test]
fn real_files_give_as_many_units_as_they_hold() {
    let Some(shared) = media::shared() else { return };
    for (name, frames) in [
        ("intel/asl_gestures/book.mkv", 109),
        ("intel/surveillance/car-detection.mp4", 377),
        ("intel/surveillance/one-by-one-person-detection.mp4", 1394),
    ] {
        let units = read(&shared.join("video").join(name));
        assert_eq!(units.len(), frames, "{name}");
        assert_eq!(units.last().unwrap().segment, 0, "{name}");
    }
    for entry in std::fs::read_dir(shared.join("video/mixed")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(reader) = UnitReader::open_file(&path, &Templates::default()) else {
            continue;
        };
        let (mut units, mut error) = (Vec::new(), None);
        for unit in reader {
            match unit {
                Ok(unit) => units.push(unit),
                Err(told) => error = Some(told),
            }
        }
        let segments = units.last().map(|unit| unit.segment + 1);
        let keys = units.iter().filter(|unit| unit.key_unit).count();
        println!(
            "{:45} {:5} units {segments:?} segments {keys} keys {}",
            path.file_name().unwrap().to_string_lossy(),
            units.len(),
            error.map(|e| e.to_string()).unwrap_or_default()
        );
    }
}
