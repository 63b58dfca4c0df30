use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ingest::{FilePlace, StreamName};
use crate::window::ResumePoint;

fn name(stream: &str) -> StreamName {
    StreamName::new(stream).unwrap()
}

fn ticket(stream: &str, number: u64) -> Ticket {
    Ticket {
        stream: name(stream),
        number,
    }
}

fn replay() -> Replay {
    let config = ReplayConfig {
        min_samples: 2,
        samples_per_insert: 1.0,
        final_samples_per_insert: Some(100.0),
        ..ReplayConfig::default()
    };
    Replay::new(&config, 2, ChaCha8Rng::seed_from_u64(1)).unwrap()
}

fn in_order(streams: &[&str]) -> Replay {
    let replay = replay();
    replay.fix_order(streams.iter().map(|stream| name(stream)).collect());
    replay
}

fn stored(replay: &Replay) -> Vec<(String, u64)> {
    let content = replay.export(false, || {});
    let place = |sample: &StoredSample| (sample.stream().to_string(), sample.segment());
    content.samples.iter().map(place).collect()
}

#[test]
fn in_a_fixed_order_samples_are_taken_in_turn_whatever_came_first_and_only_by_whoever_draws() {
    let replay = in_order(&["a", "b"]);
    // Backwards, and b before a.
    for (stream, number) in [("b", 2), ("b", 1), ("a", 2)] {
        replay
            .arrive(
                &ticket(stream, number),
                Place::in_order(),
                Sample::small(stream, number, 10),
            )
            .unwrap();
    }
    assert!(replay.sample_batch(2, Duration::ZERO).is_err());
    assert!(stored(&replay).is_empty(), "it is the turn of a");
    replay
        .arrive(&ticket("a", 1), Place::in_order(), Sample::small("a", 1, 10))
        .unwrap();
    assert!(stored(&replay).is_empty());
    // It waits for a third sample, since inserting goes first.
    assert!(replay.sample_batch(2, Duration::ZERO).is_err());
    let places = [("a", 1), ("b", 1), ("a", 2), ("b", 2)].map(|(stream, n)| (stream.to_owned(), n));
    assert_eq!(stored(&replay), places);
}

#[test]
fn a_window_that_gives_nothing_and_a_stream_that_is_gone_are_passed_over() {
    let replay = in_order(&["a", "b", "c"]);
    replay
        .arrive(&ticket("a", 1), Place::in_order(), Sample::small("a", 1, 10))
        .unwrap();
    replay.give_up(&ticket("b", 1));
    replay.stream_gone(&name("c"));
    replay
        .arrive(&ticket("a", 2), Place::in_order(), Sample::small("a", 2, 10))
        .unwrap();
    assert!(replay.sample_batch(2, Duration::ZERO).is_err());
    assert_eq!(stored(&replay).len(), 2);
    // With every source over the last ones are drawn from, as after `sources_ended`.
    replay.source_over(&name("b"), 1);
    replay.source_over(&name("a"), 2);
    assert_eq!(replay.sample_batch(2, Duration::ZERO).unwrap().len(), 2);
    assert_eq!(replay.snapshot().limiter, LimiterState::SourcesEnded);
}

#[test]
fn a_stream_far_ahead_waits_without_keeping_a_decoder() {
    let replay = Arc::new(in_order(&["a", "b"]));
    let patience = Duration::from_millis(10);
    let mut number = 1;
    while let Turn::Now(place) = replay.wait_for_turn(&ticket("a", number), patience) {
        replay
            .arrive(&ticket("a", number), place, Sample::small("a", number, 10))
            .unwrap();
        number += 1;
        assert!(number < 100, "nothing holds it back");
    }
    let waiter = thread::spawn({
        let (replay, ticket) = (replay.clone(), ticket("a", number));
        move || replay.wait_for_turn(&ticket, Duration::from_secs(20))
    });
    replay
        .arrive(&ticket("b", 1), Place::in_order(), Sample::small("b", 1, 10))
        .unwrap();
    let _ = replay.sample_batch(2, Duration::ZERO);
    assert!(matches!(waiter.join().unwrap(), Turn::Now(_)));
}

fn point(windows: u64, file: u64) -> ResumePoint {
    ResumePoint {
        file: Some(FilePlace {
            pass: 1,
            index: file,
            path: "x.mp4".into(),
        }),
        segment: file,
        unit: 100 * file,
        windows,
        frames_before: 0,
        last_window: None,
        rng: ChaCha8Rng::seed_from_u64(file),
    }
}

#[test]
fn a_cursor_stands_at_the_last_file_before_which_everything_is_settled() {
    let replay = replay();
    let (door, settings) = (name("door"), "settings");
    let begins = replay.begin_stream(&door, settings, true);
    assert_eq!((begins.point.clone(), begins.first_numbers().unit), (None, 0));
    replay.pass_point(&door, point(0, 0));
    replay.pass_point(&door, point(2, 1));
    // A file without a window.
    replay.pass_point(&door, point(2, 2));
    replay
        .arrive(
            &ticket("door", 2),
            Place::in_order(),
            Sample::small("door", 0, 10),
        )
        .unwrap();
    let file = |replay: &Replay| {
        let content = replay.export(false, || {});
        let cursor = content.state.cursor("door").unwrap().clone();
        (cursor.point.as_ref().map(|point| point.segment), cursor)
    };
    let (at, cursor) = file(&replay);
    assert_eq!(at, Some(0), "window 1 is still on its way");
    assert!(cursor.is_settled(2) && !cursor.is_settled(1) && !cursor.is_settled(3));
    replay.give_up(&ticket("door", 1));
    assert_eq!(file(&replay).0, Some(2));
    replay.source_over(&door, 2);
    assert!(replay.is_over(&door, settings) && !replay.is_over(&door, "other settings"));
    // Whoever goes on begins there, and with other settings at the beginning, with new segment numbers.
    let resumed = super::arrivals::replay();
    resumed.import(replay.export(false, || {}).state, None);
    let begins = resumed.begin_stream(&door, settings, true);
    assert_eq!(
        (begins.first_numbers().segment, begins.first_numbers().unit),
        (2, 200)
    );
    let begins = resumed.begin_stream(&door, "other settings", true);
    assert_eq!((begins.point, begins.settled, begins.first_segment), (None, 0, 1));
}

#[test]
fn after_a_run_that_came_to_its_end_every_source_begins_anew() {
    let replay = replay();
    let door = name("door");
    replay.begin_stream(&door, "settings", true);
    replay
        .arrive(
            &ticket("door", 1),
            Place::in_order(),
            Sample::small("door", 4, 10),
        )
        .unwrap();
    replay.source_over(&door, 1);
    let resumed = |finished: bool| {
        let resumed = super::arrivals::replay();
        let content = replay.export(finished, || {});
        let stored = StoredSamples {
            samples: content.samples,
            policies: content.policies,
            missing: 0,
        };
        resumed.import(content.state, Some(stored));
        resumed
    };
    assert!(resumed(false).is_over(&door, "settings"));
    let anew = resumed(true);
    assert!(!anew.is_over(&door, "settings"));
    assert_eq!(anew.begin_stream(&door, "settings", true).first_segment, 5);
    assert_eq!(anew.snapshot().samples, 1);
}
