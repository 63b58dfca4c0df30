//! A stream is forgotten while the program runs.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::path::Path;
use std::time::Duration;

use comove::checkpoint::{load_samples, resolve, show};
use program::{Place, Run, comove};
use serde_json::Value;

fn call(run: &mut Run, method: &str, path: &str) -> (u16, Value) {
    let url = run.url(path);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(180)))
        .build()
        .into();
    let request = ureq::http::Request::builder().method(method).uri(url);
    let mut answer = agent.run(request.body(String::new()).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&text).unwrap_or(Value::Null),
    )
}

/// Streams that the samples of a snapshot are of.
fn streams_of(snapshot: &Path) -> Vec<String> {
    let stored = load_samples(snapshot).unwrap().unwrap();
    assert_eq!(stored.missing, 0);
    let mut streams: Vec<_> = stored
        .samples
        .iter()
        .map(|sample| sample.stream().to_string())
        .collect();
    streams.sort();
    streams.dedup();
    streams
}

#[test]
fn a_stream_forgotten_over_the_api_is_gone_from_replay_disk_and_checkpoints_and_these_say_so() {
    let place = Place::new();
    let path = place.path("config.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace(
        "min_samples = 4",
        "min_samples = 4\nsampling = \"stream_fair\"\ncapacity = \"3 MiB\"",
    );
    let source = "synthetic = { width = 160, height = 120 }";
    std::fs::write(
        &path,
        format!(
            "{config}[replay.spill]\ncapacity = \"40 MiB\"\nsegment_size = \"2 MiB\"\n\
             [[stream]]\nname = \"gone\"\n{source}\n[[stream]]\nname = \"stays\"\n{source}\n"
        ),
    )
    .unwrap();
    let mut run = Run::start(&place.run([""; 0]));
    run.wait_for("samples of both on disk", |run| {
        let replay = run.json("/api/v1/replay");
        (replay["spill"]["samples"].as_u64() > Some(6)).then_some(())
    });
    assert_eq!(call(&mut run, "POST", "/api/v1/checkpoints").0, 201);
    let snapshot = resolve(&place.checkpoints()).unwrap();
    assert_eq!(streams_of(&snapshot), ["gone", "stays"]);
    assert_eq!(call(&mut run, "DELETE", "/api/v1/streams/nobody/samples").0, 404);
    assert_eq!(call(&mut run, "POST", "/api/v1/streams/gone/disable").0, 200);
    // What its decoders still had in hand has come.
    run.wait_for("the stream to stop", |run| {
        let streams = run.json("/api/v1/streams");
        let is_off = |stream: &&Value| stream["name"] == "gone" && stream["state"] == "disabled";
        streams.as_array().unwrap().iter().find(is_off).map(drop)
    });

    let (status, answer) = call(&mut run, "DELETE", "/api/v1/streams/gone/samples");
    assert_eq!(status, 200, "{answer}");
    assert!(answer["samples"].as_u64() > Some(0), "{answer}");
    assert!(answer["checkpoint_samples"].as_u64() > Some(0), "{answer}");
    let step: u64 = snapshot.file_name().unwrap().to_str().unwrap().parse().unwrap();
    assert!(
        answer["marked"].as_array().unwrap().contains(&step.into()),
        "{answer}"
    );
    let marked = show(&snapshot).unwrap().forgotten;
    assert_eq!(marked[0].stream, "gone");
    assert_eq!(streams_of(&snapshot), ["stays"]);
    // A checkpoint to come has none of it either, and says that it was learned from.
    assert_eq!(call(&mut run, "POST", "/api/v1/checkpoints").0, 201);
    let newest = resolve(&place.checkpoints()).unwrap();
    assert_eq!(streams_of(&newest), ["stays"]);
    let marked = show(&newest).unwrap().forgotten;
    assert_eq!(marked.len(), 1);
    assert!(marked[0].samples_taken > 0);
    run.signal("TERM");
    assert!(run.end().status.success());
    let ended = comove(&[
        "checkpoint".as_ref(),
        "verify".as_ref(),
        place.checkpoints().as_os_str(),
    ]);
    assert!(ended.status.success(), "{ended:?}");
}
