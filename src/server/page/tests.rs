use std::collections::BTreeMap;

use super::*;
use crate::ingest::StreamName;
use crate::model::Preset;
use crate::replay::{Sample, SampleId, TimeRange};
use crate::server::{AccountView, CheckpointView, StatusView, StreamView};

/// A sample of the smallest preset, its bytes made from `seed`.
pub(super) fn a_sample(seed: u8) -> Sample {
    let spec = Preset::Micro.sample_spec();
    let picture = 3 * spec.frame_size.area();
    let map = 2 * spec.motion_size.area();
    let bytes = |count: usize| (0..count).map(|at| (at * 31 + usize::from(seed)) as u8).collect();
    Sample {
        id: SampleId(u64::from(seed)),
        stream: StreamName::new("gate").unwrap(),
        segment: 0,
        spec,
        source_width: 64,
        source_height: 64,
        key_frame: bytes(picture),
        clip: bytes(picture * spec.clip_frames as usize),
        target: vec![64; map * spec.target_frames as usize],
        negatives: Vec::new(),
        pts: None,
        arrival: TimeRange {
            first_ns: 0,
            last_ns: 1,
        },
        frame_rate: None,
    }
}

fn a_stream(name: &str, state: &str, error: Option<&str>) -> StreamView {
    StreamView {
        name: name.to_owned(),
        source: "rtsp://***@camera/".to_owned(),
        origin: "config".to_owned(),
        enabled: true,
        state: state.to_owned(),
        reason: None,
        since: None,
        last_error: error.map(str::to_owned),
        place: None,
        width: Some(320),
        height: Some(240),
        waiting: false,
        restarts: 3,
        restarts_by_reason: BTreeMap::new(),
        segments: 0,
        failed_files: 0,
        pipelines_left: 0,
        account: AccountView {
            received: 100,
            received_bytes: 1000,
            used: 50,
            skipped: BTreeMap::new(),
            dropped: [("no_credit".to_owned(), 7)].into(),
            buffered: 0,
        },
    }
}

fn facts(streams: Vec<StreamView>) -> fleet::Facts {
    fleet::Facts {
        now_unix_s: 1000,
        status: StatusView {
            version: "0".to_owned(),
            state: "running".to_owned(),
            uptime_seconds: 5.0,
            not_ready: Vec::new(),
            stages: Vec::new(),
            streams: BTreeMap::new(),
            replay: None,
            train: None,
            checkpoint: None,
            probe: None,
        },
        streams,
        checkpoints: Ok(Vec::new()),
        history: Vec::new(),
        neighbours: None,
    }
}

#[test]
fn an_empty_start_says_what_is_missing() {
    let page = fleet::page(&facts(Vec::new())).into_string();
    for text in [
        "No streams are configured",
        "No step yet",
        "Nothing yet",
        "None yet",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
}

#[test]
fn a_broken_stream_is_shown_with_its_reason_and_its_losses() {
    let page = fleet::page(&facts(vec![a_stream(
        "gate",
        "backing_off",
        Some("no route to host"),
    )]))
    .into_string();
    for text in [
        "backing off",
        "no route to host",
        "7 lost: no credit",
        "rtsp://***@camera/",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
}

#[test]
fn text_from_outside_cannot_become_markup() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let mut stream = a_stream(evil, "running", Some(evil));
    stream.source = evil.to_owned();
    stream.place = Some(evil.to_owned());
    stream.reason = Some(evil.to_owned());
    stream.account.dropped.insert(evil.to_owned(), 1);
    stream.state = evil.to_owned();
    let mut facts = facts(vec![stream.clone()]);
    facts.status.not_ready.push(evil.to_owned());
    facts.checkpoints = Ok(vec![CheckpointView {
        step: 1,
        path: evil.to_owned(),
        latest: true,
        written_at: Some(evil.to_owned()),
        bytes: None,
        error: Some(evil.to_owned()),
    }]);
    facts.neighbours = Some(Neighbourhood {
        of: SampleCard {
            id: 1,
            stream: evil.to_owned(),
            arrival_unix_ns: 0,
        },
        nearest: Vec::new(),
    });
    let one = stream::Facts {
        now_unix_s: 0,
        stream,
        key_frame: Some(KeyFrame {
            index: 0,
            arrival_unix_ns: 0,
            picture: Err(evil.to_owned()),
            has_motion: false,
        }),
        samples: Vec::new(),
        history: Vec::new(),
    };
    for page in [fleet::page(&facts), stream::page(&one)] {
        let page = page.into_string();
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "only the page's own: {page}");
        assert!(!page.contains("<img src=x") && !page.contains("\"'>"), "{page}");
    }
}

#[test]
fn rates_are_those_of_the_last_minute() {
    let point = |at_unix_s: u64, received: u64| HistoryPoint {
        at_unix_s,
        streams: [(
            "gate".into(),
            StreamPoint {
                received,
                dropped: 0,
                samples: 0,
            },
        )]
        .into(),
        ..HistoryPoint::default()
    };
    // Fast in the beginning, 10 a second in the last minute.
    let history = [point(0, 0), point(100, 5000), point(130, 5300), point(160, 5600)];
    assert_eq!(fleet::rates(&history, "gate").unwrap().received, 10.0);
    assert!(fleet::rates(&history, "yard").is_none());
    assert!(fleet::rates(&history[..1], "gate").is_none());
}
