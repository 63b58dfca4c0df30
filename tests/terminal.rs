//! What `comove run` shows on a terminal, which `script` (bsdutils) pretends to be.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::process::{Command, Stdio};

use program::{COMOVE, PATTERNS, Place, Run, comove};

/// Everything that the program wrote to the terminal.
fn on_a_terminal(command: &str) -> String {
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("COMOVE_LOG")
        .env_remove("COMOVE_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    shown
}

/// Without what moves the cursor and colours letters.
fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut characters = shown.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            text.push(character);
            continue;
        }
        for escaped in characters.by_ref().skip_while(|c| *c == '[') {
            if escaped.is_ascii_alphabetic() {
                break;
            }
        }
    }
    text
}

#[test]
fn a_terminal_shows_live_lines_and_no_log_line_is_torn() {
    let place = Place::new();
    let command: Vec<_> = place
        .run([PATTERNS, "--max-steps=12", "--log-format=auto"])
        .iter()
        .map(|argument| format!("'{}'", argument.to_string_lossy()))
        .collect();
    let shown = on_a_terminal(&format!(
        "stty cols 160 rows 40; '{COMOVE}' {}",
        command.join(" ")
    ));
    let text = plain(&shown);
    for live in [
        "streams     1 running",
        "steps/s",
        "samples/s",
        "checkpoint  ",
        "the first in",
    ] {
        assert!(text.contains(live), "{live} is missing in {text}");
    }
    let trained: Vec<_> = text
        .split(['\n', '\r'])
        .filter(|line| line.contains("trained "))
        .collect();
    assert_eq!(trained.len(), 12, "{text}");
    for line in trained {
        let (_, facts) = line.split_once("trained ").unwrap();
        assert!(line.contains("INFO") && facts.starts_with("step="), "{line:?}");
        assert!(facts.trim_end().contains("samples_per_second="), "{line:?}");
        assert!(
            !facts.contains("streams  ") && !facts.contains("steps/s"),
            "{line:?}"
        );
    }
    // What is left on the screen is the summary, not the live lines.
    let end = text.split("ended after").nth(1).unwrap();
    assert!(end.contains("12 steps") && !end.contains("steps/s"), "{end}");
}

#[test]
fn elsewhere_there_are_plain_lines_only_and_status_tells_the_same() {
    let place = Place::new();
    let mut run = Run::start(&place.run([PATTERNS, "--log-format=json"]));
    run.wait_for_message("trained");
    let told = comove(&["status", &run.url("")]);
    assert!(told.status.success(), "{told:?}");
    for text in [
        "synthetic",
        "steps/s",
        "samples/s",
        "loss",
        "checkpoint",
        "the first in",
    ] {
        assert!(told.stdout.contains(text), "{text} is missing in {}", told.stdout);
    }
    run.signal("TERM");
    let ended = run.end();
    assert!(ended.status.success());
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
}

#[test]
fn status_shows_the_read_token_that_it_is_given() {
    const TOKEN: &str = "only-for-looking-at";
    let place = Place::new();
    std::fs::write(place.path("token"), TOKEN).unwrap();
    let mut command = Command::new(COMOVE);
    command
        .args(place.run([PATTERNS]))
        .env("COMOVE_READ_TOKEN", TOKEN);
    let mut run = Run::spawn(&mut command);
    let url = run.url("");
    let refused = comove(&["status", &url]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--token-file"), "{refused:?}");
    let file = place.path("token").display().to_string();
    let told = comove(&["status", &url, "--token-file", &file]);
    assert!(
        told.status.success() && told.stdout.contains("synthetic"),
        "{told:?}"
    );
}
