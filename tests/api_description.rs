//! The API's description, tried on the real program with hundreds of requests by schemathesis (PyPI), where it is installed:
//! scripts/test puts it into ~/.cache/comove.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::path::PathBuf;
use std::process::Command;

use program::{COMOVE, Place, Run};

/// `COMOVE_SCHEMATHESIS`, or where scripts/test installs it.
fn schemathesis() -> Option<PathBuf> {
    let given = std::env::var_os("COMOVE_SCHEMATHESIS").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = given.or_else(|| Some(home?.join(".cache/comove/schemathesis/bin/schemathesis")));
    let found = path.filter(|path| path.exists());
    assert!(
        found.is_some() || std::env::var("CI").as_deref() != Ok("true"),
        "no schemathesis: scripts/test installs it"
    );
    found
}

#[test]
fn every_answer_is_as_the_description_says() {
    let Some(schemathesis) = schemathesis() else {
        eprintln!("left out: no schemathesis; scripts/test installs it");
        return;
    };
    const TOKEN: &str = "a-token-for-schemathesis";
    let place = Place::new();
    place.append(
        "[[stream]]\nname = 'first'\nsynthetic = { width = 64, height = 64, frame_rate = 2, live = true }\n",
    );
    let mut run = Run::spawn(
        Command::new(COMOVE)
            .args(place.run([] as [&str; 0]))
            .env("COMOVE_TOKEN", TOKEN),
    );
    let url = run.url("/api/v1/openapi.json");
    let tried = Command::new(schemathesis)
        .current_dir(place.path(""))
        .args(["run", &url, "--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--phases=coverage,fuzzing", "--max-examples=5", "--seed=1"])
        .args([
            "--request-timeout=60",
            "--no-color",
            "--suppress-health-check=all",
        ])
        // Not each body that the schema allows is a stream that can be: 422 says why. `--header` goes with every request, so the
        // two checks that leave the token out would see it accepted: tests/control.rs and src/server/tests.rs try that.
        .args(["--exclude-checks=positive_data_acceptance,ignored_auth,missing_required_header"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tried.stdout);
    let errors = String::from_utf8_lossy(&tried.stderr);
    assert!(tried.status.success(), "{said}{errors}");
    assert!(!run.is_over(), "the program has ended");
    assert_eq!(run.json("/healthz")["alive"], true);
}
