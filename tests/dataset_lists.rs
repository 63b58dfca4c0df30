//! The lists that UCF101, HMDB51 and Kinetics come with, on small copies of their layouts.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;

use comove::eval::{
    Baseline, DatasetOptions, EvalError, EvalOptions, EvalReport, EvalTask, FeatureSource, evaluate,
};
use comove::model::Preset;

/// Files of different sizes: what is judged here is which file is found, not what is in it.
fn files(root: &Path, names: &[&str]) {
    for (nth, name) in names.iter().enumerate() {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; 10 + 100 * nth]).unwrap();
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn judge(root: &Path, annotations: &str, split: u32) -> Result<EvalReport, EvalError> {
    evaluate(&EvalOptions {
        task: EvalTask::Retrieval,
        source: FeatureSource::Baseline {
            baseline: Baseline::FileSize,
            preset: Preset::Micro,
            seed: 1,
        },
        dataset: DatasetOptions {
            annotations: Some(root.join(annotations)),
            split,
            ..DatasetOptions::folder(&root.join("videos"))
        },
        clips: 1,
        device: tch::Device::Cpu,
        decode_threads: EvalOptions::DECODE_THREADS,
        embeddings: None,
        page: None,
    })
}

#[test]
fn ucf101_is_read_by_its_lists_whatever_the_ending_on_disk() {
    let root = tempfile::tempdir().unwrap();
    files(
        root.path(),
        &[
            "videos/Archery/v_Archery_g08_c01.mp4",
            "videos/Archery/v_Archery_g01_c01.mp4",
            "videos/Bowling/v_Bowling_g09_c02.mp4",
            "videos/Bowling/v_Bowling_g02_c01.mp4",
            "videos/Bowling/v_Bowling_g03_c01.mp4",
        ],
    );
    let list = |name: &str, text: &str| write(root.path(), &format!("lists/{name}"), text);
    list("classInd.txt", "1 Archery\r\n2 Bowling\r\n");
    list(
        "trainlist01.txt",
        "Archery/v_Archery_g08_c01.avi 1\r\nBowling/v_Bowling_g09_c02.avi 2\r\n",
    );
    list(
        "testlist01.txt",
        "Archery/v_Archery_g01_c01.avi\r\nBowling/v_Bowling_g02_c01.avi\r\nBowling/v_Bowling_g04_c01.avi\r\n",
    );
    let report = judge(root.path(), "lists", 1).unwrap().dataset;
    assert_eq!(report.classes, ["Archery", "Bowling"]);
    assert_eq!((report.videos_used.train, report.videos_used.test), (2, 2));
    assert_eq!(report.missing[0].video, "Bowling/v_Bowling_g04_c01.avi");
    let facts = report.annotations.unwrap();
    assert_eq!(
        (facts.format, facts.listed, facts.unlisted),
        ("UCF101 lists", 5, 1)
    );
    list("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 2\n");
    let error = judge(root.path(), "lists", 1).unwrap_err().to_string();
    assert!(
        error.contains("trainlist01.txt, line 1") && error.contains("number 2"),
        "{error}"
    );
    let error = judge(root.path(), "lists", 2).unwrap_err().to_string();
    assert!(error.contains("trainlist02.txt"), "{error}");
}

#[test]
fn hmdb51_is_read_by_its_lists_and_zeros_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    files(
        root.path(),
        &[
            "videos/wave/a#(x)_wave_1.avi",
            "videos/wave/b_wave_2.avi",
            "videos/run/a_run_1.avi",
            "videos/run/b_run_2.avi",
        ],
    );
    let list = |name: &str, text: &str| write(root.path(), &format!("lists/{name}"), text);
    list("wave_test_split2.txt", "a#(x)_wave_1.avi 1 \nb_wave_2.avi 2 \n");
    list(
        "run_test_split2.txt",
        "a_run_1.avi 1 \nb_run_2.avi 2 \nc_run_3.avi 0 \n",
    );
    let report = judge(root.path(), "lists", 2).unwrap().dataset;
    assert_eq!(report.classes, ["run", "wave"]);
    assert_eq!((report.videos_used.train, report.videos_used.test), (2, 2));
    assert_eq!(report.annotations.unwrap().left_out, 1);
    list("run_test_split2.txt", "a_run_1.avi 7\n");
    let error = judge(root.path(), "lists", 2).unwrap_err().to_string();
    assert!(error.contains("run_test_split2.txt, line 1"), "{error}");
}

#[test]
fn kinetics_is_read_by_its_files_and_clips_are_found_by_id_and_time() {
    let root = tempfile::tempdir().unwrap();
    files(
        root.path(),
        &[
            "videos/train/zumba/abc_000007_000017.mp4",
            "videos/train/abseiling/def_000001_000011.mp4",
            "videos/val/ghi.mp4",
            "videos/val/jkl_000000_000010.mp4",
        ],
    );
    let header = "label,youtube_id,time_start,time_end,split,is_cc\n";
    write(
        root.path(),
        "csv/train.csv",
        &format!("{header}zumba,abc,7,17,train,0\nabseiling,def,1,11,train,0\n"),
    );
    write(
        root.path(),
        "csv/validate.csv",
        &format!("{header}zumba,ghi,3,13,validate,0\nabseiling,jkl,0,10,validate,0\n"),
    );
    let report = judge(root.path(), "csv", 1).unwrap().dataset;
    assert_eq!((report.videos_used.train, report.videos_used.test), (2, 2));
    assert!(report.missing.is_empty());
    assert_eq!(report.annotations.unwrap().format, "Kinetics CSV");
}
