//! A clock on the wall that jumps back and forth.

#![allow(clippy::unwrap_used, reason = "test code")]

mod faulty;
mod program;

use std::fs;
use std::process::Command;
use std::time::Instant;

use faulty::row;
use program::{COMOVE, PATTERNS, Place, Run, account, comove};

/// A library that stands before the system's clock: the time of day goes back two hours after the first second, ahead thirty days
/// after the third, and so on in turn; the monotonic clock is left alone.
const JUMPING_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        static long begun;
        struct timespec steady;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &steady);
        if (!begun) begun = steady.tv_sec;
        long elapsed = steady.tv_sec - begun;
        if (elapsed >= 1) now->tv_sec += (elapsed - 1) / 2 % 2 ? 30L * 86400 : -7200L;
    }
    return (int)result;
}
"#;

#[test]
fn a_clock_that_jumps_breaks_nothing_and_the_newest_checkpoint_stays_the_newest() {
    let place = Place::new();
    let (source, library) = (place.path("clock.c"), place.path("clock.so"));
    fs::write(&source, JUMPING_CLOCK).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .expect("a C compiler, which linking Rust takes too");
    assert!(built.success());
    let began = Instant::now();
    let mut run = Run::spawn(
        Command::new(COMOVE)
            .args(place.run([PATTERNS]))
            .env("LD_PRELOAD", &library),
    );
    run.wait_for_message("trained");
    // Through four jumps, each way twice.
    let mut written = Vec::new();
    while began.elapsed().as_secs() < 9 || written.len() < 3 {
        run.signal("USR1");
        let seen = written.len();
        run.wait_for("one more checkpoint", |run| {
            let page = run.get("/metrics")?;
            let line = page
                .lines()
                .find(|line| line.starts_with("comove_checkpoint_step "))?;
            let step: f64 = line.rsplit(' ').next()?.parse().ok()?;
            (written.last() != Some(&(step as u64))).then(|| written.push(step as u64))
        });
        assert!(written.len() > seen);
    }
    let page = run.get("/metrics").unwrap();
    let (received, settled, buffered) = account(&page, "synthetic");
    assert_eq!(received, settled + buffered);
    assert_eq!(run.json("/healthz")["alive"], true);
    run.signal("KILL");
    let ended = run.end();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let newest = written.iter().max().unwrap();
    // A clock behind that of the checkpoints makes none of them the newest that is not.
    let resumed = Instant::now();
    let ended = comove(&place.run([PATTERNS, "--resume", "--max-steps=1"]));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.logged("learning begins")[0]["step"].as_u64(), Some(*newest));
    row(
        "clock jumps (back two hours, ahead thirty days)",
        Some(resumed.elapsed()),
        "nothing",
        "the newest checkpoint stayed the newest; every account closed",
    );
}
