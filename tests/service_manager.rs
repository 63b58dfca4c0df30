//! The real program under a service manager: what systemd hears of it, and when it counts as hung.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use program::{COMOVE, Place, Run};
use serde_json::Value;

#[test]
fn a_step_that_takes_longer_than_it_may_counts_as_hung() {
    let place = Place::new();
    place.append("[run]\nstep_deadline = '1ms'\n");
    let mut run = Run::start(&place.run([program::PATTERNS]));
    let url = run.url("/healthz");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let body = run.wait_for("a step that hangs", |_| {
        let mut answer = agent.get(&url).call().unwrap();
        (answer.status() == 503).then(|| answer.body_mut().read_to_string().unwrap())
    });
    let body: Value = serde_json::from_str(&body).unwrap();
    let reason = body["reasons"][0].as_str().unwrap();
    assert!(
        body["alive"] == false && reason.starts_with("train gave no sign of life"),
        "{body}"
    );
}

#[test]
fn the_service_manager_hears_ready_watchdog_reloading_and_stopping() {
    let place = Place::new();
    place.append(
        "[[stream]]\nname = 'first'\n\
         synthetic = { width = 64, height = 64, frame_rate = 10, scene_frames = 1000000, live = true }\n",
    );
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut heard = Vec::new();
    let run = Run::spawn(
        Command::new(COMOVE)
            .args(place.run([] as [&str; 0]))
            .env("NOTIFY_SOCKET", place.path("notify"))
            .env("WATCHDOG_USEC", "200000"),
    );
    let mut hear = |wanted: &str| {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let mut room = [0; 1024];
            if let Ok(length) = socket.recv(&mut room) {
                heard.push(String::from_utf8_lossy(&room[..length]).into_owned());
                if heard.last().unwrap().lines().any(|line| line == wanted) {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "no {wanted} in {heard:?}");
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    run.signal("HUP");
    hear("RELOADING=1");
    hear("READY=1");
    run.signal("TERM");
    hear("STOPPING=1");
    assert!(run.end().status.success());
    let reloading = heard.iter().find(|said| said.contains("RELOADING=1")).unwrap();
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
}

#[test]
fn a_watchdog_is_not_fed_while_a_step_hangs() {
    let place = Place::new();
    place.append("[run]\nstep_deadline = '1ms'\n");
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    let mut run = Run::spawn(
        Command::new(COMOVE)
            .args(place.run([program::PATTERNS]))
            .env("NOTIFY_SOCKET", place.path("notify"))
            .env("WATCHDOG_USEC", "20000"),
    );
    run.wait_for_message("the watchdog is not fed");
    drop(socket);
}
