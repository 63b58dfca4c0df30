//! Streams from files, folders and the synthetic source, run by their actor.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;
#[path = "media/stream.rs"]
mod stream;

use std::time::Duration;

use comove::ingest::{
    DropReason, Fate, IngestConfig, IngestItem, Repeat, SegmentEndReason, StreamConfig, StreamMessage,
    StreamState, SyntheticConfig,
};
use stream::{PATIENCE, Seen, Stream, of_folder, quick};

fn of_file(path: &std::path::Path) -> StreamConfig {
    StreamConfig {
        path: Some(path.to_owned()),
        ..StreamConfig::default()
    }
}

fn synthetic(values: &str) -> StreamConfig {
    StreamConfig::from_argument(&format!("synthetic:{values}")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_whole_then_the_stream_ends_and_its_account_closes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ball.mp4");
    media::h264(60, "mp4mux", &path);
    let stream = Stream::spawn(of_file(&path), quick(), 2).await;
    let seen = stream.take_all().await;
    assert_eq!(seen.units.len(), 60);
    assert_eq!(seen.ends, [(0, SegmentEndReason::EndOfSource)]);
    use StreamState::{Ended, Running, Starting, WaitingForKeyFrame};
    assert_eq!(
        stream.states(),
        [Starting, WaitingForKeyFrame, Running, Starting, Ended]
    );
    assert!(!stream.reports().last().unwrap().failed);
    assert_eq!(stream.status().await.units, 60);
    drop(seen);
    assert_eq!(stream.put_down().await.settled(Fate::Used), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_a_folder_is_a_segment_and_those_that_fail_are_counted_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    media::h264(10, "mp4mux", &folder.path().join("a.mp4"));
    std::fs::write(folder.path().join("b.mp4"), b"no video at all").unwrap();
    media::h264(20, "matroskamux", &folder.path().join("deep/c.mkv"));
    std::fs::write(folder.path().join("deep/d.h264"), [7u8; 9000]).unwrap();
    media::h264(30, "mpegtsmux", &folder.path().join("e.ts"));
    let stream = Stream::spawn(of_folder(folder.path()), quick(), 8).await;
    let seen = stream.take_all().await;
    let of_segment = |segment| seen.units.iter().filter(|unit| unit.segment == segment).count();
    assert_eq!([of_segment(0), of_segment(1), of_segment(2)], [10, 20, 30]);
    assert_eq!(seen.ends.len(), 3);
    assert!(
        seen.units
            .iter()
            .enumerate()
            .all(|(at, unit)| unit.index == at as u64)
    );
    let status = stream.status().await;
    assert_eq!((status.failed_files, status.passes), (2, 1));
    assert!(status.restarts.is_empty(), "{:?}", status.restarts);
    assert_eq!(status.report.reason, "all files are read, except 2 that failed");
    drop(seen);
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_folder_is_read_again_and_again_until_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    media::h264(10, "mp4mux", &folder.path().join("a.mp4"));
    media::h264(10, "mp4mux", &folder.path().join("b.mp4"));
    let config = StreamConfig {
        repeat: Repeat::Endless,
        shuffle_seed: Some(3),
        ..of_folder(folder.path())
    };
    let stream = Stream::spawn(config, quick(), 4).await;
    let seen = stream.take(|seen| seen.ends.len() == 5).await;
    assert!(
        seen.ends
            .iter()
            .enumerate()
            .all(|(at, (segment, _))| at as u64 == *segment)
    );
    assert!(stream.status().await.passes >= 3);
    stream.stop().await;
    assert_eq!(stream.status().await.report.state, StreamState::Disabled);
    // What was under way when it stopped was dropped for that reason, and nothing comes any more.
    let left: Vec<_> = stream.items.try_iter().collect();
    assert!(left.len() <= 5);
    drop((seen, left));
    let before = stream.ledger.snapshot();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stream.ledger.snapshot(), before);
    // It can be started again.
    stream.actor.cast(StreamMessage::Start).unwrap();
    let seen = stream.take(|seen| seen.units.len() == 3).await;
    assert!(seen.units[0].segment >= 5);
    drop(seen);
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_source_waits_for_memory_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ball.mkv");
    media::h264(60, "matroskamux", &path);
    let tight = IngestConfig {
        memory: bytesize::ByteSize::kb(3),
        open_timeout: Duration::from_millis(500),
        ..quick()
    };
    let stream = Stream::spawn(of_file(&path), tight, 100).await;
    // It runs into the bound and stays there, and waiting is not taken for silence.
    stream.status_with(|status| status.waiting).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = stream.status().await;
    assert!(status.waiting && status.units < 60, "{status:?}");
    assert_eq!(status.report.state, StreamState::Running);
    let mut units = 0;
    let items = stream.items.clone();
    let count = tokio::task::spawn_blocking(move || {
        while let Ok(IngestItem::Unit(_) | IngestItem::SegmentEnd { .. }) = items.recv_timeout(PATIENCE) {
            units += 1;
        }
        units
    });
    assert_eq!(count.await.unwrap(), 60 + 1);
    assert_eq!(stream.put_down().await.received, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_a_consumer_that_has_gone_quiet() {
    let stream = Stream::spawn(synthetic("width=64&height=48"), quick(), 2).await;
    // Nobody takes: the source waits for room.
    stream.status_with(|status| status.waiting).await;
    let at = stream.reports().len();
    stream.stop().await;
    stream
        .wait_for(at, |report| report.state == StreamState::Disabled)
        .await;
    let status = stream.status().await;
    assert_eq!(status.leaked_pipelines, 0);
    assert!(status.ledger.closes());
    assert!(status.ledger.settled(Fate::Dropped(DropReason::Stopping)) >= 1);
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_source_sheds_whole_gops_and_starts_a_new_segment_behind_the_gap() {
    let live = synthetic(
        "width=64&height=48&live=true&frame_rate=100&key_interval=10&b_frames=0&scene_frames=100000",
    );
    let stream = Stream::spawn(live, quick(), 25).await;
    // Nobody takes until units have been shed.
    stream.status_with(|status| status.shed_units >= 15).await;
    let seen = stream
        .take(|seen| seen.units.last().is_some_and(|unit| unit.segment >= 1))
        .await;
    let gap = seen
        .units
        .windows(2)
        .find(|pair| pair[0].segment != pair[1].segment)
        .unwrap();
    assert!(gap[1].key_unit, "behind the gap comes a key unit");
    assert!(gap[1].index > gap[0].index + 1, "indices count what was shed");
    assert_eq!(seen.ends, [(0, SegmentEndReason::Shed)]);
    let whole = seen
        .units
        .windows(2)
        .filter(|pair| pair[0].segment == pair[1].segment);
    assert!(
        whole.clone().all(|pair| pair[1].index == pair[0].index + 1),
        "no gap within a segment"
    );
    drop(seen);
    let shed = stream.status().await.shed_units;
    let account = stream.put_down().await;
    assert!(account.settled(Fate::Dropped(DropReason::NoCredit)) >= shed.min(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_source_sheds_for_want_of_memory_too() {
    let live = synthetic("width=320&height=240&live=true&frame_rate=100&key_interval=10&b_frames=0");
    let tight = IngestConfig {
        memory: bytesize::ByteSize::kb(40),
        ..quick()
    };
    let stream = Stream::spawn(live, tight, 100_000).await;
    let status = stream.status_with(|status| status.shed_units >= 5).await;
    assert!(stream.budget.used_bytes() <= 40_000);
    assert_eq!(status.report.state, StreamState::Running);
    assert!(!status.waiting, "a live source never waits");
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_video_ends_its_stream_as_failed_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h264");
    std::fs::write(&path, [9u8; 5000]).unwrap();
    let stream = Stream::spawn(of_file(&path), quick(), 8).await;
    let seen = stream.take_all().await;
    assert!(seen.units.is_empty() && seen.ends.is_empty());
    let last = stream.reports().pop().unwrap();
    assert!(last.failed && last.state == StreamState::Ended, "{last:?}");
    assert!(
        last.reason.contains("x.h264") && last.reason.contains("no H.264"),
        "{last:?}"
    );
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_stream_waits_for_its_start_and_an_actor_that_stops_says_ended() {
    let config = StreamConfig {
        enabled: false,
        synthetic: Some(SyntheticConfig {
            width: 64,
            height: 48,
            ..SyntheticConfig::default()
        }),
        ..StreamConfig::default()
    };
    let stream = Stream::spawn(config, quick(), 4).await;
    let status = stream.status().await;
    assert_eq!((status.report.state, status.units), (StreamState::Disabled, 0));
    stream.actor.cast(StreamMessage::Start).unwrap();
    stream.take(|seen: &Seen| seen.units.len() == 40).await;
    stream.put_down().await;
}
