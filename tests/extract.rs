//! `comove extract`: what numpy finds in the files is what the motion decoder says, whatever the stream.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use comove::extract::{Existing, ExtractError, ExtractOptions, Layout, extract};
use comove::h264::annexb::access_units;
use comove::h264::{MotionDecoder, PictureType};
use npyz::NpyFile;
use npyz::npz::NpzArchive;

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{name}.264"))
}

fn options(videos: &[PathBuf], folder: &Path, layout: Layout) -> ExtractOptions {
    ExtractOptions {
        videos: videos.to_vec(),
        folder: folder.to_owned(),
        layout,
        existing: Existing::Fail,
        jobs: 2,
    }
}

/// Extracts one vector; gives its file.
fn extracted(name: &str, layout: Layout, folder: &Path) -> PathBuf {
    let report = extract(&options(&[vector(name)], folder, layout)).expect("the options are right");
    let outputs = report.videos[0].outputs.as_ref().expect("the vector is sound");
    assert_eq!(outputs.len(), 1);
    outputs[0].0.clone()
}

struct Npz(NpzArchive<std::io::BufReader<std::fs::File>>);

impl Npz {
    fn open(path: &Path) -> Npz {
        Npz(NpzArchive::open(path).expect("it is an npz"))
    }

    fn array<T: npyz::Deserialize>(&mut self, name: &str) -> (Vec<u64>, Vec<T>) {
        let array: NpyFile<_> = self
            .0
            .by_name(name)
            .expect("it can be read")
            .expect("it is there");
        let shape = array.shape().to_vec();
        (shape, array.into_vec().expect("its type is as documented"))
    }
}

/// What the decoder says of a progressive stream's frames, by picture order (one IDR period).
struct Decoded {
    vectors: Vec<[[i16; 2]; 2]>,
    distances: Vec<[i16; 2]>,
    coded_type: PictureType,
}

fn decoded(name: &str) -> Vec<Decoded> {
    let bytes = std::fs::read(vector(name)).expect("the vector can be read");
    let mut decoder = MotionDecoder::new();
    let mut frames = Vec::new();
    let mut epoch = 0;
    for unit in access_units(&bytes) {
        let result = decoder.decode(unit, &mut |picture| {
            let header = picture.header();
            epoch += i32::from(header.idr || header.mmco5);
            let (mut vectors, mut distances) = (Vec::new(), Vec::new());
            for y in 0..header.height_mbs as usize * 4 {
                for x in 0..header.width_mbs as usize * 4 {
                    vectors.push([0, 1].map(|list| picture.mv(list, x, y)));
                    distances.push([0, 1].map(|list| {
                        picture
                            .ref_poc(list, x, y)
                            .map_or(i16::MIN, |poc| (header.poc - poc) as i16)
                    }));
                }
            }
            let poc = if header.mmco5 { 0 } else { header.poc };
            let frame = Decoded {
                vectors,
                distances,
                coded_type: header.slice_types.coded_type(),
            };
            frames.push(((epoch, poc), frame));
        });
        assert_eq!(result, Ok(()));
    }
    frames.sort_by_key(|frame| frame.0);
    frames.into_iter().map(|frame| frame.1).collect()
}

#[test]
fn every_vector_and_distance_is_the_decoders_in_display_order() {
    for name in ["r03_b_frames", "r25_ref16"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut npz = Npz::open(&extracted(name, Layout::Grid, folder.path()));
        let frames = decoded(name);
        let (shape, vectors) = npz.array::<i16>("vectors");
        let (_, distances) = npz.array::<i16>("reference_distance");
        let (_, intra) = npz.array::<bool>("intra");
        let (motion_shape, motion) = npz.array::<f32>("motion");
        let (_, poc_per_frame) = npz.array::<i32>("poc_per_frame");
        let blocks = (shape[1] * shape[2]) as usize;
        assert_eq!(shape[0] as usize, frames.len(), "{name}");
        assert_eq!(motion_shape, [shape[0], shape[1], shape[2], 2]);
        for (number, frame) in frames.iter().enumerate() {
            assert_eq!(frame.vectors.len(), blocks);
            for block in 0..blocks {
                let at = number * blocks + block;
                let [a, b] = frame.vectors[block];
                assert_eq!(
                    vectors[4 * at..4 * at + 4],
                    [a[0], a[1], b[0], b[1]],
                    "{name}, frame {number}"
                );
                assert_eq!(distances[2 * at..2 * at + 2], frame.distances[block]);
                let list = (0..2).find(|&list| ![i16::MIN, 0].contains(&frame.distances[block][list]));
                assert_eq!(intra[at], list.is_none());
                let expected = list.map_or([0.0; 2], |list| {
                    let frames = f32::from(frame.distances[block][list]) / poc_per_frame[0] as f32;
                    frame.vectors[block][list].map(|v| -f32::from(v) / 4.0 / frames)
                });
                assert_eq!(motion[2 * at..2 * at + 2], expected);
            }
        }
        let (_, types) = npz.array::<String>("frame_types");
        let letters: Vec<String> = frames.iter().map(|f| format!("{:?}", f.coded_type)).collect();
        assert_eq!(types, letters);
    }
}

#[test]
fn rows_of_the_other_package_are_partitions_of_the_same_vectors() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut npz = Npz::open(&extracted("r03_b_frames", Layout::MvExtractor, folder.path()));
    let (shape, rows) = npz.array::<i32>("motion_vectors");
    let (_, offsets) = npz.array::<i64>("offsets");
    let frames = decoded("r03_b_frames");
    assert_eq!(shape[1], 10);
    assert_eq!(offsets.len(), frames.len() + 1);
    assert_eq!(offsets.last(), Some(&(shape[0] as i64)));
    let columns = 176 / 4;
    for (frame, range) in frames.iter().zip(offsets.windows(2)) {
        let mut covered: HashMap<(i32, usize), i32> = HashMap::new();
        for row in rows[10 * range[0] as usize..10 * range[1] as usize].chunks(10) {
            let [source, w, h, src_x, src_y, x, y, motion_x, motion_y, scale] = row else {
                panic!("a row has ten columns");
            };
            assert!([8, 16].contains(w) && [8, 16].contains(h) && *scale == 4);
            assert_eq!((*src_x, *src_y), (x + motion_x / 4, y + motion_y / 4));
            let block = ((y - h / 2) / 4 * columns + (x - w / 2) / 4) as usize;
            let list = usize::from(*source == 1);
            let vector = frame.vectors[block][list].map(i32::from);
            assert_eq!([*motion_x, *motion_y], vector);
            *covered
                .entry((*source, ((y / 16) * columns + x / 16) as usize))
                .or_default() += w * h;
        }
        // A macroblock has rows for a list over all of its area or not at all.
        assert!(covered.values().all(|&area| area == 256));
    }
    assert!(offsets[1] == 0, "the I frame has no rows");
}

#[test]
fn fields_and_mbaff_fill_the_frames_grid() {
    for name in ["r05_field", "r08_mbaff", "r09_paff_mbaff", "r27_unpaired_fields"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut npz = Npz::open(&extracted(name, Layout::Grid, folder.path()));
        let (shape, intra) = npz.array::<bool>("intra");
        let (_, types) = npz.array::<String>("frame_types");
        let blocks = (shape[1] * shape[2]) as usize;
        let busiest = intra
            .chunks(blocks)
            .map(|frame| frame.iter().filter(|&&i| !i).count())
            .max();
        assert!(
            busiest > Some(blocks / 2),
            "{name}: {busiest:?} of {blocks} blocks move"
        );
        for (frame, kind) in intra.chunks(blocks).zip(&types) {
            assert!(
                kind != "I" || frame.iter().all(|&i| i),
                "{name}: an I frame has motion"
            );
        }
    }
}

#[test]
fn a_size_that_changes_in_mid_stream_makes_a_second_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let both = folder.path().join("both.264");
    let read = |name| std::fs::read(vector(name)).expect("the vector can be read");
    std::fs::write(&both, [read("r01_p_frames"), read("r35_wraps")].concat()).expect("it can be written");
    let out = folder.path().join("out");
    let report = extract(&options(&[both], &out, Layout::Grid)).expect("the options are right");
    let outputs = report.videos[0].outputs.as_ref().expect("both are sound");
    let names: Vec<_> = outputs
        .iter()
        .map(|(path, _)| path.file_name().unwrap_or_default())
        .collect();
    assert_eq!(names, ["both.npz", "both.2.npz"]);
    let sizes: Vec<Vec<u64>> = outputs
        .iter()
        .map(|(path, _)| Npz::open(path).array::<bool>("intra").0)
        .collect();
    assert_eq!(sizes, [[40, 36, 44], [200, 12, 16]]);
}

#[test]
fn what_cannot_be_extracted_is_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let noise = folder.path().join("noise.264");
    std::fs::write(&noise, vec![7; 5000]).expect("it can be written");
    let videos = [
        noise,
        vector("r01_p_frames"),
        folder.path().join("missing.mp4"),
        folder.path().to_owned(),
    ];
    let out = folder.path().join("out");
    let report = extract(&options(&videos, &out, Layout::Grid)).expect("the options are right");
    let failed: Vec<bool> = report.videos.iter().map(|video| video.outputs.is_err()).collect();
    assert_eq!(failed, [true, false, true, true]);
    let files: Vec<_> = std::fs::read_dir(&out)
        .expect("the folder was made")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(files, ["r01_p_frames.npz"], "nothing half-written stays");
}

#[test]
fn outputs_are_never_overwritten_unasked_and_never_shared() {
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = options(&[vector("r01_p_frames")], folder.path(), Layout::Grid);
    extract(&wanted).expect("nothing is there yet");
    assert!(matches!(extract(&wanted), Err(ExtractError::Exists(_))));
    let skip = ExtractOptions {
        existing: Existing::Skip,
        ..wanted.clone()
    };
    let report = extract(&skip).expect("it is left out");
    assert!(report.videos[0].outputs.as_ref().is_ok_and(Vec::is_empty));
    let twice = options(
        &[vector("r01_p_frames"), vector("r01_p_frames")],
        &folder.path().join("new"),
        Layout::Grid,
    );
    assert!(matches!(extract(&twice), Err(ExtractError::SameOutput { .. })));
}

#[test]
fn the_program_ends_with_1_if_a_video_failed_and_2_if_it_was_asked_wrongly() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_comove"))
            .arg("extract")
            .args(arguments)
            .output()
            .expect("the program starts");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let out = folder.path().join("out").display().to_string();
    let sound = vector("r01_p_frames").display().to_string();
    let (code, told) = run(&[&sound, "/nowhere.mp4", "--out", &out]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("/nowhere.mp4") && told.contains("1 of 2 videos"),
        "{told}"
    );
    let (code, told) = run(&[&sound, "--out", &out]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--existing=replace"), "{told}");
    assert_eq!(run(&[&sound, "--out", &out, "--existing", "replace"]).0, Some(0));
}
