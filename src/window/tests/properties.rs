use std::collections::{BTreeSet, HashMap};

use bytesize::ByteSize;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::stream::*;
use crate::ingest::{DropReason, Fate};
use crate::window::display_order::REORDER_FRAMES_MAX;
use crate::window::*;

/// All that must hold of a choice, from what the encoder knew.
fn check_choice(
    choice: &Choice,
    stream: &[Coded],
    usable_from: u64,
    lost: Option<usize>,
    gops_fit: bool,
) -> Result<(), TestCaseError> {
    let (plan, job) = (&choice.plan, &choice.job);
    let all: Vec<usize> = job.feed.iter().map(|feed| feed.unit.index as usize).collect();
    // Before a start that is no IDR picture: the one or two reference pictures before it.
    let starts = |place: &usize| {
        let coded = &stream[all[*place]];
        coded.random_access && (coded.idr || *place > 0)
    };
    let preroll = (0..all.len()).find(starts).unwrap();
    let (before, fed) = all.split_at(preroll);
    let references = (0..fed[0]).rev().filter(|index| stream[*index].reference);
    prop_assert!(references.take(preroll).eq(before.iter().rev().copied()));
    prop_assert!(preroll > 0 || stream[fed[0]].idr);
    prop_assert!(preroll <= 2);
    let feed = &job.feed[preroll..];
    let coded_at: HashMap<u32, &Coded> = feed
        .iter()
        .map(|feed| (feed.display_rank, &stream[feed.unit.index as usize]))
        .collect();
    let ranks: BTreeSet<u32> = job.feed.iter().map(|feed| feed.display_rank).collect();
    prop_assert_eq!(ranks.len(), job.feed.len(), "display ranks repeat");

    // The clip: every second frame of the true display order.
    let clip: Vec<u64> = plan
        .clip_ranks
        .iter()
        .map(|rank| coded_at[rank].display)
        .collect();
    let expected: Vec<u64> = (0..8).map(|frame| clip[0] + 2 * frame).collect();
    prop_assert_eq!(&clip, &expected);

    // Key frame: an I picture, within the margin if there is one.
    let key = coded_at[&plan.key_rank];
    prop_assert_eq!(key.coded_type, CodedType::I);
    let distance = |display: u64| {
        clip[0]
            .saturating_sub(display)
            .max(display.saturating_sub(clip[7]))
    };
    let by_display = by_display(stream);
    let near_exists = stream.iter().any(|coded| {
        coded.coded_type == CodedType::I
            && coded.segment == plan.segment
            && coded.display >= usable_from
            && coded.display <= clip[7] + 5
            && distance(coded.display) <= 5
    });
    prop_assert!(!near_exists || lost.is_some() || !gops_fit || distance(key.display) <= 5);

    // Target and negatives: the maps of the right frames, in order.
    let window = |maps: &[MotionMap], start: u64| -> Result<(), TestCaseError> {
        prop_assert_eq!(maps.len(), 4);
        for (offset, map) in maps.iter().enumerate() {
            let display = start + offset as u64;
            let coded = &stream[by_display[&display]];
            let told = (coded.coded_type != CodedType::I).then_some(display);
            prop_assert_eq!(display_of(map), told);
            prop_assert_eq!(coded.segment, plan.segment);
        }
        Ok(())
    };
    let target_start = clip[7] + 1;
    window(&plan.target, target_start)?;
    prop_assert_eq!(plan.negatives.len(), 3);
    let to_display = |rank: u64| clip[0] + rank - plan.place.clip_start;
    let mut starts = BTreeSet::new();
    for (maps, rank) in plan.negatives.iter().zip(&plan.place.negative_starts) {
        let start = to_display(*rank);
        window(maps, start)?;
        prop_assert!(start + 4 <= target_start || start >= target_start + 4);
        prop_assert!(starts.insert(start), "two negatives are the same");
    }

    // The feed: decoding order, nothing superfluous, nothing missing.
    prop_assert!(fed.is_sorted_by(|a, b| a < b));
    prop_assert!(stream[fed[0]].random_access);
    let mut ranks: Vec<_> = feed.iter().collect();
    ranks.sort_by_key(|feed| feed.display_rank);
    let displays = ranks.iter().map(|feed| stream[feed.unit.index as usize].display);
    prop_assert!(displays.is_sorted());
    prop_assert_eq!(ranks[0].display_rank as usize, preroll);
    let mut wanted: Vec<u32> = plan.clip_ranks.iter().copied().chain([plan.key_rank]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    prop_assert_eq!(&wanted, &job.wanted);
    prop_assert!(wanted.contains(&job.feed.last().unwrap().display_rank));
    let mut start = fed[0];
    for (previous, feed) in [fed[0]].iter().chain(fed).zip(feed) {
        let index = feed.unit.index as usize;
        let coded = &stream[index];
        prop_assert_eq!(coded.segment, plan.segment);
        prop_assert!(lost.is_none_or(|lost| fed[0] > lost || *fed.last().unwrap() < lost));
        prop_assert!(coded.reference || wanted.contains(&feed.display_rank));
        let skipped_reference = (previous + 1..index).any(|between| stream[between].reference);
        prop_assert!(
            !skipped_reference || coded.idr,
            "a reference is missing before {}",
            index
        );
        if coded.idr {
            start = index;
        }
        // Leading pictures of the first key frame are fed for the decoder's reference marking only.
        if coded.display >= stream[start].display {
            for reference in &coded.refers_to {
                prop_assert!(
                    fed.contains(reference),
                    "picture {} refers to {}",
                    index,
                    reference
                );
            }
        } else {
            prop_assert!(!wanted.contains(&feed.display_rank));
        }
    }
    Ok(())
}

fn recipes() -> impl Strategy<Value = Recipe> {
    (
        1usize..12,
        1usize..60,
        0usize..8,
        prop::sample::select(vec![0.0, 0.5, 1.0]),
        prop::sample::select(vec![0.0, 0.1]),
        prop::sample::select(vec![0.0, 0.05]),
        prop::sample::select(vec![0.0, 0.3]),
        1i32..3,
    )
        .prop_map(
            |(gops, longest_gop, most_b, open_gops, extra_i, resets, segment_ends, poc_step)| Recipe {
                gops,
                longest_gop,
                most_b,
                open_gops,
                extra_i,
                resets,
                segment_ends,
                poc_step,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_choice_is_aligned_and_decodable_and_the_ledger_closes(
        recipe in recipes(),
        seed in any::<u64>(),
        buffer_pictures in prop::sample::select(vec![40usize, 100, 600]),
        buffer_bytes in prop::sample::select(vec![2_000u64, 1 << 30]),
        cadence in 1u32..20,
        lost in prop::option::of(0usize..200),
        shed_every in 2usize..5,
    ) {
        let stream = random_stream(recipe, seed);
        let lost = lost.filter(|lost| *lost < stream.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let config = WindowConfig {
            cadence_frames: Some(cadence),
            buffer_pictures,
            buffer_bytes: ByteSize(buffer_bytes),
            ..WindowConfig::default()
        };
        let mut chooser = Chooser::new(stream_name(), micro_spec(), config).unwrap();
        let mut source = Source::new();
        let mut choices = Vec::new();
        let mut offers = 0;
        let mut demand = || {
            offers += 1;
            if offers % shed_every == 0 { Demand::Shed(DropReason::ReplayFull) } else { Demand::Now }
        };
        for (index, coded) in stream.iter().enumerate() {
            let unit = source.unit(coded.segment, 30);
            let outcome = if Some(index) == lost {
                unit.receipt.settle(Fate::Dropped(DropReason::CorruptBitstream));
                chooser.interrupt(&mut demand, &mut rng)
            } else {
                chooser.push(unit, source.facts(coded), &mut demand, &mut rng)
            };
            choices.extend(outcome.choices);
            let held = chooser.stats();
            // A GOP goes once the next one's key frame has its place: its leading pictures and the reordering later.
            let late = 2 * REORDER_FRAMES_MAX + 1;
            prop_assert!(held.held_pictures <= buffer_pictures + late);
            prop_assert!(held.held_bytes as u64 <= buffer_bytes + 50 * late as u64);
            let account = source.ledger.snapshot();
            prop_assert!(account.closes());
            prop_assert_eq!(account.received, source.sent);
        }
        choices.extend(chooser.end_segment(Ending::Whole, &mut demand, &mut rng).choices);
        let stats = chooser.stats();
        prop_assert_eq!(stats.windows as usize, choices.len());
        prop_assert_eq!((stats.held_pictures, stats.held_bytes, stats.out_of_order), (0, 0, 0));
        for choice in &choices {
            let mut units = choice.job.feed.iter().map(|feed| feed.unit.index as usize);
            let first_fed = &stream[units.find(|index| stream[*index].random_access).unwrap()];
            check_choice(choice, &stream, first_fed.display, lost, stats.long_gops == 0)?;
            choice.plan.settle(Fate::Used);
        }
        let starts: Vec<u64> = choices
            .iter()
            .map(|choice| {
                let job = &choice.job;
                let first = job.feed.iter().find(|feed| feed.display_rank == choice.plan.clip_ranks[0]).unwrap();
                stream[first.unit.index as usize].display
            })
            .collect();
        for (pair, start) in choices.windows(2).zip(starts.windows(2)) {
            if pair[0].plan.segment == pair[1].plan.segment && lost.is_none() {
                prop_assert!(start[1] >= start[0] + u64::from(cadence) || stats.long_gops > 0);
            }
        }
        drop(choices);
        let account = source.ledger.snapshot();
        prop_assert!(account.closes());
        prop_assert_eq!(account.buffered, 0);
        prop_assert_eq!(account.settled(Fate::Dropped(DropReason::Unsettled)), 0);
        prop_assert_eq!(account.settled(Fate::Dropped(DropReason::CorruptBitstream)), u64::from(lost.is_some()));
    }

    /// A video that is long enough and moves gives at least one window, whatever its structure and however little moves.
    #[test]
    fn a_video_that_is_long_enough_always_gives_a_sample(
        most_b in 0usize..8,
        longest_gop in 5usize..60,
        seed in any::<u64>(),
        quiet in any::<bool>(),
    ) {
        let recipe = Recipe {
            gops: 19,
            longest_gop,
            most_b,
            open_gops: 0.0,
            extra_i: 0.0,
            resets: 0.0,
            segment_ends: 0.0,
            poc_step: 2,
        };
        let stream = random_stream(recipe, seed);
        let mut chooser = Chooser::new(stream_name(), micro_spec(), WindowConfig::default()).unwrap();
        let mut source = Source::new();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut windows = 0;
        for coded in &stream {
            let unit = source.unit(0, 30);
            let mut facts = source.facts(coded);
            if quiet && coded.coded_type != CodedType::I {
                facts.motion = source.motion(0);
            }
            windows += chooser.push(unit, facts, &mut || Demand::Now, &mut rng).choices.len();
        }
        let end = chooser.end_segment(Ending::Whole, &mut || Demand::Now, &mut rng);
        prop_assert_eq!(end.notices, vec![]);
        prop_assert!(windows + end.choices.len() >= 1);
    }
}
