use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::stream::*;
use crate::ingest::{DropReason, Fate, SkipReason};
use crate::window::*;

/// A stream without B pictures: I every `gop` frames (IDR), else P.
pub fn ippp(frames: u64, gop: u64) -> Vec<Coded> {
    (0..frames)
        .map(|display| {
            let idr = display % gop == 0;
            Coded {
                coded_type: if idr { CodedType::I } else { CodedType::P },
                poc: (display % gop) as i32 * 2,
                idr,
                starts_poc_period: idr,
                random_access: idr,
                reference: true,
                refers_to: vec![],
                display,
                segment: 0,
            }
        })
        .collect()
}

pub struct Bench {
    pub chooser: Chooser,
    pub source: Source,
    pub rng: ChaCha8Rng,
    pub choices: Vec<Choice>,
    pub notices: Vec<Notice>,
    pub demand: Demand,
}

impl Bench {
    pub fn new(config: WindowConfig) -> Self {
        Self {
            chooser: Chooser::new(stream_name(), micro_spec(), config).unwrap(),
            source: Source::new(),
            rng: ChaCha8Rng::seed_from_u64(7),
            choices: Vec::new(),
            notices: Vec::new(),
            demand: Demand::Now,
        }
    }

    fn keep(&mut self, outcome: Outcome) {
        self.choices.extend(outcome.choices);
        self.notices.extend(outcome.notices);
    }

    /// `motion`: quarter samples per picture order count at a display position.
    pub fn play(&mut self, stream: &[Coded], motion: impl Fn(u64) -> i16) {
        for coded in stream {
            let unit = self.source.unit(coded.segment, 30);
            let mut facts = self.source.facts(coded);
            if coded.coded_type != CodedType::I {
                facts.motion = self.source.motion(motion(coded.display));
            }
            let demand = self.demand;
            let outcome = self.chooser.push(unit, facts, &mut || demand, &mut self.rng);
            self.keep(outcome);
        }
    }

    pub fn end(&mut self) {
        let demand = self.demand;
        let outcome = self
            .chooser
            .end_segment(Ending::Whole, &mut || demand, &mut self.rng);
        self.keep(outcome);
    }

    fn starts(&self) -> Vec<u64> {
        let start = |choice: &Choice| choice.plan.place.clip_start;
        self.choices.iter().map(start).collect()
    }

    fn settled(&self, fate: Fate) -> u64 {
        self.source.ledger.snapshot().settled(fate)
    }
}

#[test]
fn a_video_of_37_frames_gives_preset_micro_a_sample_every_time() {
    let mut bench = Bench::new(WindowConfig::default());
    for pass in 0..20 {
        let before = bench.choices.len();
        let mut stream = ippp(37, 12);
        stream.iter_mut().for_each(|coded| coded.segment = pass);
        bench.play(&stream, |_| 8);
        bench.end();
        assert!(bench.choices.len() > before, "pass {pass} gave nothing");
    }
    let mut starts = bench.starts();
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 8, "passes must differ: {starts:?}");
    assert!(bench.notices.is_empty());
}

#[test]
fn a_video_too_short_is_named_with_the_frames_that_it_lacks() {
    let mut bench = Bench::new(WindowConfig::default());
    bench.play(&ippp(15, 100), |_| 8);
    bench.end();
    assert_eq!(
        bench.notices,
        [Notice::ShortVideo {
            stream: stream_name(),
            segment: 0,
            place: "film.mp4".to_owned(),
            frames: 15,
            lacking: 4
        }]
    );
    assert_eq!(bench.chooser.stats().short_videos, 1);
    assert_eq!(bench.settled(Fate::Skipped(SkipReason::SegmentTooShort)), 15);
}

#[test]
fn a_segment_without_a_key_frame_is_named() {
    let mut bench = Bench::new(WindowConfig::default());
    bench.play(&ippp(40, 100)[1..], |_| 8);
    bench.end();
    let notice = &bench.notices[..];
    assert!(
        matches!(notice, [Notice::NoKeyFrame { pictures: 39, .. }]),
        "{notice:?}"
    );
    assert_eq!(bench.settled(Fate::Skipped(SkipReason::BeforeKeyFrame)), 39);
}

#[test]
fn windows_keep_their_cadence_while_things_move() {
    let mut bench = Bench::new(WindowConfig {
        cadence_frames: Some(30),
        ..WindowConfig::default()
    });
    bench.play(&ippp(500, 25), |_| 8);
    let starts = bench.starts();
    assert!(starts[0] < 30);
    assert!(
        starts.windows(2).all(|pair| pair[1] - pair[0] == 30),
        "{starts:?}"
    );
    assert!(starts.len() >= 15);
}

#[test]
fn a_still_camera_gives_a_trickle_and_motion_is_not_missed() {
    let mut bench = Bench::new(WindowConfig {
        cadence_frames: Some(20),
        still_cadence_frames: Some(200),
        ..WindowConfig::default()
    });
    // Something passes from frame 700 to 720.
    bench.play(
        &ippp(1000, 25),
        |display| if (700..720).contains(&display) { 8 } else { 0 },
    );
    let starts = bench.starts();
    let still: Vec<u64> = starts.iter().copied().filter(|start| *start < 600).collect();
    assert_eq!(still.len(), 3, "{starts:?}");
    assert!(
        still.windows(2).all(|pair| pair[1] - pair[0] == 200),
        "{starts:?}"
    );
    let shows_motion = |start: u64| (start + 15..start + 19).any(|frame| (700..720).contains(&frame));
    assert!(starts.iter().any(|start| shows_motion(*start)), "{starts:?}");
    let stats = bench.chooser.stats();
    assert!(
        stats.still_windows < stats.windows && stats.still_windows >= 4,
        "{stats:?}"
    );
}

#[test]
fn video_of_key_frames_only_has_no_motion_to_learn_from() {
    let mut bench = Bench::new(WindowConfig::default());
    bench.play(&ippp(300, 1), |_| 8);
    bench.end();
    assert!(bench.choices.is_empty());
    assert_eq!(bench.settled(Fate::Skipped(SkipReason::NotChosen)), 300);
}

#[test]
fn windows_that_nobody_wants_are_shed_and_their_units_say_so() {
    let mut bench = Bench::new(WindowConfig::default());
    bench.demand = Demand::Shed(DropReason::ReplayFull);
    bench.play(&ippp(300, 25), |_| 8);
    bench.end();
    assert!(bench.choices.is_empty());
    assert!(bench.chooser.stats().shed_windows >= 15);
    let shed = bench.settled(Fate::Dropped(DropReason::ReplayFull));
    assert!(shed > 200, "{shed}");
    assert_eq!(bench.settled(Fate::Skipped(SkipReason::NotChosen)), 300 - shed);
}

#[test]
fn the_rest_of_a_gop_that_does_not_fit_is_skipped_and_named_once() {
    let mut bench = Bench::new(WindowConfig {
        buffer_pictures: 100,
        ..WindowConfig::default()
    });
    bench.play(&ippp(700, 300), |_| 8);
    let long = bench.notices.len();
    assert_eq!(long, 2, "{:?}", bench.notices);
    assert!(matches!(
        bench.notices[0],
        Notice::GopTooLong { pictures: 101, .. }
    ));
    // Windows come from the first hundred frames of each GOP.
    assert!(bench.choices.len() >= 2 * 5, "{:?}", bench.starts());
    assert!(bench.settled(Fate::Skipped(SkipReason::NotChosen)) >= 2 * 190);
}

#[test]
fn leading_pictures_of_the_first_key_frame_are_not_used() {
    let mut bench = Bench::new(WindowConfig::default());
    // Joined at an open GOP: I, then two B pictures that are displayed before it.
    let mut stream = ippp(60, 100);
    stream[0].poc = 4;
    for (coded, poc) in stream[1..3].iter_mut().zip([0, 2]) {
        (coded.poc, coded.coded_type, coded.reference) = (poc, CodedType::B, false);
    }
    stream[3..]
        .iter_mut()
        .for_each(|coded| coded.poc = coded.display as i32 * 2);
    bench.play(&stream, |_| 8);
    bench.end();
    assert!(!bench.choices.is_empty());
    for choice in &bench.choices {
        assert!(choice.plan.place.clip_start >= 2);
        assert!(choice.plan.place.negative_starts.iter().all(|start| *start >= 2));
    }
    assert_eq!(bench.settled(Fate::Skipped(SkipReason::BeforeKeyFrame)), 2);
}

#[test]
fn a_repeated_picture_order_count_ends_the_run_and_is_named() {
    let mut bench = Bench::new(WindowConfig::default());
    let mut stream = ippp(80, 40);
    stream[20].poc = stream[19].poc;
    bench.play(&stream, |_| 8);
    bench.end();
    assert!(matches!(
        bench.notices[..],
        [Notice::OutOfOrder {
            unit: 20,
            poc: 38,
            ..
        }]
    ));
    for choice in &bench.choices {
        let units: Vec<u64> = choice.job.feed.iter().map(|feed| feed.unit.index).collect();
        assert!(
            units.iter().all(|unit| *unit < 20) || units.iter().all(|unit| *unit >= 40),
            "{units:?}"
        );
    }
    assert!(
        bench
            .choices
            .iter()
            .any(|choice| choice.job.feed[0].unit.index == 40)
    );
}

#[test]
fn units_of_a_chooser_that_is_dropped_were_lost_to_the_stop() {
    let mut bench = Bench::new(WindowConfig::default());
    bench.play(&ippp(30, 100), |_| 8);
    let ledger = bench.source.ledger.clone();
    for choice in &bench.choices {
        choice.plan.settle(Fate::Used);
    }
    drop(bench);
    let account = ledger.snapshot();
    assert_eq!(account.buffered, 0);
    assert!(account.settled(Fate::Dropped(DropReason::Stopping)) > 0);
    assert_eq!(account.settled(Fate::Dropped(DropReason::Unsettled)), 0);
}

#[test]
fn the_frame_rate_comes_from_time_stamps_or_else_from_the_stream() {
    let mut bench = Bench::new(WindowConfig::default());
    bench.play(&ippp(60, 100), |_| 8);
    let plan = &bench.choices[0].plan;
    assert_eq!((plan.frame_rate, plan.pts), (Some(25.0), None));
    assert_eq!(plan.arrival.last_ns - plan.arrival.first_ns, 18);
}

#[test]
fn a_configuration_that_no_window_fits_is_refused() {
    let refuse = |config: WindowConfig| Chooser::new(stream_name(), micro_spec(), config).err();
    let small = WindowConfig {
        buffer_pictures: 30,
        ..WindowConfig::default()
    };
    assert_eq!(
        refuse(small),
        Some(WindowConfigError::BufferTooSmall {
            pictures: 30,
            needed: 35
        })
    );
    let hasty = WindowConfig {
        cadence_frames: Some(50),
        still_cadence_frames: Some(49),
        ..WindowConfig::default()
    };
    assert!(matches!(
        refuse(hasty),
        Some(WindowConfigError::StillCadenceTooShort {
            still: 49,
            cadence: 50
        })
    ));
    assert_eq!(refuse(WindowConfig::default()), None);
}
