//! kill -9 at any moment, again and again. `COMOVE_KILLS=100` is what the documentation's figures come from.

#![allow(clippy::unwrap_used, reason = "test code")]

mod faulty;
mod program;

use std::time::{Duration, Instant};

use comove::checkpoint::{CheckpointFolder, list, load_samples, resolve, verify};
use faulty::row;
use program::{Place, Run, comove};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Small pictures, so that much of the time goes into checkpoints.
const STREAM: &str = "synthetic:width=64&height=48&scene_frames=60";

/// A place where every step writes a checkpoint.
fn place(replay: &str, sections: &str) -> Place {
    let place = Place::new();
    let config = std::fs::read_to_string(place.path("config.toml")).unwrap();
    let config = config
        .replace("batch_size = 4", "batch_size = 2")
        .replace("[replay]\n", &format!("[replay]\n{replay}"));
    let checkpoint = "\n[checkpoint]\nevery_steps = 1\nkeep = 2\n";
    std::fs::write(place.path("config.toml"), config + checkpoint + sections).unwrap();
    place
}

/// What the kills cost.
#[derive(Default)]
struct Cost {
    kills: u64,
    lost_most: u64,
    lost_all: u64,
    /// The slowest start to the first step.
    slowest: Duration,
}

impl Cost {
    fn row(&self, fault: &str, seen: &str) {
        let Self { kills, lost_most, .. } = self;
        let lost_on_average = self.lost_all as f64 / *kills as f64;
        row(
            &format!("kill -9 at a random moment, {kills} times, {fault}"),
            Some(self.slowest),
            &format!("{lost_most} steps at most, {lost_on_average:.1} on average"),
            seen,
        );
    }
}

/// Starts the program and kills it, again and again. `before_kill` looks at one that trains, `after_kill` at the newest checkpoint
/// of one that was killed: each must load, with its replay, and training must go on from it.
fn kill_again_and_again(
    place: &Place,
    mut before_kill: impl FnMut(&mut Run),
    mut after_kill: impl FnMut(&Place),
) -> Cost {
    let kills: u64 = std::env::var("COMOVE_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut newest = 0;
    let mut cost = Cost {
        kills,
        ..Cost::default()
    };
    for round in 0..kills {
        let began = Instant::now();
        let mut run = Run::start(&place.run([STREAM, "--resume=if-present"]));
        let begins = run.wait_for_message("learning begins");
        assert_eq!(begins["step"].as_u64(), Some(newest), "round {round}");
        let first = run.wait_for_message("trained");
        cost.slowest = cost.slowest.max(began.elapsed());
        assert!(
            first["step"].as_u64() > Some(newest),
            "round {round}: training goes on"
        );
        // Some are killed within their first checkpoint, some after dozens.
        std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
        before_kill(&mut run);
        run.signal("KILL");
        let ended = run.end();
        let trained = ended.logged("trained").last().unwrap()["step"].as_u64().unwrap();
        if list(&place.checkpoints()).unwrap().is_empty() {
            cost.lost_most = cost.lost_most.max(trained);
            continue;
        }
        // As the next run does before it loads: what a killed writer left is finished or undone.
        drop(CheckpointFolder::open(&place.checkpoints()).unwrap());
        let manifest = verify(&place.checkpoints()).unwrap();
        assert!(
            manifest.step >= newest,
            "round {round}: {} after {newest}",
            manifest.step
        );
        newest = manifest.step;
        let samples = load_samples(&resolve(&place.checkpoints()).unwrap()).unwrap();
        assert!(
            samples.is_some_and(|stored| !stored.samples.is_empty() && stored.missing == 0),
            "round {round}: with replay"
        );
        after_kill(place);
        let lost = trained.saturating_sub(newest);
        cost.lost_most = cost.lost_most.max(lost);
        cost.lost_all += lost;
    }
    let ended = comove(&place.run([STREAM, "--resume=if-present", "--max-steps=2"]));
    assert!(ended.status.success(), "{ended:?}");
    assert!(verify(&place.checkpoints()).unwrap().step >= newest + 2);
    cost
}

#[test]
fn killed_at_random_moments_the_newest_complete_checkpoint_always_loads_and_training_goes_on() {
    let cost = kill_again_and_again(&place("", ""), |_| {}, |_| {});
    cost.row(
        "a checkpoint every step",
        "every time the newest complete checkpoint loaded, with its replay, and training went on; recovery is the slowest start to the first step",
    );
}

/// How many samples the newest checkpoint says are on disk.
fn samples_in_slots(place: &Place) -> usize {
    let index = resolve(&place.checkpoints()).unwrap().join("samples.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(index).unwrap()).unwrap();
    let samples = index["samples"].as_array().unwrap();
    let in_slot = samples.iter().filter(|sample| sample["at"]["slot"].is_number());
    in_slot.count()
}

#[test]
fn killed_while_replay_is_on_disk_every_sample_that_a_checkpoint_names_is_whole() {
    // Memory for three samples, slots for some forty: they are soon written over, while checkpoints name them.
    let place = place(
        "capacity = \"1 MiB\"\n",
        "[replay.spill]\ncapacity = \"12 MiB\"\nsegment_size = \"3 MiB\"\n",
    );
    let mut rounds = 0;
    let mut most_on_disk = 0;
    let cost = kill_again_and_again(
        &place,
        |run| {
            let page = run.get("/metrics").expect("a page");
            for reason in ["damaged", "unreadable", "missing", "unwritable"] {
                let wanted = format!("comove_replay_spill_lost_total{{reason=\"{reason}\"}} 0");
                assert!(page.lines().any(|line| line == wanted), "no {wanted} in {page}");
            }
        },
        |place| {
            // `verify` has read and checked each of them.
            most_on_disk = most_on_disk.max(samples_in_slots(place));
            rounds += 1;
        },
    );
    assert!(
        rounds > 0 && most_on_disk > 3,
        "{most_on_disk} of {rounds} rounds"
    );
    cost.row(
        "a checkpoint every step, replay on disk (`[replay.spill]`)",
        &format!(
            "every time the newest complete checkpoint loaded, each sample that it names on disk was whole ({most_on_disk} at most), and training went on"
        ),
    );
}
