//! The real program, changed while it runs: streams that come and go, a config that is read again, and secrets that are seen
//! nowhere.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::process::Command;
use std::time::{Duration, Instant};

use program::{COMOVE, Place, Run, account};
use serde_json::{Value, json};

/// Slow enough to outlast a test, fast enough to show life.
const LIVE: &str = "{ width = 64, height = 64, frame_rate = 10, scene_frames = 1000000, live = true }";

/// Sends a changing call; the status and the answer.
fn call(run: &mut Run, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let url = run.url(path);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = ureq::http::Request::builder().method(method).uri(url);
    let mut answer = agent.run(request.body(body).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let answered = serde_json::from_str(&text).unwrap_or(Value::Null);
    (answer.status().as_u16(), answered)
}

fn stream(run: &mut Run, name: &str) -> Option<Value> {
    let streams = run.json("/api/v1/streams");
    let found = streams
        .as_array()
        .unwrap()
        .iter()
        .find(|stream| stream["name"] == name);
    found.cloned()
}

fn wait_for_state(run: &mut Run, name: &str, state: &str) -> Value {
    run.wait_for(&format!("{name} {state}"), |run| {
        stream(run, name).filter(|stream| stream["state"] == state)
    })
}

#[test]
fn streams_are_added_stopped_started_and_removed_and_the_others_do_not_notice() {
    let place = Place::new();
    place.append(&format!("[[stream]]\nname = 'first'\nsynthetic = {LIVE}\n"));
    let mut run = Run::start(&place.run([] as [&str; 0]));
    wait_for_state(&mut run, "first", "running");
    let live = json!({ "width": 64, "height": 64, "frame_rate": 10, "live": true });

    let (status, added) = call(
        &mut run,
        "POST",
        "/api/v1/streams",
        Some(&json!({ "name": "second", "synthetic": live })),
    );
    assert_eq!((status, &added["origin"]), (201, &json!("api")), "{added}");
    let seen = wait_for_state(&mut run, "second", "running");
    assert!(
        seen["since"].is_string() && seen["reason"] == "key frames come",
        "{seen}"
    );
    let (status, answer) = call(
        &mut run,
        "POST",
        "/api/v1/streams",
        Some(&json!({ "name": "second", "synthetic": {} })),
    );
    assert_eq!(status, 409, "{answer}");

    let (status, stopped) = call(&mut run, "POST", "/api/v1/streams/second/disable", None);
    assert_eq!((status, &stopped["enabled"]), (200, &json!(false)), "{stopped}");
    let stopped = wait_for_state(&mut run, "second", "disabled");
    let received = stopped["account"]["received"].as_u64().unwrap();
    let (status, _) = call(&mut run, "POST", "/api/v1/streams/second/enable", None);
    assert_eq!(status, 200);
    run.wait_for("units after the start", |run| {
        // The account goes on where it was.
        stream(run, "second").filter(|stream| stream["account"]["received"].as_u64().unwrap() > received)
    });

    let (status, _) = call(&mut run, "DELETE", "/api/v1/streams/second", None);
    assert_eq!(status, 204);
    assert_eq!(stream(&mut run, "second"), None);
    // What its decoders still had in hand is booked first.
    run.wait_for("metrics without it", |run| {
        run.get("/metrics")
            .filter(|page| !page.contains("stream=\"second\""))
    });
    assert_eq!(call(&mut run, "DELETE", "/api/v1/streams/second", None).0, 404);
    // The name is free again.
    let (status, _) = call(
        &mut run,
        "PUT",
        "/api/v1/streams/second",
        Some(&json!({ "synthetic": live })),
    );
    assert_eq!(status, 200);
    wait_for_state(&mut run, "second", "running");

    let first = stream(&mut run, "first").unwrap();
    assert_eq!(
        (&first["restarts"], &first["segments"], &first["state"]),
        (&json!(0), &json!(0), &json!("running")),
        "{first}"
    );
    run.signal("TERM");
    let ended = run.end();
    assert!(ended.status.success(), "{ended:?}");
    for line in ended.logged("the stream's account") {
        assert_eq!(
            (&line["unsettled"], &line["buffered"]),
            (&json!(0), &json!(0)),
            "{line}"
        );
        assert_eq!(line["short_videos"], 0, "stopping makes no video short: {line}");
    }
}

#[test]
fn a_stream_that_cannot_be_is_refused_and_nothing_is_left_of_it() {
    let place = Place::new();
    place.append(&format!("[[stream]]\nname = 'first'\nsynthetic = {LIVE}\n"));
    std::fs::write(place.path("no.mp4"), "no video").unwrap();
    let mut run = Run::start(&place.run([] as [&str; 0]));
    wait_for_state(&mut run, "first", "running");
    for (body, said) in [
        (json!({}), "exactly one of"),
        (json!({ "path": "nowhere.mp4" }), "no such file"),
        (json!({ "path": "no.mp4" }), "not a video file"),
        (json!({ "uri": "gopher://x/" }), "gopher"),
        (json!({ "name": "no name", "synthetic": {} }), "name must be"),
        (json!({ "uri": "rtsp://h/", "latency": "long" }), "latency"),
        (
            json!({ "uri": "rtsp://h/${NOT_SET_ANYWHERE}" }),
            "NOT_SET_ANYWHERE is not set",
        ),
        (json!({ "name": "x", "synthetic": { "width": 3 } }), "even"),
    ] {
        let (status, answer) = call(&mut run, "POST", "/api/v1/streams?persist=true", Some(&body));
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(status == 422 && error.contains(said), "{body}: {status} {error}");
    }
    assert_eq!(run.json("/api/v1/streams").as_array().unwrap().len(), 1);
    assert!(!place.path("streams.d").exists());
    // What stands in the config file is not the API's to write.
    let (status, answer) = call(&mut run, "DELETE", "/api/v1/streams/first?persist=true", None);
    assert!(
        status == 409 && answer["error"].as_str().unwrap().contains("config file"),
        "{answer}"
    );
}

#[test]
fn what_is_kept_is_there_after_the_next_start_and_what_is_removed_is_not() {
    let place = Place::new();
    place.append(&format!("[[stream]]\nname = 'first'\nsynthetic = {LIVE}\n"));
    let live = json!({ "width": 64, "height": 64, "frame_rate": 10, "live": true });
    let mut run = Run::start(&place.run([] as [&str; 0]));
    wait_for_state(&mut run, "first", "running");
    for name in ["kept", "gone", "off"] {
        let body = json!({ "name": name, "synthetic": live });
        assert_eq!(
            call(&mut run, "POST", "/api/v1/streams?persist=true", Some(&body)).0,
            201
        );
    }
    let body = json!({ "name": "passing", "synthetic": live });
    assert_eq!(call(&mut run, "POST", "/api/v1/streams", Some(&body)).0, 201);
    assert_eq!(
        call(&mut run, "DELETE", "/api/v1/streams/gone?persist=true", None).0,
        204
    );
    assert_eq!(
        call(&mut run, "POST", "/api/v1/streams/off/disable?persist=true", None).0,
        200
    );
    assert_eq!(
        call(
            &mut run,
            "POST",
            "/api/v1/streams/passing/disable?persist=true",
            None
        )
        .0,
        409
    );
    run.signal("TERM");
    assert!(run.end().status.success());

    let mut run = Run::start(&place.run(["--resume=if-present"]));
    wait_for_state(&mut run, "kept", "running");
    let off = stream(&mut run, "off").unwrap();
    assert_eq!(
        (&off["state"], &off["origin"]),
        (&json!("disabled"), &json!("stream_folder"))
    );
    assert_eq!(
        (stream(&mut run, "gone"), stream(&mut run, "passing")),
        (None, None)
    );
}

#[test]
fn sighup_does_what_differs_in_the_config_and_names_what_must_wait() {
    let place = Place::new();
    let path = place.path("config.toml");
    let base = std::fs::read_to_string(&path).unwrap();
    let entry = |name: &str, seed: u32| {
        format!(
            "[[stream]]\nname = '{name}'\nsynthetic = {{ width = 64, height = 64, frame_rate = 10, live = true, seed = {seed} }}\n"
        )
    };
    let write =
        |base: &str, streams: &[String]| std::fs::write(&path, base.to_owned() + &streams.concat()).unwrap();
    write(&base, &[entry("same", 1), entry("other", 1), entry("gone", 1)]);
    let mut run = Run::start(&place.run([] as [&str; 0]));
    for name in ["same", "other", "gone"] {
        wait_for_state(&mut run, name, "running");
    }
    write(
        &base.replace("warmup_steps = 1", "warmup_steps = 2"),
        &[entry("same", 1), entry("other", 2), entry("new", 1)],
    );
    run.signal("HUP");
    let said = run.wait_for_message("the config is read again");
    assert_eq!(
        (&said["added"], &said["changed"], &said["removed"]),
        (&json!("[\"new\"]"), &json!("[\"other\"]"), &json!("[\"gone\"]")),
        "{said}"
    );
    let waits = run.wait_for_line("the key that must wait", |line| {
        line["key"] == "train.warmup_steps"
    });
    assert_eq!(waits["level"], "WARN");
    wait_for_state(&mut run, "new", "running");
    assert_eq!(stream(&mut run, "gone"), None);
    let same = stream(&mut run, "same").unwrap();
    assert_eq!(
        (&same["restarts"], &same["segments"]),
        (&json!(0), &json!(0)),
        "{same}"
    );
    // By the API as well; nothing differs any more.
    let (status, done) = call(&mut run, "POST", "/api/v1/reload", None);
    assert_eq!(status, 200);
    for list in ["added", "changed", "removed", "failed", "needs_restart"] {
        assert_eq!(done[list], json!([]), "{done}");
    }
    // A config that is wrong changes nothing.
    std::fs::write(&path, base.replace("[train]", "[train]\nno_such_key = 1")).unwrap();
    let (status, answer) = call(&mut run, "POST", "/api/v1/reload", None);
    assert!(
        status == 422 && answer["error"].as_str().unwrap().contains("no_such_key"),
        "{answer}"
    );
    assert_eq!(run.json("/api/v1/streams").as_array().unwrap().len(), 3);
    // Two entries of one name are told with both places.
    std::fs::create_dir(place.path("streams.d")).unwrap();
    std::fs::write(place.path("streams.d/same.toml"), "synthetic = {}").unwrap();
    write(&base, &[entry("same", 1)]);
    let (status, answer) = call(&mut run, "POST", "/api/v1/reload", None);
    let error = answer["error"].as_str().unwrap();
    assert!(
        status == 422 && error.contains("the config and ") && error.contains("same.toml"),
        "{error}"
    );
}

#[test]
fn training_pauses_goes_on_and_tells_its_state() {
    let place = Place::new();
    let mut run = Run::start(&place.run([program::PATTERNS]));
    run.wait_for_message("trained");
    assert_eq!(run.json("/api/v1/train")["state"], "running");
    assert_eq!(call(&mut run, "POST", "/api/v1/train/pause", None).0, 200);
    run.wait_for_message("training pauses");
    let step = |run: &mut Run| run.json("/api/v1/train")["report"]["step"].as_u64().unwrap();
    let paused_at = step(&mut run);
    assert_eq!(run.json("/api/v1/train")["state"], "paused");
    assert_eq!(run.json("/healthz")["alive"], true);
    let body = json!({ "learning_rate": 0.0125, "samples_per_insert": 3.0 });
    let (status, changed) = call(&mut run, "PATCH", "/api/v1/train", Some(&body));
    assert_eq!(status, 200, "{changed}");
    let replay = run.json("/api/v1/replay");
    assert_eq!(replay["samples_per_insert"], 3.0, "{replay}");
    for wrong in [
        json!({ "learning_rate": 0 }),
        json!({ "samples_per_insert": -1, "learning_rate": 1 }),
    ] {
        let (status, answer) = call(&mut run, "PATCH", "/api/v1/train", Some(&wrong));
        let error = answer["error"].as_str().unwrap();
        assert!(status == 422 && error.contains("above 0"), "{answer}");
    }
    let replay = run.json("/api/v1/replay");
    assert!(replay["samples"].as_u64() > Some(0), "{replay}");
    assert_eq!(step(&mut run), paused_at);
    assert_eq!(call(&mut run, "POST", "/api/v1/train/resume", None).0, 200);
    run.wait_for("steps after the pause", |run| {
        (step(run) > paused_at).then_some(())
    });
    // The warm-up of one step is over.
    run.wait_for("the rate that was set", |run| {
        let rate = run.json("/api/v1/train")["report"]["learning_rate"].as_f64();
        (rate == Some(0.0125)).then_some(())
    });
}

#[test]
fn no_secret_is_seen_in_any_output_wherever_it_came_from() {
    const CANARY: &str = "tweety-4711";
    let place = Place::new();
    std::fs::write(place.path("password"), CANARY).unwrap();
    std::fs::write(place.path("uri"), format!("rtsp://bob:{CANARY}@127.0.0.1:9/b")).unwrap();
    // A port that refuses, so that errors name the sources.
    place.append(
        "[[stream]]\nname = 'patterns'\nsynthetic = { width = 160, height = 120 }\n\
             [[stream]]\nname = 'a'\nuri = 'rtsp://127.0.0.1:9/a'\nuser = 'bob'\npassword_file = 'password'\n\
             [[stream]]\nname = 'b'\nuri_file = 'uri'\n\
             [[stream]]\nname = 'c'\nuri = 'rtsp://bob:${CANARY}@127.0.0.1:9/c?token=${CANARY}'\n\
             [[stream]]\nname = 'd'\nuri = 'http://127.0.0.1:9/d'\nuser = 'bob'\npassword = '${CANARY}'\n",
    );
    let mut run = Run::spawn(
        Command::new(COMOVE)
            .args(place.run(["--max-steps=3"]))
            .env("CANARY", CANARY)
            .env("COMOVE_LOG_UNUSED", ""),
    );
    let mut outputs = Vec::new();
    for name in ["a", "b", "c", "d"] {
        wait_for_state(&mut run, name, "backing_off");
    }
    for (body, wrong) in [
        (
            json!({ "name": "e", "uri": format!("rtsp://bob:{CANARY}@127.0.0.1:9/e") }),
            false,
        ),
        (
            json!({ "name": "f", "uri": format!("rtsp://bob:{CANARY}@[::1/f") }),
            true,
        ),
        (json!({ "name": "g", "path": "x", "password": CANARY }), true),
        (
            json!({ "name": "h", "uri": "rtsp://127.0.0.1:9/h", "user": "bob", "password": CANARY }),
            false,
        ),
    ] {
        let (status, answer) = call(&mut run, "POST", "/api/v1/streams?persist=true", Some(&body));
        assert_eq!(status == 422, wrong, "{answer}");
        outputs.push(answer.to_string());
    }
    for path in [
        "/metrics",
        "/api/v1/streams",
        "/api/v1/status",
        "/readyz",
        "/healthz",
        "/api/v1/train",
        "/",
    ] {
        outputs.extend(run.get(path));
    }
    let ended = run.end();
    outputs.extend([ended.stdout, ended.stderr]);
    let resolved = Command::new(COMOVE)
        .args(["check", "--resolved", "-c"])
        .arg(place.path("config.toml"))
        .env("CANARY", CANARY)
        .output()
        .unwrap();
    outputs.push(String::from_utf8_lossy(&resolved.stdout).into_owned());
    // Everything that a checkpoint holds, names of files too.
    let mut folders = vec![place.checkpoints()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            outputs.push(path.display().to_string());
            if path.is_symlink() {
                continue;
            }
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    files += 1;
                    outputs.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
                }
            }
        }
    }
    assert!(files > 2, "no checkpoint was looked at");
    for output in &outputs {
        let at = output.find(CANARY);
        assert_eq!(at, None, "{}", &output[at.unwrap_or(0).saturating_sub(200)..]);
    }
    // The secret is kept where it was told to, for its owner only.
    let kept = std::fs::read_to_string(place.path("streams.d/e.toml")).unwrap();
    assert!(kept.contains(CANARY));
}

/// What every scrape of a hundred must satisfy, while units come in as fast as they can be taken.
#[test]
fn every_streams_account_closes_at_every_scrape_under_load() {
    let place = Place::new();
    let streams: String = (0..6)
        .map(|number| {
            let live = number % 2 == 0;
            format!("[[stream]]\nname = 's{number}'\nsynthetic = {{ width = 64, height = 64, live = {live}, frame_rate = 60 }}\n")
        })
        .collect();
    place.append(&streams);
    let mut run = Run::start(&place.run([] as [&str; 0]));
    run.wait_for_message("trained");
    let mut last = [0; 6];
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut scrapes = 0;
    while scrapes < 100 || last.iter().any(|received| *received <= 100) {
        assert!(Instant::now() < deadline, "{last:?} after {scrapes} scrapes");
        scrapes += 1;
        let page = run.get("/metrics").unwrap();
        for (number, last) in last.iter_mut().enumerate() {
            let (received, settled, buffered) = account(&page, &format!("s{number}"));
            assert_eq!(received, settled + buffered, "s{number}");
            assert!(received >= *last, "s{number}");
            *last = received;
        }
    }
}
