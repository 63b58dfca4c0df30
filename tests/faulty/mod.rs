//! Faults tried for real: each test prints a row, and `scripts/reliability` makes docs/reliability.md of them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Place, Run, account};

/// Says what a fault led to: how long after its end all was well again, and what was lost.
pub fn row(fault: &str, recovery: Option<Duration>, lost: &str, seen: &str) {
    let recovery = recovery.map_or("–".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
    // On a line of its own, whatever the test harness has begun.
    println!("\nreliability: | {fault} | {recovery} | {lost} | {seen} |");
}

/// The real program on a stream that will meet a fault, `cam`, and one that must not notice, `other`.
pub struct Watch {
    pub place: Place,
    pub run: Run,
}

/// An account at some time.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub received: u64,
    pub used: u64,
    pub dropped: u64,
    pub skipped: u64,
}

impl Watch {
    /// `cam` is the entry of the stream, without its name.
    pub fn start(cam: &str) -> Self {
        let place = Place::new();
        let path = place.path("config.toml");
        let config = std::fs::read_to_string(&path).unwrap().replace(
            "[ingest]",
            "[ingest]\nstall_timeout = \"2s\"\nopen_timeout = \"5s\"\nhost_spacing = \"100ms\"",
        );
        // A test may bring a section of its own.
        let config = match cam.contains("[decode]") {
            true => config.replace("[decode]\nthreads = 1\n", ""),
            false => config,
        };
        let streams = format!(
            "[[stream]]\nname = 'other'\nsynthetic = {{ width = 64, height = 64, frame_rate = 10, scene_frames = 1000000, live = true }}\n\
             [[stream]]\nname = 'cam'\n{cam}\n"
        );
        std::fs::write(&path, config + &streams).unwrap();
        let run = Run::start(&place.run([] as [&str; 0]));
        Self { place, run }
    }

    pub fn stream(&mut self, name: &str) -> Value {
        let streams = self.run.json("/api/v1/streams");
        let found = streams
            .as_array()
            .unwrap()
            .iter()
            .find(|stream| stream["name"] == name);
        found.cloned().unwrap()
    }

    pub fn account(&mut self) -> Account {
        let account = self.stream("cam")["account"].clone();
        let sum = |of: &Value| {
            of.as_object()
                .unwrap()
                .values()
                .map(|units| units.as_u64().unwrap())
                .sum()
        };
        Account {
            received: account["received"].as_u64().unwrap(),
            used: account["used"].as_u64().unwrap(),
            dropped: sum(&account["dropped"]),
            skipped: sum(&account["skipped"]),
        }
    }

    /// Waits until `cam` is as wanted.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.run.wait_for(what, |run| {
            let streams = run.json("/api/v1/streams");
            let found = streams
                .as_array()
                .unwrap()
                .iter()
                .find(|stream| stream["name"] == "cam");
            found.cloned().filter(&wanted)
        })
    }

    pub fn wait_for_state(&mut self, state: &str) -> Value {
        self.wait_for(state, |cam| cam["state"] == state)
    }

    /// Waits until something of `cam` has been learned from, beyond `before`.
    pub fn wait_until_used(&mut self, before: u64) -> Value {
        self.wait_for("samples", |cam| cam["account"]["used"].as_u64().unwrap() > before)
    }

    /// Runs and gives samples again; how long that took since `since`.
    pub fn recovers(&mut self, since: Instant) -> Duration {
        let before = self.account().used;
        self.wait_for_state("running");
        let running = since.elapsed();
        self.wait_until_used(before);
        running
    }

    /// The other stream has noticed nothing, every account closes; ends the run.
    pub fn end(mut self) -> Place {
        let other = self.stream("other");
        assert_eq!(
            (&other["restarts"], &other["segments"]),
            (&0.into(), &0.into()),
            "{other}"
        );
        let page = self.run.get("/metrics").unwrap();
        for stream in ["cam", "other"] {
            let (received, settled, buffered) = account(&page, stream);
            assert_eq!(received, settled + buffered, "{stream}");
        }
        self.run.signal("TERM");
        let ended = self.run.end();
        assert!(ended.status.success(), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        for line in ended.logged("the stream's account") {
            assert_eq!(
                (&line["unsettled"], &line["buffered"]),
                (&0.into(), &0.into()),
                "{line}"
            );
        }
        self.place
    }
}
