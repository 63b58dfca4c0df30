//! Who waits for whom.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::ingest::StreamName;

fn name(stream: &str) -> StreamName {
    StreamName::new(stream).unwrap()
}

fn ticket(stream: &str) -> Ticket {
    Ticket {
        stream: name(stream),
        number: 1,
    }
}

/// A trainer that is the bottleneck, files that always wait, and a camera that asks now and then, when places are gone.
#[test]
fn a_live_stream_gets_its_share_beside_files_that_always_wait() {
    let replay = Arc::new(limited(1.0, 4, 4));
    let files = ["one", "two"].map(|stream| {
        let replay = replay.clone();
        thread::spawn(move || {
            loop {
                match replay.wait_for_turn(&ticket(stream), PATIENCE) {
                    Turn::Now(place) => {
                        let _ = replay.insert_at(place, Sample::small(stream, 0, 10));
                    }
                    Turn::NotYet => {}
                    Turn::Closed => return,
                }
            }
        })
    });
    let settled = |was: u64| {
        // The files take what they get.
        let deadline = std::time::Instant::now() + PATIENCE;
        while replay.snapshot().inserted == was && std::time::Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(10));
    };
    settled(0);
    let door = name("door");
    let mut shed = 0;
    for _ in 0..40 {
        let was = replay.snapshot().inserted;
        assert!(replay.sample_batch(4, PATIENCE).is_ok());
        settled(was);
        match replay.promise(&door) {
            Ok(place) => replay.insert_at(place, Sample::small("door", 0, 10)).unwrap(),
            Err(refused) => {
                assert_eq!(refused, InsertRefused::TrainerBehind);
                shed += 1;
            }
        }
    }
    assert!(shed <= 2, "{shed} of 40 windows shed");
    let inserted = replay.by_stream();
    assert!(
        inserted[&name("one")] > 30 && inserted[&name("two")] > 30,
        "{inserted:?}"
    );
    replay.close();
    files.into_iter().for_each(|file| file.join().unwrap());
}

#[test]
fn a_place_is_kept_until_its_sample_comes_and_goes_back_if_none_does() {
    let replay = Arc::new(limited(1.0, 2, 2));
    let door = name("door");
    while replay.sample_batch(2, Duration::ZERO).is_err() {
        replay.try_insert(Sample::small("a", 0, 10)).unwrap();
    }
    let mut places = Vec::new();
    while let Ok(place) = replay.promise(&door) {
        places.push(place);
    }
    assert!(!places.is_empty());
    assert_eq!(
        replay.try_insert(Sample::small("a", 0, 10)),
        Err(InsertRefused::TrainerBehind)
    );
    drop(places.pop());
    places.push(replay.promise(&door).unwrap());
    let before = replay.snapshot().inserted;
    let promised = places.len() as u64;
    for place in places {
        replay.insert_at(place, Sample::small("door", 0, 10)).unwrap();
    }
    assert_eq!(replay.snapshot().inserted, before + promised);
    assert!(replay.snapshot().balance <= 3.0);
    assert!(matches!(replay.promise(&door), Err(InsertRefused::TrainerBehind)));
}

#[test]
fn live_streams_are_refused_and_files_wait_while_training_is_behind() {
    let replay = Arc::new(limited(1.0, 2, 2));
    let mut stored = 0;
    while replay.wants_samples() {
        replay.try_insert(Sample::small("a", stored, 10)).unwrap();
        stored += 1;
        assert!(stored < 100, "the limiter never held an insert back");
    }
    assert_eq!(replay.snapshot().limiter, LimiterState::TrainerBehind);
    assert_eq!(
        replay.try_insert(Sample::small("a", 99, 10)),
        Err(InsertRefused::TrainerBehind)
    );
    let file = thread::spawn({
        let replay = replay.clone();
        move || replay.insert_blocking(Sample::small("file", 0, 10))
    });
    let scout = thread::spawn({
        let replay = replay.clone();
        move || loop {
            match replay.wait_for_turn(&ticket("file"), Duration::from_millis(10)) {
                Turn::NotYet => {}
                turn => return turn,
            }
        }
    });
    thread::sleep(Duration::from_millis(30));
    assert!(!file.is_finished() && !scout.is_finished());
    assert_eq!(replay.snapshot().inserted, stored);
    replay.sample_batch(2, Duration::ZERO).unwrap();
    assert!(file.join().unwrap().is_ok());
    replay.close();
    drop(scout.join().unwrap());
    assert!(matches!(
        replay.wait_for_turn(&ticket("file"), PATIENCE),
        Turn::Closed
    ));
    let now = replay.snapshot();
    assert_eq!((now.inserted, now.refused), (stored + 1, 1));
    assert!(
        now.insert_wait >= Duration::from_millis(20),
        "{:?}",
        now.insert_wait
    );
}

#[test]
fn training_waits_for_sources_and_says_so() {
    let replay = Arc::new(limited(1.0, 4, 4));
    assert_eq!(
        replay.snapshot().limiter,
        LimiterState::WarmingUp { stored: 0, needed: 4 }
    );
    let waited = Duration::from_millis(10);
    assert_eq!(replay.sample_batch(4, waited), Err(NoBatch::TimedOut { waited }));
    let trainer = thread::spawn({
        let replay = replay.clone();
        move || replay.sample_batch(4, PATIENCE)
    });
    for number in 0..4 {
        replay.try_insert(Sample::small("a", number, 10)).unwrap();
    }
    assert_eq!(trainer.join().unwrap().unwrap().len(), 4);
    assert!(replay.snapshot().sample_wait >= waited);
}

#[test]
fn when_sources_have_ended_training_goes_on_to_its_limit_and_not_beyond() {
    let config = ReplayConfig {
        samples_per_insert: 1.0,
        min_samples: 1000,
        final_samples_per_insert: Some(5.0),
        ..ReplayConfig::default()
    };
    let replay = Replay::new(&config, 4, rng(1)).unwrap();
    for number in 0..8 {
        replay.try_insert(Sample::small("a", number, 10)).unwrap();
    }
    let waited = Duration::ZERO;
    assert_eq!(replay.sample_batch(4, waited), Err(NoBatch::TimedOut { waited }));
    replay.sources_ended();
    for _ in 0..10 {
        replay.sample_batch(4, waited).unwrap();
    }
    let exhausted = replay.sample_batch(4, waited).unwrap_err();
    assert!(
        matches!(
            exhausted,
            NoBatch::Exhausted {
                inserted: 8,
                stored: 8,
                sampled: 40,
                limit: 5.0,
                batch: 4
            }
        ),
        "{exhausted}"
    );
    replay.sources_started();
    assert_eq!(replay.sample_batch(4, waited), Err(NoBatch::TimedOut { waited }));
}

#[test]
fn closing_wakes_everybody() {
    let starved = Arc::new(limited(1.0, 100, 8));
    let full = Arc::new(limited(1.0, 1, 1));
    let mut number = 0;
    while full.wants_samples() {
        full.try_insert(Sample::small("a", number, 10)).unwrap();
        number += 1;
    }
    let trainers: Vec<_> = (0..4)
        .map(|_| starved.clone())
        .map(|replay| thread::spawn(move || replay.sample_batch(8, Duration::from_secs(3600))))
        .collect();
    let files: Vec<_> = (0..4)
        .map(|_| full.clone())
        .map(|replay| thread::spawn(move || replay.insert_blocking(Sample::small("file", 0, 10))))
        .collect();
    thread::sleep(Duration::from_millis(20));
    starved.close();
    full.close();
    for trainer in trainers {
        assert_eq!(trainer.join().unwrap(), Err(NoBatch::Closed));
    }
    for file in files {
        assert_eq!(file.join().unwrap(), Err(InsertRefused::Closed));
    }
    assert_eq!(
        full.try_insert(Sample::small("a", 0, 10)),
        Err(InsertRefused::Closed)
    );
    assert!(!full.wants_samples());
    assert_eq!(full.snapshot().limiter, LimiterState::Closed);
}

#[test]
fn many_files_and_a_trainer_keep_the_ratio_without_a_deadlock() {
    let (batch, per_insert, files, each) = (5usize, 3.0, 8u64, 60u64);
    let replay = Arc::new(limited(per_insert, 10, batch));
    let inserters: Vec<_> = (0..files)
        .map(|file| {
            let replay = replay.clone();
            thread::spawn(move || {
                (0..each).for_each(|n| {
                    replay
                        .insert_blocking(Sample::small("file", file * each + n, 10))
                        .unwrap();
                })
            })
        })
        .collect();
    let trainer = thread::spawn({
        let replay = replay.clone();
        move || {
            loop {
                match replay.sample_batch(batch, PATIENCE) {
                    Ok(drawn) => assert_eq!(drawn.len(), batch),
                    Err(end) => return end,
                }
            }
        }
    });
    inserters
        .into_iter()
        .for_each(|inserter| inserter.join().unwrap());
    replay.sources_ended();
    assert!(matches!(trainer.join().unwrap(), NoBatch::Exhausted { .. }));
    let now = replay.snapshot();
    assert_eq!(now.inserted, files * each);
    let owed = per_insert * now.inserted as f64 - now.sampled as f64;
    assert!((0.0..batch as f64).contains(&owed), "{owed} samples not drawn");
}

#[test]
fn the_ratio_can_be_changed_while_both_sides_wait() {
    let replay = Arc::new(limited(1.0, 2, 2));
    let mut stored = 0;
    while replay.wants_samples() {
        replay.try_insert(Sample::small("a", stored, 10)).unwrap();
        stored += 1;
    }
    while replay.sample_batch(2, Duration::ZERO).is_ok() {}
    let trainer = thread::spawn({
        let replay = replay.clone();
        move || replay.sample_batch(2, PATIENCE).map(|batch| batch.len())
    });
    thread::sleep(Duration::from_millis(20));
    assert!(!trainer.is_finished());
    replay.set_samples_per_insert(4.0).unwrap();
    // A wider tolerance at once, and from now on four draws an insert.
    assert_eq!(trainer.join().unwrap(), Ok(2));
    assert_eq!(replay.snapshot().samples_per_insert_wanted, 4.0);
    let before = replay.snapshot().sampled;
    for _ in 0..10 {
        replay.insert_blocking(Sample::small("a", stored, 10)).unwrap();
        stored += 1;
        while replay.sample_batch(2, Duration::ZERO).is_ok() {}
    }
    let drawn = replay.snapshot().sampled - before;
    assert!((38..=44).contains(&drawn), "{drawn} drawn for ten inserts");
    let told = replay.set_samples_per_insert(0.0).unwrap_err().to_string();
    assert!(told.contains("replay.samples_per_insert = 0"), "{told}");
}
