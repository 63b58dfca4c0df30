//! What happens to cameras and files, done to real servers and files while the real program learns from them.

#![allow(clippy::unwrap_used, reason = "test code")]

mod faulty;
mod media;
mod program;
#[path = "media/relay.rs"]
mod relay;
#[path = "media/rtsp.rs"]
mod rtsp;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use faulty::{Watch, row};
use gstreamer::{self as gst, prelude::*};
use relay::{Mode, Relay};
use rtsp::Server;

const PATTERN: &str =
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1";

/// A camera at 25 pictures a second, a key frame every 12; `fault` is where its encoded video passes.
fn camera() -> String {
    format!(
        "( {PATTERN} ! x264enc tune=zerolatency key-int-max=12 threads=1 ! identity name=fault ! rtph264pay name=pay0 pt=96 \
         config-interval=-1 )"
    )
}

/// A camera that changes from one encoder to another when told: `second` takes what `first` took.
fn changing(first: &str, second: &str) -> String {
    format!(
        "( input-selector name=choice sync-streams=false ! identity name=fault ! rtph264pay name=pay0 pt=96 config-interval=-1 \
         {PATTERN} ! tee name=t t. ! queue ! {first} ! choice.sink_0 t. ! queue ! {second} ! choice.sink_1 )"
    )
}

fn uri(port: u16) -> String {
    format!("uri = 'rtsp://127.0.0.1:{port}/live'")
}

/// Waits until the camera's video is learned from.
fn learn(watch: &mut Watch) {
    watch.wait_for_state("running");
    watch.wait_until_used(0);
}

#[test]
fn a_server_that_is_killed_and_started_again_is_watched_again() {
    let server = Server::start(None, &camera(), None);
    let port = server.port;
    let mut watch = Watch::start(&uri(port));
    learn(&mut watch);
    drop(server);
    let away = watch.wait_for_state("backing_off");
    assert!(away["reason"].as_str().unwrap().contains("again in"), "{away}");
    let before = watch.account();
    let _server = Server::start(Some(port), &camera(), None);
    let took = watch.recovers(Instant::now());
    let cam = watch.stream("cam");
    let restarts = cam["restarts_by_reason"].to_string();
    row(
        "RTSP server killed and started again",
        Some(took),
        &format!("{} units", watch.account().dropped - before.dropped),
        &format!("backs off, restarts {}", restarts.replace('"', "")),
    );
    watch.end();
}

#[test]
fn a_camera_that_freezes_without_hanging_up_is_noticed_and_opened_again() {
    let server = Server::start(None, &camera(), None);
    let relay = Relay::to(server.port);
    let mut watch = Watch::start(&uri(relay.port));
    learn(&mut watch);
    relay.set(Mode::Frozen);
    let froze = Instant::now();
    let away = watch.wait_for("the stall", |cam| {
        ["stalled", "backing_off"].contains(&cam["state"].as_str().unwrap())
    });
    let noticed = froze.elapsed();
    assert!(
        away["last_error"]
            .as_str()
            .unwrap()
            .contains("nothing came for 2"),
        "{away}"
    );
    relay.set(Mode::Up);
    let took = watch.recovers(Instant::now());
    watch.wait_for("the restart counted", |cam| {
        cam["restarts_by_reason"]["stalled"].as_u64() >= Some(1)
    });
    row(
        "RTSP frozen without closing",
        Some(took),
        &format!("{} units", watch.account().dropped),
        &format!(
            "noticed after {:.1} s with stall_timeout 2 s",
            noticed.as_secs_f64()
        ),
    );
    watch.end();
}

#[test]
fn a_camera_that_refuses_is_tried_again_and_again() {
    let server = Server::start(None, &camera(), None);
    let relay = Relay::to(server.port);
    relay.set(Mode::Refusing);
    let mut watch = Watch::start(&uri(relay.port));
    watch.wait_for("three tries", |cam| {
        cam["restarts_by_reason"]["unreachable"].as_u64() >= Some(3)
    });
    relay.set(Mode::Up);
    let took = watch.recovers(Instant::now());
    row(
        "RTSP refusing from the start",
        Some(took),
        "nothing",
        "three tries at least before",
    );
    watch.end();
}

/// Lets the selector of a camera with two encoders go over to the second one after so many pictures.
fn serve_change(first: &str, second: &str, after: u64) -> Server {
    Server::start_prepared(&changing(first, second), move |bin| {
        let selector = bin.by_name("choice").unwrap();
        let count = AtomicU64::new(0);
        let pad = bin.by_name("fault").unwrap().static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if count.fetch_add(1, Ordering::Relaxed) == after {
                let second = selector.static_pad("sink_1");
                selector.set_property("active-pad", second);
            }
            gst::PadProbeReturn::Ok
        });
    })
}

fn change(fault: &str, first: &str, second: &str) {
    let server = serve_change(first, second, 150);
    let mut watch = Watch::start(&uri(server.port));
    learn(&mut watch);
    watch.wait_for("the change", |cam| {
        cam["account"]["received"].as_u64() > Some(151)
    });
    let (changed, before) = (Instant::now(), watch.account());
    watch.wait_until_used(before.used + 40);
    let after = watch.account();
    let cam = watch.stream("cam");
    assert!(
        cam["segments"].as_u64() >= Some(1) || fault.contains("B frames"),
        "{cam}"
    );
    row(
        fault,
        Some(changed.elapsed()),
        &format!("{} units", after.dropped),
        &format!("{} segments, {} restarts", cam["segments"], cam["restarts"]),
    );
    watch.end();
}

#[test]
fn another_resolution_and_profile_in_mid_stream_begin_a_new_segment() {
    change(
        "resolution and profile change in mid-stream",
        "x264enc tune=zerolatency key-int-max=12 threads=1 ! video/x-h264,profile=baseline",
        "videoscale ! video/x-raw,width=320,height=240 ! x264enc tune=zerolatency key-int-max=12 threads=1 ! \
         video/x-h264,profile=high",
    );
}

#[test]
fn b_frames_that_appear_in_mid_stream_are_learned_from() {
    change(
        "B frames appear in mid-stream",
        "x264enc tune=zerolatency bframes=0 key-int-max=12 threads=1",
        "x264enc bframes=2 b-adapt=false rc-lookahead=4 sync-lookahead=0 key-int-max=12 threads=1",
    );
}

/// Serves a camera whose encoded buffers pass through `change`, which gets their number.
fn serve_changed(change: impl Fn(u64, &mut gst::BufferRef) + Send + Sync + 'static) -> Server {
    let change = Arc::new(change);
    Server::start_prepared(&camera(), move |bin| {
        let pad = bin.by_name("fault").unwrap().static_pad("src").unwrap();
        let (count, change) = (AtomicU64::new(0), change.clone());
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
                change(count.fetch_add(1, Ordering::Relaxed), buffer.make_mut());
            }
            gst::PadProbeReturn::Ok
        });
    })
}

#[test]
fn time_stamps_that_start_again_begin_a_new_segment() {
    let server = serve_changed(|number, buffer| {
        // From the 150th picture on, time is ten minutes ahead; from the 300th on it is what it was.
        if (150..300).contains(&number) {
            let ahead = gst::ClockTime::from_seconds(600);
            buffer.set_pts(buffer.pts().map(|pts| pts + ahead));
            buffer.set_dts(buffer.dts().map(|dts| dts + ahead));
        }
    });
    let mut watch = Watch::start(&uri(server.port));
    learn(&mut watch);
    watch.wait_for("both jumps", |cam| {
        cam["account"]["received"].as_u64() > Some(301)
    });
    let (jumped, before) = (Instant::now(), watch.account());
    watch.wait_until_used(before.used + 20);
    let (after, cam) = (watch.account(), watch.stream("cam"));
    assert!(cam["segments"].as_u64() >= Some(1), "{cam}");
    row(
        "time stamps jump by ten minutes and back",
        Some(jumped.elapsed()),
        &format!("{} units", after.dropped),
        &format!("{} segments, {} restarts", cam["segments"], cam["restarts"]),
    );
    watch.end();
}

#[test]
fn corrupt_slices_are_dropped_by_reason_and_the_rest_is_learned_from() {
    let server = serve_changed(|number, buffer| {
        // Four pictures in every two seconds, behind the slice's start.
        if number > 50 && number % 50 < 4 {
            let mut bytes = buffer.map_writable().unwrap();
            let from = bytes.len() / 3;
            for (place, byte) in bytes[from..].iter_mut().enumerate().step_by(5) {
                *byte ^= 0x5a ^ place as u8;
            }
        }
    });
    let mut watch = Watch::start(&uri(server.port));
    learn(&mut watch);
    watch.wait_for("corrupt units", |cam| {
        let dropped = &cam["account"]["dropped"];
        let count = |reason: &str| dropped[reason].as_u64().unwrap_or_default();
        count("corrupt_bitstream") + count("unsupported_bitstream") + count("decode_failed") > 0
    });
    let before = watch.account();
    watch.wait_until_used(before.used + 20);
    let (after, cam) = (watch.account(), watch.stream("cam"));
    let share = |units: u64| 100.0 * units as f64 / after.received as f64;
    row(
        "corrupt slices: 4 of every 50 pictures",
        None,
        &format!(
            "{:.1} % dropped, {:.1} % skipped, {:.1} % used",
            share(after.dropped),
            share(after.skipped),
            share(after.used)
        ),
        &cam["account"]["dropped"].to_string().replace('"', ""),
    );
    watch.end();
}

#[test]
fn lost_packets_cost_their_gops_and_no_more() {
    let server = Server::start(None, &camera(), None);
    let relay = Relay::to(server.port);
    let mut watch = Watch::start(&uri(relay.port));
    learn(&mut watch);
    let before = watch.account();
    relay.lose(10);
    watch.wait_for("units over a lossy way", |cam| {
        cam["account"]["received"].as_u64() > Some(before.received + 500)
    });
    let mut lossy = watch.account();
    lossy.received -= before.received;
    lossy.used -= before.used;
    lossy.dropped -= before.dropped;
    relay.lose(0);
    let took = watch.recovers(Instant::now());
    assert!(relay.lost_packets() > 0);
    let cam = watch.stream("cam");
    row(
        "1 % of RTP packets lost",
        Some(took),
        &format!(
            "{} packets lost, {} units dropped and {} used while {} came in",
            relay.lost_packets(),
            lossy.dropped,
            lossy.used,
            lossy.received
        ),
        &format!("{} segments, {} restarts", cam["segments"], cam["restarts"]),
    );
    watch.end();
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_as_far_as_it_goes_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.ts");
    media::h264(200, "mpegtsmux", &whole);
    let bytes = std::fs::read(&whole).unwrap();
    let videos = folder.path().join("videos");
    std::fs::create_dir(&videos).unwrap();
    let growing = videos.join("growing.ts");
    // Cut in the middle of a packet.
    std::fs::write(&growing, &bytes[..bytes.len() / 2 + 77]).unwrap();
    let mut watch = Watch::start(&format!("folder = '{}'\nrepeat = 'endless'", videos.display()));
    watch.wait_until_used(0);
    let begun = Instant::now();
    for parts in 6..=10 {
        std::fs::write(&growing, &bytes[..bytes.len() * parts / 10]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let before = watch.account();
    watch.wait_until_used(before.used + 100);
    let cam = watch.stream("cam");
    assert_eq!(
        cam["account"]["dropped"]
            .as_object()
            .map(|dropped| dropped.contains_key("unsettled")),
        Some(false)
    );
    row(
        "a file grows while it is read",
        Some(begun.elapsed()),
        &format!("{} units", watch.account().dropped),
        &format!("read again and again; files failed {}", cam["failed_files"]),
    );
    watch.end();
}

#[test]
fn a_decoder_that_fails_costs_its_stream_only() {
    if !media::has_element("openh264dec") {
        eprintln!("left out: no openh264dec");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("high422.mp4");
    // openh264 decodes 4:2:0 only.
    media::render(
        "videotestsrc num-buffers=400 pattern=ball ! video/x-raw,format=Y42B,width=160,height=120,framerate=25/1 \
         ! x264enc key-int-max=25 threads=1 ! video/x-h264,profile=high-4:2:2 ! h264parse ! mp4mux ! filesink name=out",
        &path,
    );
    let mut watch = Watch::start(&format!(
        "path = '{}'\nrepeat = 'endless'\n[decode]\nthreads = 1\ndecoder = 'openh264'\ndeadline = '2s'",
        path.display()
    ));
    watch.wait_for("failed windows", |cam| {
        let dropped = &cam["account"]["dropped"];
        ["decode_failed", "unsupported_bitstream"]
            .iter()
            .any(|reason| dropped[reason].as_u64() > Some(0))
    });
    let used = |watch: &mut Watch| watch.stream("other")["account"]["used"].as_u64().unwrap();
    let (before, begun) = (used(&mut watch), Instant::now());
    while used(&mut watch) == before {
        assert!(
            begun.elapsed() < Duration::from_secs(200),
            "the other stream gives no samples"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let account = watch.account();
    row(
        "a decoder that fails (openh264 on 4:2:2)",
        None,
        &format!("{} of {} units of that stream", account.dropped, account.received),
        "the other stream goes on being learned from",
    );
    watch.end();
}
