//! kill -9 at any moment, again and again. `COMOVE_KILLS=100` is what the documentation's figures come from.

#![allow(clippy::unwrap_used, reason = "test code")]

mod faulty;
mod program;

use std::time::{Duration, Instant};

use comove::checkpoint::{list, load_samples, resolve, verify};
use faulty::row;
use program::{Place, Run, comove};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Small pictures, so that much of the time goes into checkpoints.
const STREAM: &str = "synthetic:width=64&height=48&scene_frames=60";

#[test]
fn killed_at_random_moments_the_newest_complete_checkpoint_always_loads_and_training_goes_on() {
    let kills: u64 = std::env::var("COMOVE_KILLS").map_or(4, |kills| kills.parse().unwrap());
    let place = Place::new();
    let config = std::fs::read_to_string(place.path("config.toml")).unwrap();
    let config = format!("{config}\n[checkpoint]\nevery_steps = 1\nkeep = 2\n");
    std::fs::write(
        place.path("config.toml"),
        config.replace("batch_size = 4", "batch_size = 2"),
    )
    .unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (mut newest, mut lost_most, mut lost_all) = (0, 0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        let began = Instant::now();
        let mut run = Run::start(&place.run([STREAM, "--resume=if-present"]));
        let begins = run.wait_for_message("learning begins");
        assert_eq!(begins["step"].as_u64(), Some(newest), "round {round}");
        let first = run.wait_for_message("trained");
        slowest = slowest.max(began.elapsed());
        assert!(
            first["step"].as_u64() > Some(newest),
            "round {round}: training goes on"
        );
        // Some are killed within their first checkpoint, some after dozens.
        std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
        run.signal("KILL");
        let ended = run.end();
        let trained = ended.logged("trained").last().unwrap()["step"].as_u64().unwrap();
        if list(&place.checkpoints()).unwrap().is_empty() {
            lost_most = lost_most.max(trained);
            continue;
        }
        // As the next run does before it loads: what a killed writer left is finished or undone.
        drop(comove::checkpoint::CheckpointFolder::open(&place.checkpoints()).unwrap());
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
        let lost = trained.saturating_sub(newest);
        lost_most = lost_most.max(lost);
        lost_all += lost;
    }
    let ended = comove(&place.run([STREAM, "--resume=if-present", "--max-steps=2"]));
    assert!(ended.status.success(), "{ended:?}");
    assert!(verify(&place.checkpoints()).unwrap().step >= newest + 2);
    row(
        &format!("kill -9 at a random moment, {kills} times, a checkpoint every step"),
        Some(slowest),
        &format!(
            "{lost_most} steps at most, {:.1} on average",
            lost_all as f64 / kills as f64
        ),
        "every time the newest complete checkpoint loaded, with its replay, and training went on; recovery is the slowest start to the first step",
    );
}
