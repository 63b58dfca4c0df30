//! Cameras: a real RTSP server, in the test's process.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;
#[path = "media/rtsp.rs"]
mod rtsp;
#[path = "media/stream.rs"]
mod stream;

use std::time::Duration;

use comove::ingest::{Fate, StreamConfig, StreamState};
use rtsp::Server;
use stream::{Stream, quick};

const CAMERA: &str = "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
     ! x264enc tune=zerolatency key-int-max=12 ! rtph264pay name=pay0 pt=96 )";

fn camera(uri: String) -> StreamConfig {
    StreamConfig::from_argument(&uri).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_dies_and_comes_back_is_said_dead_and_watched_again() {
    let server = Server::start(None, CAMERA, None);
    let port = server.port;
    let stream = Stream::spawn(camera(format!("rtsp://127.0.0.1:{port}/live")), quick(), 1000).await;
    let seen = stream.take(|seen| seen.units.len() == 30).await;
    assert!(seen.units.iter().any(|unit| unit.key_unit));
    assert_eq!(
        (seen.units[0].format.width, seen.units[0].format.height),
        (160, 120)
    );
    drop(seen);

    drop(server);
    let dead = stream
        .wait_for(0, |report| report.state == StreamState::BackingOff)
        .await;
    let report = stream.reports()[dead - 1].clone();
    assert!(report.failed && report.reason.contains("again in"), "{report:?}");
    // It lives on and says so as often as it tries.
    let tries = stream
        .wait_for(dead, |report| report.state == StreamState::BackingOff)
        .await;
    assert!(stream.status().await.restarts.values().sum::<u64>() >= 1);

    let server = Server::start(Some(port), CAMERA, None);
    let back = stream
        .wait_for(tries, |report| report.state == StreamState::Running)
        .await;
    let last = stream
        .take(|seen| seen.units.iter().any(|unit| unit.segment >= 1 && unit.key_unit))
        .await;
    assert_eq!(
        last.ends[0].0, 0,
        "the segment ended with the server: {:?}",
        last.ends
    );
    drop(last);
    stream.stop().await;
    stream
        .wait_for(back, |report| report.state == StreamState::Disabled)
        .await;
    assert_eq!(stream.status().await.leaked_pipelines, 0);
    let account = stream.put_down().await;
    assert!(account.settled(Fate::Used) >= 30);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_tried_again_and_never_ends_the_stream() {
    // A port that was free a moment ago.
    let port = Server::start(None, CAMERA, None).port;
    let stream = Stream::spawn(
        camera(format!("rtsp://bob:hunter2@127.0.0.1:{port}/live")),
        quick(),
        100,
    )
    .await;
    let mut at = 0;
    for _ in 0..3 {
        at = stream
            .wait_for(at, |report| report.state == StreamState::BackingOff)
            .await;
    }
    let text = format!("{:?} {:?}", stream.reports(), stream.status().await);
    assert!(
        text.contains(&format!("rtsp://***@127.0.0.1:{port}/live")),
        "{text}"
    );
    assert!(!text.contains("bob") && !text.contains("hunter2"), "{text}");
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_with_a_password_is_opened_and_a_wrong_one_is_told_without_showing_it() {
    let server = Server::start(None, CAMERA, Some(("bob", "hunter2")));
    let port = server.port;
    let stream = Stream::spawn(
        camera(format!("rtsp://bob:hunter2@127.0.0.1:{port}/live")),
        quick(),
        1000,
    )
    .await;
    drop(stream.take(|seen| seen.units.len() == 5).await);
    stream.put_down().await;

    let stream = Stream::spawn(
        camera(format!("rtsp://bob:hunter3@127.0.0.1:{port}/live")),
        quick(),
        1000,
    )
    .await;
    let at = stream
        .wait_for(0, |report| report.state == StreamState::BackingOff)
        .await;
    let report = stream.reports()[at - 1].clone();
    assert!(report.reason.to_lowercase().contains("authori"), "{report:?}");
    assert!(!format!("{report:?}").contains("hunter3"), "{report:?}");
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_falls_silent_has_stalled() {
    // The source holds still behind its first pictures, and the connection stays.
    let silent = "( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
         ! x264enc tune=zerolatency key-int-max=12 ! identity name=mute \
         ! rtph264pay name=pay0 pt=96 )";
    let server = Server::start_muted_after(silent, 40);
    let config = StreamConfig {
        stall_timeout: Some(Duration::from_secs(2)),
        ..camera(format!("rtsp://127.0.0.1:{}/live", server.port))
    };
    let stream = Stream::spawn(config, quick(), 1000).await;
    let at = stream
        .wait_for(0, |report| report.state == StreamState::Stalled)
        .await;
    assert!(stream.reports()[at - 1].reason.contains("nothing came for 2s"));
    stream
        .wait_for(at, |report| report.state == StreamState::BackingOff)
        .await;
    stream.put_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_from_a_camera_is_named() {
    if !media::has_element("x265enc") {
        eprintln!("left out: no x265enc");
        return;
    }
    let hevc = "( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
         ! x265enc tune=zerolatency speed-preset=ultrafast ! rtph265pay name=pay0 pt=96 )";
    let server = Server::start(None, hevc, None);
    let config = camera(format!("rtsp://127.0.0.1:{}/live", server.port));
    let stream = Stream::spawn(config, quick(), 100).await;
    let at = stream
        .wait_for(0, |report| report.state == StreamState::BackingOff)
        .await;
    assert!(
        stream.reports()[at - 1].reason.contains("H.265"),
        "{:?}",
        stream.reports()
    );
    stream.put_down().await;
}
