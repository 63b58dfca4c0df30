//! k-NN on a labelled folder while training goes on: the same figure as `comove eval` gives, as metric and over the API, and a bad
//! folder before work starts.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;
mod program;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use comove::eval::{
    DatasetOptions, EvalOptions, EvalTask, FeatureSource, Folds, HeldFigures, HeldList, NetworkPart,
    Protocol, Weights, evaluate,
};
use comove::model::{Model, NormKind, Preset};
use comove::probe::{ProbeConfig, ProbeEvent, ProbeFailure, Prober};
use comove::synth::{SynthOptions, synthesise};
use comove::train::{Learner, TrainConfig, WeightTaker};
use media::class_folders;
use program::{PATTERNS, Place, Run, refused};
use tch::{Device, no_grad};

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(240);
const CLIPS: u32 = 2;

/// A benchmark with a split and two columns of labels.
fn benchmark(folder: &Path) {
    synthesise(&SynthOptions {
        folder: folder.to_owned(),
        contexts: 2,
        motions: 2,
        videos: 12,
        seed: 3,
        threads: NonZeroUsize::MIN,
    })
    .unwrap();
}

/// What evaluation says of the same untrained network.
fn evaluated(dataset: DatasetOptions, folds: u32) -> (f64, f64, usize) {
    let report = evaluate(&EvalOptions {
        task: EvalTask::Knn {
            neighbours: 1,
            folds: Folds {
                count: folds,
                seed: 0,
            },
        },
        source: FeatureSource::Network {
            weights: Weights::Random {
                preset: Preset::Micro,
                seed: 7,
            },
            part: NetworkPart::V,
        },
        dataset,
        clips: CLIPS,
        device: Device::Cpu,
        decode_threads: EvalOptions::DECODE_THREADS,
        embeddings: None,
        page: None,
    })
    .unwrap();
    let knn = report.knn.unwrap().classification;
    (knn.accuracy, knn.chance, knn.queries)
}

fn held(folder: &Path, label: Option<&str>) -> HeldFigures {
    let config = Preset::Micro.model(NormKind::Batch);
    let list = HeldList::open(folder, label, config.sample, CLIPS).unwrap();
    let held = list.read(|| true).unwrap().unwrap();
    let model = Model::random(&config, 7, Device::Cpu).unwrap();
    assert_eq!(held.judge(&model, 1, || false).unwrap(), None, "told to stop");
    held.judge(&model, 1, || true).unwrap().unwrap()
}

#[test]
fn a_folder_that_is_held_gives_what_evaluation_gives_of_the_same_network() {
    let root = tempfile::tempdir().unwrap();
    let folders = root.path().join("folders");
    class_folders(&folders);
    let figures = held(&folders, None);
    // Folds of one video each: the same as each video against all others.
    let (accuracy, _, queries) = evaluated(DatasetOptions::folder(&folders), 9);
    assert_eq!((figures.accuracy, figures.queries), (accuracy, queries));
    assert_eq!((figures.protocol, queries), (Protocol::LeaveOneOut, 9));
    assert!((figures.chance - 1.0 / 3.0).abs() < 1e-9, "{figures:?}");

    let split = root.path().join("split");
    benchmark(&split);
    let figures = held(&split, Some("motion"));
    let options = DatasetOptions {
        label: Some("motion".to_owned()),
        ..DatasetOptions::folder(&split)
    };
    let (accuracy, chance, queries) = evaluated(options, 2);
    assert_eq!(figures.protocol, Protocol::TrainTest);
    assert_eq!((figures.accuracy, figures.chance), (accuracy, chance));
    assert_eq!(figures.queries, queries);
}

#[test]
fn networks_are_judged_when_they_come_and_one_that_diverged_is_counted() {
    let root = tempfile::tempdir().unwrap();
    class_folders(root.path());
    std::fs::write(root.path().join("spokes/broken.mp4"), b"no video").unwrap();
    let train = TrainConfig {
        ema_decay: 0.0,
        ..TrainConfig::default()
    };
    let learner = Learner::new(&train, Device::Cpu).unwrap();
    let config = ProbeConfig {
        dir: Some(root.path().to_owned()),
        every: Duration::from_millis(1),
        ..ProbeConfig::default()
    };
    let own_threads = tch::get_num_threads();
    let (prober, mut hand_over) = Prober::open(root.path(), &config, train.model()).unwrap();
    assert_eq!((prober.videos(), prober.classes()), (10, 3));
    let (tell, told) = mpsc::channel();
    let thread = prober.start(move |event| tell.send(event).unwrap()).unwrap();
    let next = || told.recv_timeout(PATIENCE).unwrap();

    let ProbeEvent::Ready {
        videos,
        unreadable,
        bytes,
    } = next()
    else {
        panic!("not ready first");
    };
    assert_eq!((videos, unreadable.len()), (9, 1));
    assert_eq!(unreadable[0].0, "spokes/broken.mp4");
    let spec = train.model().sample;
    let frame = 3 * u64::from(spec.frame_size.width) * u64::from(spec.frame_size.height);
    assert_eq!(bytes, 9 * 2 * u64::from(spec.clip_frames) * frame);

    let mut give = || {
        while !hand_over.wants() {
            std::thread::sleep(Duration::from_millis(1));
        }
        hand_over.take(learner.video_weights());
        assert!(!hand_over.wants(), "nothing is wanted twice");
    };
    give();
    let first = next();
    let ProbeEvent::Judged { step: 0, figures, .. } = &first else {
        panic!("{first:?}");
    };
    assert_eq!(figures.queries, 9);
    let weights = learner.model().store().trained();
    let sound = no_grad(|| weights.copy());
    let set = |values: &tch::Tensor| no_grad(|| weights.shallow_clone().copy_(values));
    set(&(&sound * f64::NAN));
    // Of the same step, which was judged: it is as if nothing had come.
    give();
    assert!(told.try_recv().is_err());
    drop(hand_over);
    assert!(thread.join(), "it ends when nobody trains");
    assert_eq!(tch::get_num_threads(), own_threads);

    // Judged first, it is no network.
    let (prober, mut hand_over) = Prober::open(root.path(), &config, train.model()).unwrap();
    let (tell, told) = mpsc::channel();
    let thread = prober.start(move |event| tell.send(event).unwrap()).unwrap();
    let next = || told.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(next(), ProbeEvent::Ready { .. }));
    let mut give = || {
        while !hand_over.wants() {
            std::thread::sleep(Duration::from_millis(1));
        }
        hand_over.take(learner.video_weights());
    };
    give();
    let diverged = next();
    assert!(
        matches!(&diverged, ProbeEvent::Failed { failure: ProbeFailure::Features, message, .. } if message.contains("diverged")),
        "{diverged:?}"
    );
    set(&sound);
    give();
    assert!(matches!(next(), ProbeEvent::Judged { .. }));
    drop(hand_over);
    assert!(thread.join());
}

fn place_with_probe(folder: &Path) -> Place {
    let place = Place::new();
    let config = std::fs::read_to_string(place.path("config.toml")).unwrap();
    let probe = format!("[probe]\ndir = {folder:?}\nevery = \"1s\"\nneighbours = 1\n");
    std::fs::write(place.path("config.toml"), config + &probe).unwrap();
    place
}

#[test]
fn the_running_program_tells_the_figure_as_metric_over_the_api_and_on_the_page() {
    let root = tempfile::tempdir().unwrap();
    class_folders(root.path());
    let place = place_with_probe(root.path());
    let mut run = Run::start(&place.run([PATTERNS]));
    run.wait_for_message("trained");
    run.wait_for_line("a probe of a trained network", |line| {
        line["message"] == "probed" && line["step"].as_u64().is_some_and(|step| step > 0)
    });
    // The log has it a moment before the board.
    let probe = run.wait_for("its figure", |run| {
        let probe = run.json("/api/v1/train")["probe"].clone();
        probe["last"]["accuracy"].is_f64().then_some(probe)
    });
    assert_eq!(
        (&probe["videos"], &probe["classes"]),
        (&9.into(), &3.into()),
        "{probe}"
    );
    let last = &probe["last"];
    let accuracy = last["accuracy"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&accuracy), "{probe}");
    assert!((last["chance"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(run.json("/api/v1/status")["probe"]["classes"], 3);
    let metrics = run.get("/metrics").unwrap();
    for begin in [
        "comove_probe_accuracy_ratio ",
        "comove_probe_chance_ratio 0.333",
        "comove_probe_step ",
        "comove_probe_videos{outcome=\"held\"} 9",
        "comove_probe_videos{outcome=\"unreadable\"} 0",
        "comove_probe_seconds_count ",
        "comove_probe_copy_seconds_count ",
        "comove_probes_total ",
        "comove_probe_failures_total{reason=\"features\"} 0",
        "comove_memory_bytes{owner=\"probe\"} ",
    ] {
        assert!(
            metrics.lines().any(|line| line.starts_with(begin)),
            "{begin} is missing in {metrics}"
        );
    }
    assert!(run.get("/").unwrap().contains("k-NN probe"));
    let status = program::comove(&["status".to_owned(), run.url("")]);
    assert!(
        status.stdout.contains("k-NN probe") && status.stdout.contains("of 9 videos (chance 33.3 %)"),
        "{status:?}"
    );
    run.signal("TERM");
    let ended = run.end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.logged("the probe's thread did not end in time").is_empty());
}

#[test]
fn a_bad_folder_is_an_error_before_work_starts() {
    let root = tempfile::tempdir().unwrap();
    let file = |path: PathBuf, content: &[u8]| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let one_class = root.path().join("one");
    file(one_class.join("run/1.mp4"), b"");
    let unreadable = root.path().join("unreadable");
    class_folders(&unreadable);
    file(unreadable.join("walk/1.mp4"), b"no video");
    let split = root.path().join("split");
    benchmark(&split);
    for (folder, said) in [
        (root.path().join("none"), "not a folder"),
        (one_class, "all videos are of one class"),
        (unreadable, "none of the 1 videos of class walk could be decoded"),
        (split, "context, motion"),
    ] {
        let place = place_with_probe(&folder);
        refused(&place.run([PATTERNS]), 1, &["probe.dir", said]);
        assert!(!place.checkpoints().exists(), "work had started");
        let config = place.path("config.toml");
        let check = ["check".as_ref(), "-c".as_ref(), config.as_os_str()];
        refused(&check, 1, &["probe.dir", said]);
    }
}
