use std::sync::Arc;

use bytesize::ByteSize;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::behaviour::{Bench, ippp};
use crate::decode::{DecodeError, RgbPicture};
use crate::ingest::{DropReason, Fate};
use crate::replay::{Replay, ReplayConfig};
use crate::window::*;

/// Pictures whose every byte is their display position, as the chooser's choice wants them.
fn decoded(choice: &Choice) -> Vec<RgbPicture> {
    let job = &choice.job;
    let position = |rank: u32| {
        let fed = job.feed.iter().find(|feed| feed.display_rank == rank).unwrap();
        fed.unit.index as u8
    };
    job.wanted
        .iter()
        .map(|rank| RgbPicture {
            display_rank: *rank,
            pixels: vec![position(*rank); 3 * job.size.area()],
        })
        .collect()
}

fn one_choice() -> (Bench, Choice) {
    let mut bench = Bench::new(WindowConfig::default());
    bench.play(&ippp(60, 100), |display| display as i16);
    let choice = bench.choices.remove(0);
    (bench, choice)
}

fn replay() -> Arc<Replay> {
    replay_of(ReplayConfig::default().capacity)
}

fn replay_of(capacity: ByteSize) -> Arc<Replay> {
    let config = ReplayConfig {
        samples_per_insert: 1.0,
        capacity,
        ..ReplayConfig::default()
    };
    Arc::new(Replay::new(&config, 1, ChaCha8Rng::seed_from_u64(1)).unwrap())
}

#[test]
fn a_sample_has_its_pictures_and_maps_in_display_order() {
    let (_bench, choice) = one_choice();
    let mut pictures = decoded(&choice);
    pictures.reverse();
    let sample = assemble(&choice.plan, &pictures).unwrap();
    let spec = sample.spec;
    let start = choice.plan.place.clip_start;
    let pixels = 3 * spec.frame_size.area();
    let shown: Vec<u64> = sample
        .clip
        .chunks(pixels)
        .map(|picture| u64::from(picture[0]))
        .collect();
    assert_eq!(shown, (0..8).map(|frame| start + 2 * frame).collect::<Vec<_>>());
    assert!(sample.key_frame.iter().all(|byte| *byte == 0) && sample.key_frame.len() == pixels);
    // A display position is that many quarter samples a count: 32/64 pixel a frame.
    let map = 2 * spec.motion_size.area();
    let firsts = |maps: &[i16]| -> Vec<u64> { maps.chunks(map).map(|map| map[0] as u64 / 32).collect() };
    assert_eq!(
        firsts(&sample.target),
        (start + 15..start + 19).collect::<Vec<_>>()
    );
    let negatives: Vec<u64> = choice
        .plan
        .place
        .negative_starts
        .iter()
        .flat_map(|first| *first..first + 4)
        .map(|display| {
            if display == 0 {
                i16::MIN as i64 as u64 / 32
            } else {
                display
            }
        })
        .collect();
    assert_eq!(firsts(&sample.negatives), negatives);
}

#[test]
fn pictures_that_are_missing_or_have_another_size_are_named() {
    let (_bench, choice) = one_choice();
    let mut pictures = decoded(&choice);
    let rank = pictures.pop().unwrap().display_rank;
    let missing = assemble(&choice.plan, &pictures).unwrap_err();
    assert!(matches!(missing, AssembleError::MissingPicture { rank: named, .. } if named == rank));
    pictures.push(RgbPicture {
        display_rank: rank,
        pixels: vec![0; 10],
    });
    let wrong = assemble(&choice.plan, &pictures).unwrap_err();
    assert!(
        wrong
            .to_string()
            .contains("has 10 bytes; 96×72 RGB pixels have 20736"),
        "{wrong}"
    );
}

#[test]
fn every_end_of_a_plan_settles_its_units() {
    let closed = |choice: &Choice| DecodeError::Closed {
        stream: choice.plan.stream.clone(),
    };
    let small = replay_of(ByteSize(1));
    let ends: Vec<(Fate, Arc<Replay>, bool)> = vec![
        (Fate::Used, replay(), true),
        (Fate::Dropped(DropReason::Stopping), replay(), false),
        (Fate::Dropped(DropReason::ReplayFull), small, true),
    ];
    for (fate, replay, decodes) in ends {
        let (mut bench, choice) = one_choice();
        let place = replay.promise(&choice.plan.stream).unwrap();
        bench.end();
        for other in bench.choices.drain(..) {
            other.plan.settle(Fate::Dropped(DropReason::DecodersBusy));
        }
        let assembler = Assembler::new(replay);
        let pictures = if decodes {
            Ok(decoded(&choice))
        } else {
            Err(closed(&choice))
        };
        let end = assembler.finish(&choice.plan, None, place, pictures);
        assert_eq!(end.is_ok(), fate == Fate::Used, "{end:?}");
        let units = choice.plan.units.len() as u64;
        drop(choice);
        let account = bench.source.ledger.snapshot();
        assert!(account.closes());
        assert_eq!((account.settled(fate), account.buffered), (units, 0), "{fate:?}");
        assert_eq!(account.settled(Fate::Dropped(DropReason::Unsettled)), 0);
    }
}
