//! The whole program, from its command line to its exit code.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;
mod program;
#[path = "media/rtsp.rs"]
mod rtsp;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use program::{COMOVE, PATTERNS, Place, Run, account, comove, refused};
use serde_json::Value;

fn verify(checkpoints: &Path) -> String {
    let ended = comove(&["checkpoint".as_ref(), "verify".as_ref(), checkpoints.as_os_str()]);
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

fn latest(checkpoints: &Path) -> PathBuf {
    std::fs::read_link(checkpoints.join("latest")).unwrap()
}

#[test]
fn two_streams_with_and_without_b_frames_are_learned_from_to_their_end_and_every_access_unit_is_accounted_for()
 {
    let place = Place::new();
    let with_b = "synthetic:width=160&height=120&scene_frames=60&frames=240&b_frames=2&seed=1";
    let without_b = "synthetic:width=160&height=120&scene_frames=60&frames=240&b_frames=0&seed=2";
    let mut run = Run::start(&place.run([with_b, without_b]));
    let mut scrapes = 0;
    while !run.is_over() {
        let Some(page) = run.get("/metrics") else { break };
        for stream in ["synthetic", "synthetic-2"] {
            let (received, settled, buffered) = account(&page, stream);
            assert_eq!(received, settled + buffered, "{stream} at scrape {scrapes}");
        }
        scrapes += 1;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(scrapes >= 5, "{scrapes} scrapes");
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");

    let steps = ended.logged("trained");
    assert!(!steps.is_empty(), "{ended:?}");
    for report in &steps {
        for loss in ["loss", "motion"] {
            let value: f64 = report[loss].as_str().unwrap().parse().unwrap();
            assert!(value.is_finite(), "{report}");
        }
    }
    let accounts = ended.logged("the stream's account");
    assert_eq!(accounts.len(), 2, "{ended:?}");
    for account in accounts {
        let count = |key: &str| {
            account[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{key}: {account}"))
        };
        assert_eq!(count("access_units"), 240, "{account}");
        assert_eq!(
            count("access_units"),
            count("used") + count("skipped") + count("dropped"),
            "{account}"
        );
        assert_eq!((count("unsettled"), count("buffered")), (0, 0), "{account}");
        assert!(count("used") > 0 && count("samples") > 0, "{account}");
    }
    assert!(verify(&place.checkpoints()).contains("complete and sound"));
}

#[test]
fn snapshots_come_at_once_by_sigusr1_and_by_the_api_and_at_the_end_by_sigterm() {
    let place = Place::new();
    let mut run = Run::start(&place.run([PATTERNS]));
    run.wait_for_message("trained");
    run.signal("USR1");
    let written = run.wait_for_message("checkpoint written");
    assert!(Path::new(written["path"].as_str().unwrap()).is_dir(), "{written}");

    let answer = ureq::post(run.url("/api/v1/checkpoints"))
        .send_empty()
        .unwrap()
        .body_mut()
        .read_to_string();
    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
    assert!(answer["step"].as_u64() >= written["step"].as_u64(), "{answer}");
    assert!(Path::new(answer["path"].as_str().unwrap()).is_dir(), "{answer}");
    assert_eq!(answer["error"], Value::Null);

    run.signal("TERM");
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("SIGTERM"), "{ended:?}");
    let last = ended.logged("trained").last().unwrap()["step"].as_u64().unwrap();
    assert_eq!(latest(&place.checkpoints()), Path::new(&format!("{last:08}")));
    assert!(verify(&place.checkpoints()).contains(&format!("step {last},")));
}

#[test]
fn status_tells_what_a_running_program_has_learned_and_does_not_hold_up_its_end() {
    let place = Place::new();
    let mut run = Run::start(&place.run([PATTERNS]));
    run.wait_for_message("trained");
    let status = run.json("/api/v1/status");
    assert!(status["train"]["step"].as_u64() > Some(0), "{status}");
    assert_eq!(
        (&status["state"], &status["stages"][0]["alive"]),
        (&"running".into(), &true.into())
    );
    let ended = comove(&["status", &run.url("")]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("of preset micro on cpu") && ended.stdout.contains("synthetic  running"),
        "{ended:?}"
    );
    assert_eq!(run.json("/readyz")["ready"], true);
    run.signal("TERM");
    assert_eq!(run.end().status.code(), Some(0));
}

#[test]
fn a_closed_terminal_ends_the_run_in_good_order_and_nohup_keeps_it_from_that() {
    // `script` gives it a terminal; killed, it takes the terminal away.
    let place = Place::new();
    let args: Vec<_> = place
        .run([PATTERNS])
        .iter()
        .map(|arg| format!("'{}'", arg.to_string_lossy()))
        .collect();
    let command = format!(
        "exec '{COMOVE}' {} 2>'{}'",
        args.join(" "),
        place.path("log").display()
    );
    let script = Run::spawn(Command::new("script").args(["-qec", &command, "/dev/null"]));
    let read_log = || std::fs::read_to_string(place.path("log")).unwrap_or_default();
    let wait_for = |text: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while !read_log().contains(text) {
            assert!(std::time::Instant::now() < deadline, "no {text}: {}", read_log());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    wait_for("\"trained\"");
    script.signal("KILL");
    wait_for("the run ends");
    assert!(read_log().contains("\"reason\":\"SIGHUP\""), "{}", read_log());
    wait_for("checkpoint written");

    let place = Place::new();
    let mut run = Run::spawn(Command::new("nohup").arg(COMOVE).args(place.run([PATTERNS])));
    run.wait_for_message("trained");
    run.signal("HUP");
    let step = run.wait_for_message("trained")["step"].as_u64();
    run.wait_for_line("a step after the signal", |line| {
        line["message"] == "trained" && line["step"].as_u64() > step.map(|step| step + 1)
    });
    run.signal("INT");
    let ended = run.end();
    assert!(ended.stdout.contains("SIGINT"), "{ended:?}");
}

#[test]
fn told_to_end_before_it_has_learned_anything_the_program_ends_well() {
    let place = Place::new();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut run = Run::start(&place.run([format!("rtsp://127.0.0.1:{port}/live")]));
    run.wait_for_message("learning begins");
    run.signal("TERM");
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("0 steps"), "{ended:?}");
}

#[test]
fn resume_counts_on_and_a_folder_with_checkpoints_is_not_begun_anew_in() {
    let place = Place::with_checkpoint();
    refused(
        &place.run([PATTERNS]),
        1,
        &["holds checkpoints of an earlier run, the newest of step 2: go on from it with --resume"],
    );
    let ended = comove(&place.run([PATTERNS, "--resume", "--max-steps=2"]));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(ended.logged("learning begins")[0]["step"], 2);
    let steps: Vec<_> = ended
        .logged("trained")
        .iter()
        .map(|line| line["step"].as_u64())
        .collect();
    assert_eq!(steps, [Some(3), Some(4)]);
    assert_eq!(latest(&place.checkpoints()), Path::new("00000004"));
    assert!(verify(&place.checkpoints()).contains("step 4,"));
}

#[test]
fn a_checkpoint_with_one_wrong_byte_is_refused_by_name() {
    let place = Place::with_checkpoint();
    let file = place.checkpoints().join("00000002/model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let said = ["00000002/model.safetensors is corrupt: its SHA-256 is"];
    let checkpoints = place.checkpoints();
    refused(
        &["checkpoint".as_ref(), "verify".as_ref(), checkpoints.as_os_str()],
        1,
        &said,
    );
    refused(&place.run([PATTERNS, "--resume"]), 1, &said);
}

#[test]
fn bad_sources_are_refused_each_with_what_it_is() {
    let place = Place::new();
    let refuse = |source: &Path, code: i32, said: &[&str]| {
        let name = source.to_string_lossy();
        refused(&place.run([source]), code, &[said, &[&name]].concat());
    };
    refuse(&place.path("none.mp4"), 2, &["no such file or folder"]);
    std::fs::write(place.path("empty.mp4"), b"").unwrap();
    refuse(&place.path("empty.mp4"), 1, &["the file is empty"]);
    let noise: Vec<u8> = (0..200_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    std::fs::write(place.path("noise.h264"), noise).unwrap();
    refuse(&place.path("noise.h264"), 1, &["no H.264 picture in it"]);
    std::fs::create_dir(place.path("nothing")).unwrap();
    refuse(&place.path("nothing"), 1, &["no video file in the folder"]);

    media::h264(30, "mp4mux", &place.path("whole.mp4"));
    let whole = std::fs::read(place.path("whole.mp4")).unwrap();
    std::fs::write(place.path("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    refuse(&place.path("cut.mp4"), 1, &["the MP4 file is cut off", "`moov`"]);
    let sound = "audiotestsrc num-buffers=20 ! audio/x-raw,format=S16LE ! matroskamux ! filesink name=out";
    media::render(sound, &place.path("sound.mkv"));
    refuse(
        &place.path("sound.mkv"),
        1,
        &["no video track (found: audio/x-raw)"],
    );

    if media::has_element("x265enc") {
        let h265 = "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=160,height=120 ! x265enc ! h265parse ! mp4mux \
                    ! filesink name=out";
        media::render(h265, &place.path("h265.mp4"));
        refuse(
            &place.path("h265.mp4"),
            1,
            &["the video is H.265", "ffmpeg -i INPUT"],
        );
    } else {
        eprintln!("left out: no x265enc");
    }
    if let Some(shared) = media::shared() {
        let mpeg4 = shared.join("video/mixed/mpeg4_part2_not_h264.mp4");
        refuse(&mpeg4, 1, &["the video is MPEG-4 Part 2", "ffmpeg -i INPUT"]);
    }
}

#[test]
fn a_bad_command_line_config_or_machine_is_refused_each_with_what_would_be_right() {
    let place = Place::new();
    let config = |text: &str| {
        let path = place.path("bad.toml");
        std::fs::write(&path, text).unwrap();
        vec!["run".into(), "-c".into(), path.into_os_string()]
    };
    refused(
        &config("[train]\nbatchsize = 8"),
        2,
        &["train.batchsize: there is no such key; did you mean train.batch_size?"],
    );
    refused(
        &config("[train]\npreset = 'huge'"),
        2,
        &["train.preset = \"huge\": allowed is one of \"paper\", \"small\", \"micro\""],
    );
    refused(
        &config(""),
        2,
        &["there is no stream: name a file, a folder or a URI"],
    );
    refused(
        &place.run([PATTERNS, "--max-duration=soon"]),
        2,
        &["run.max_duration = \"soon\""],
    );

    let config_file = place.path("config.toml");
    let below_a_file = config_file.join("checkpoints");
    let dir = format!("--checkpoint-dir={}", below_a_file.display());
    let ended = refused(
        &place.run([PATTERNS, &dir]),
        1,
        &["config.toml/checkpoints: Not a directory"],
    );
    assert_eq!(
        ended.stderr.matches("Not a directory").count(),
        1,
        "said once: {}",
        ended.stderr
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(
        &place.run([PATTERNS, &format!("--listen={address}")]),
        1,
        &[&address, "in use"],
    );

    if Path::new("/dev/nvidiactl").exists() {
        eprintln!("left out: this machine has a GPU");
    } else {
        refused(
            &place.run([PATTERNS, "--device=cuda"]),
            1,
            &["train.device is \"cuda\", but", "set train.device = \"cpu\""],
        );
    }
}

#[test]
fn a_disabled_stream_need_not_have_its_file() {
    let place = Place::new();
    let mut text = std::fs::read_to_string(place.path("config.toml")).unwrap();
    text.push_str("[[stream]]\npath = 'later.mp4'\nenabled = false\n[[stream]]\nsynthetic = {}\n");
    std::fs::write(place.path("config.toml"), text).unwrap();
    let ended = comove(&[
        "check".as_ref(),
        "-c".as_ref(),
        place.path("config.toml").as_os_str(),
    ]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("disabled"), "{ended:?}");
}

#[test]
fn a_password_in_a_uri_is_seen_nowhere() {
    let place = Place::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let uri = format!("rtsp://alice:hunter2@127.0.0.1:{port}/live?token=sesame");
    let mut run = Run::start(&place.run([&*uri, PATTERNS]));
    run.wait_for_message("trained");
    let mut seen = String::new();
    run.wait_for("a failed try", |run| {
        let streams = run.get("/api/v1/streams")?;
        streams.contains("Could not").then(|| seen.push_str(&streams))
    });
    for path in ["/metrics", "/api/v1/status", "/readyz"] {
        seen.extend(run.get(path));
    }
    run.signal("TERM");
    let ended = run.end();
    assert!(ended.status.success(), "{ended:?}");
    seen += &ended.stdout;
    seen += &ended.stderr;
    let step = place.checkpoints().join(latest(&place.checkpoints()));
    for entry in std::fs::read_dir(step).unwrap() {
        seen += &String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(seen.contains(&format!("127.0.0.1:{port}/live")));
    for secret in ["alice", "hunter2", "sesame"] {
        assert!(!seen.contains(secret), "{secret}");
    }
}

#[test]
fn a_disk_that_fills_up_fails_the_run_and_leaves_the_checkpoint_before() {
    let place = Place::with_checkpoint();
    // No file may grow beyond 1 MB; what is written past that fails, as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, COMOVE])
        .args(place.run([PATTERNS, "--resume", "--max-steps=1"]));
    let ended = Run::spawn(&mut command).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let failures = ended.logged("a checkpoint could not be written; the one before it stands");
    assert!(
        failures
            .iter()
            .any(|line| line["reason"].as_str().unwrap().contains("model.safetensors")),
        "{ended:?}"
    );
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("comove: cannot write ") && last.contains("File too large"),
        "{last}"
    );
    assert_eq!(latest(&place.checkpoints()), Path::new("00000002"));
    assert!(verify(&place.checkpoints()).contains("step 2,"));
    let ended = comove(&place.run([PATTERNS, "--resume", "--max-steps=1"]));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn one_checkpoint_folder_serves_one_run_at_a_time() {
    let place = Place::new();
    let mut first = Run::start(&place.run([PATTERNS]));
    first.wait_for_message("learning begins");
    refused(&place.run([PATTERNS]), 1, &["is in use by another comove"]);
    first.signal("TERM");
    assert!(first.end().status.success());
}

#[test]
fn nobody_listening_to_its_output_changes_nothing() {
    let place = Place::new();
    // Both pipes are closed at once; the exit code goes to a file.
    let script = "{ \"$0\" \"$@\" 2>&3; echo $? > \"$CODE\"; } 3>&1 | true";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, COMOVE])
        .args(place.run([PATTERNS, "--max-steps=1"]))
        .env("CODE", place.path("code"));
    let ended = Run::spawn(&mut command).end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(std::fs::read_to_string(place.path("code")).unwrap(), "0\n");
    verify(&place.checkpoints());
}

const CAMERA: &str = "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
     ! x264enc tune=zerolatency key-int-max=12 ! rtph264pay name=pay0 pt=96 )";

fn stream(run: &mut Run) -> Value {
    run.json("/api/v1/streams")[0].clone()
}

#[test]
fn a_camera_is_learned_from_said_to_be_away_and_learned_from_again() {
    let place = Place::new();
    let camera = rtsp::Server::start(None, CAMERA, None);
    let port = camera.port;
    let mut run = Run::start(&place.run([format!("rtsp://127.0.0.1:{port}/live")]));
    run.wait_for_message("trained");
    assert_eq!(stream(&mut run)["state"], "running");

    drop(camera);
    let away = run.wait_for("a stream that is away", |run| {
        let stream = stream(run);
        (stream["state"] == "backing_off").then_some(stream)
    });
    assert!(
        away["last_error"].as_str().unwrap().contains("127.0.0.1"),
        "{away}"
    );
    let restarts = run.wait_for("a restart in the metrics", |run| {
        let page = run.get("/metrics")?;
        let line = page
            .lines()
            .find(|line| line.starts_with("comove_stream_restarts_total{"))?
            .to_owned();
        line.rsplit(' ')
            .next()?
            .parse::<u64>()
            .ok()
            .filter(|&restarts| restarts > 0)
    });
    assert_eq!(run.json("/healthz")["alive"], true);
    assert!(
        run.get("/readyz")
            .is_none_or(|answer| answer.contains("backing_off"))
    );

    let camera = rtsp::Server::start(Some(port), CAMERA, None);
    let back = run.wait_for("a stream that is back", |run| {
        let stream = stream(run);
        (stream["state"] == "running").then_some(stream)
    });
    assert!(back["restarts"].as_u64().unwrap() >= restarts, "{back}");
    let used = back["account"]["used"].as_u64().unwrap();
    run.wait_for("more that is learned from", |run| {
        (stream(run)["account"]["used"].as_u64().unwrap() > used).then_some(())
    });
    run.signal("TERM");
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(ended.logged("the stream's account")[0]["unsettled"], 0);
    drop(camera);
}
