//! Memory that does not creep up: scrapes that are far apart, malloc's arenas.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::collections::BTreeSet;
use std::time::Duration;

use program::{Place, Run};

/// Longer than a runtime's spare threads live by default: 10 s.
const BETWEEN: Duration = Duration::from_secs(13);

/// The threads that answer, by number.
fn answering(run: &Run) -> BTreeSet<u64> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", run.id())).unwrap();
    let numbers = threads.filter_map(|thread| {
        let thread = thread.unwrap();
        // One that has ended meanwhile is none.
        let name = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        (name.trim() == "control").then(|| thread.file_name().to_str().unwrap().parse().unwrap())
    });
    numbers.collect()
}

/// A new thread gets another one of malloc's arenas: as many pages as there are arenas would stay in memory.
#[test]
fn a_scrape_is_answered_by_the_thread_that_answered_the_last_one() {
    let place = Place::new();
    let mut run = Run::start(&place.run(["synthetic:width=64&height=48&frame_rate=2&live=true"]));
    run.get("/metrics").expect("a page");
    // Read by malloc before `main`.
    let environment = std::fs::read(format!("/proc/{}/environ", run.id())).unwrap();
    let has = |wanted: &str| {
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    for (name, value) in [
        ("MALLOC_ARENA_MAX", "2"),
        ("MALLOC_TRIM_THRESHOLD_", "536870912"),
        ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ] {
        assert!(
            has(&format!("{name}={value}")) || std::env::var_os(name).is_some(),
            "{name}"
        );
    }
    let first = answering(&run);
    assert!(
        first.len() > 2,
        "two that wait for requests, one that answers: {first:?}"
    );
    for scrape in 0..2 {
        std::thread::sleep(BETWEEN);
        run.get("/metrics").expect("a page");
        assert_eq!(answering(&run), first, "scrape {scrape}");
    }
    run.signal("TERM");
    assert!(run.end().status.success());
}
