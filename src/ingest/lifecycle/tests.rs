use rand_chacha::ChaCha8Rng;

use super::*;

const OPEN_S: u64 = 30;
const STALL_S: u64 = 10;

/// A stream with its clock and dice.
struct Story {
    lifecycle: Lifecycle,
    random: ChaCha8Rng,
    now: Duration,
}

impl Story {
    fn new(on_failure: OnFailure, on_end: OnEnd, endless: bool, watched: bool) -> Self {
        let manner = Manner {
            place: "rtsp://***@door".to_owned(),
            on_failure,
            on_end,
            endless,
            open_timeout: Duration::from_secs(OPEN_S),
            stall_timeout: watched.then_some(Duration::from_secs(STALL_S)),
        };
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Self {
            lifecycle: Lifecycle::new(manner, backoff),
            random: rand::SeedableRng::seed_from_u64(1),
            now: Duration::from_secs(1000),
        }
    }

    fn camera() -> Self {
        Self::new(OnFailure::BackOff, OnEnd::Failure, false, true)
    }

    fn folder(endless: bool) -> Self {
        Self::new(OnFailure::NextFile, OnEnd::Next, endless, false)
    }

    fn on(&mut self, happening: Happening) -> Action {
        self.lifecycle.on(happening, self.now, &mut self.random)
    }

    fn after(&mut self, seconds: u64, happening: Happening) -> Action {
        self.now += Duration::from_secs(seconds);
        self.on(happening)
    }

    fn runs(mut self) -> Self {
        assert_eq!(self.on(Happening::Start), Action::Open);
        self.comes();
        self
    }

    /// The source opens and gives a unit and a key unit.
    fn comes(&mut self) {
        assert_eq!(self.lifecycle.state(), StreamState::Starting);
        for happening in [Happening::Opened, Happening::FirstUnit] {
            assert_eq!(self.on(happening), Action::Nothing);
        }
        assert_eq!(self.lifecycle.state(), StreamState::WaitingForKeyFrame);
        assert_eq!(self.on(Happening::FirstKeyUnit), Action::Nothing);
        assert_eq!(self.lifecycle.state(), StreamState::Running);
    }

    fn closes(&mut self, pass_over: bool) -> Action {
        self.on(Happening::Closed { pass_over })
    }
}

fn lost() -> Happening {
    Happening::Failed(IngestError::Pipeline {
        place: "x".to_owned(),
        message: "connection lost".to_owned(),
    })
}

#[test]
fn a_camera_that_fails_is_opened_again_after_a_growing_wait() {
    let mut story = Story::camera().runs();
    let mut longest = Duration::ZERO;
    for _ in 0..4 {
        assert!(matches!(
            story.on(lost()),
            Action::Close(SegmentEndReason::Interrupted(_))
        ));
        assert_eq!(story.on(lost()), Action::Nothing, "it is closing already");
        let Action::Wait(wait) = story.closes(true) else {
            panic!("no wait")
        };
        assert!(wait > longest);
        longest = wait;
        assert_eq!(story.lifecycle.state(), StreamState::BackingOff);
        assert!(story.lifecycle.reason().contains("connection lost; again in"));
        assert!(story.lifecycle.has_failed());
        assert_eq!(story.on(Happening::WaitOver), Action::Open);
        story.comes();
    }
    assert_eq!(story.lifecycle.restarts(), &[(RestartReason::Failed, 4)].into());
    // After a calm while the waits start small.
    story.now += CALM;
    story.on(lost());
    assert!(matches!(story.closes(true), Action::Wait(wait) if wait <= Duration::from_secs(1)));
}

#[test]
fn a_camera_that_ends_its_stream_has_failed() {
    let mut story = Story::camera().runs();
    assert!(matches!(story.on(Happening::EndOfSource), Action::Close(_)));
    assert!(matches!(story.closes(true), Action::Wait(_)));
    assert!(story.lifecycle.reason().contains("a live source should not"));
}

#[test]
fn silence_is_a_stall_unless_a_unit_waits_for_comove() {
    let mut story = Story::camera().runs();
    let tick = |units, waiting| Happening::Tick { units, waiting };
    assert_eq!(story.after(STALL_S - 1, tick(5, false)), Action::Nothing);
    assert_eq!(story.after(STALL_S - 1, tick(6, false)), Action::Nothing);
    assert_eq!(story.after(STALL_S, tick(6, true)), Action::Nothing);
    assert_eq!(story.after(STALL_S - 1, tick(6, false)), Action::Nothing);
    assert!(matches!(story.after(1, tick(6, false)), Action::Close(_)));
    assert_eq!(story.lifecycle.state(), StreamState::Stalled);
    assert_eq!(story.lifecycle.reason(), "rtsp://***@door: nothing came for 10s");
    assert!(matches!(story.closes(true), Action::Wait(_)));
}

#[test]
fn a_source_that_never_opens_is_given_up_and_tried_again() {
    let mut story = Story::camera();
    story.on(Happening::Start);
    let tick = || Happening::Tick {
        units: 0,
        waiting: false,
    };
    assert_eq!(story.after(OPEN_S - 1, tick()), Action::Nothing);
    assert!(matches!(story.after(1, tick()), Action::Close(_)));
    assert!(matches!(story.closes(true), Action::Wait(_)));
    assert_eq!(story.on(Happening::WaitOver), Action::Open);
}

#[test]
fn a_file_never_stalls_once_it_runs() {
    let mut story = Story::folder(false).runs();
    let tick = Happening::Tick {
        units: 1,
        waiting: false,
    };
    assert_eq!(story.after(9999, tick), Action::Nothing);
}

#[test]
fn stopping_works_in_every_state_and_starting_works_afterwards() {
    // Running.
    let mut story = Story::camera().runs();
    assert!(matches!(story.on(Happening::Stop), Action::Close(_)));
    assert_eq!(story.closes(true), Action::Stopped);
    assert_eq!(story.lifecycle.state(), StreamState::Disabled);
    assert!(!story.lifecycle.has_failed());
    // Disabled already.
    assert_eq!(story.on(Happening::Stop), Action::Stopped);
    // Starting.
    assert_eq!(story.on(Happening::Start), Action::Open);
    assert!(matches!(story.on(Happening::Stop), Action::Close(_)));
    assert_eq!(story.on(Happening::Start), Action::Nothing, "once it is down");
    assert_eq!(story.closes(true), Action::Open);
    story.comes();
    // Closing for another reason.
    story.on(lost());
    assert_eq!(story.on(Happening::Stop), Action::Nothing);
    assert_eq!(story.closes(true), Action::Stopped);
    // Backing off.
    let mut story = Story::camera().runs();
    story.on(lost());
    story.closes(true);
    assert_eq!(story.on(Happening::Stop), Action::Stopped);
    assert_eq!(story.on(Happening::WaitOver), Action::Nothing, "the old timer");
    assert_eq!(story.lifecycle.state(), StreamState::Disabled);
}

#[test]
fn a_folder_passes_over_files_that_fail_and_ends_after_the_last() {
    let mut story = Story::folder(false).runs();
    assert_eq!(
        story.on(Happening::EndOfSource),
        Action::Close(SegmentEndReason::EndOfSource)
    );
    assert_eq!(story.closes(false), Action::Open);
    assert!(matches!(story.on(lost()), Action::Close(_)));
    assert_eq!(story.closes(true), Action::Open);
    assert_eq!(story.on(Happening::NoMoreFiles), Action::Finish);
    assert_eq!(story.lifecycle.failed_files(), 1);
    assert_eq!(story.lifecycle.state(), StreamState::Ended);
    assert!(!story.lifecycle.has_failed());
    assert_eq!(
        story.lifecycle.reason(),
        "all files are read, except 1 that failed"
    );
    assert_eq!(story.on(Happening::Start), Action::Nothing);
    assert_eq!(story.on(Happening::Stop), Action::Stopped);
    assert_eq!(story.lifecycle.state(), StreamState::Ended);
}

#[test]
fn a_file_that_fails_ends_its_stream_as_failed() {
    let mut story = Story::folder(false);
    story.on(Happening::Start);
    assert!(matches!(story.on(lost()), Action::Close(_)));
    assert_eq!(story.closes(true), Action::Open);
    assert_eq!(story.on(Happening::NoMoreFiles), Action::Finish);
    assert!(story.lifecycle.has_failed());
    assert!(story.lifecycle.reason().contains("connection lost"));
}

#[test]
fn an_endless_folder_without_a_readable_file_waits_instead_of_spinning() {
    let mut story = Story::folder(true).runs();
    story.on(Happening::EndOfSource);
    assert_eq!(story.closes(false), Action::Open);
    story.on(lost());
    assert_eq!(story.closes(true), Action::Open, "a file of this pass was good");
    for last in [false, true] {
        story.on(lost());
        match story.closes(last) {
            Action::Open if !last => {}
            Action::Wait(_) if last => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(story.lifecycle.reason().contains("no file could be read"));
    assert_eq!(story.on(Happening::WaitOver), Action::Open);
}
