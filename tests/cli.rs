//! The program as people and services call it: exit codes, and what stands on standard output and error.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn comove(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_comove"));
    command
        .args(arguments)
        .env_remove("COMOVE_TOKEN")
        .env_remove("COMOVE_LOG");
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(both).unwrap()
}

fn config(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_subcommand_explains_itself_with_examples() {
    let help = said(&comove(&["--help"]));
    for subcommand in ["run", "check", "inspect", "eval", "checkpoint", "status"] {
        assert!(help.contains(&format!("\n  {subcommand} ")), "{help}");
        let output = comove(&[subcommand, "--help"]);
        assert_eq!(code(&output), 0);
        let text = said(&output);
        assert!(
            text.contains("Examples:") && text.contains(&format!("comove {subcommand}")),
            "{text}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_call_ends_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let unknown_key = config(folder.path(), "comove.toml", "[train]\npresett = 'micro'");
    let calls: [(&[&str], &str); 7] = [
        (&["rum"], "run"),
        (&["run"], "there is no stream"),
        (&["check", "-c", &unknown_key], "did you mean train.preset?"),
        (&["check", "-c", "/nowhere.toml"], "/nowhere.toml"),
        (
            &["check", "--preset", "huge"],
            "--preset: train.preset = \"huge\"",
        ),
        (&["check", "no/such/file.mp4"], "no/such/file.mp4"),
        (
            &[
                "eval",
                "knn",
                "--checkpoint",
                "x",
                "--preset",
                "micro",
                "--dataset",
                "y",
            ],
            "--preset goes with",
        ),
    ];
    for (arguments, part) in calls {
        let output = comove(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn what_fails_in_the_world_ends_with_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let noise = folder.path().join("noise.mp4");
    std::fs::write(&noise, [7; 4096]).unwrap();
    let noise = noise.to_str().unwrap();
    for arguments in [
        &["checkpoint", "verify", empty] as &[&str],
        &["checkpoint", "verify", "--all", empty],
        &["checkpoint", "show", "/nowhere"],
        &["inspect", noise],
        &["check", noise],
        &["status", "127.0.0.1:9"],
    ] {
        let output = comove(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}: {}", said(&output));
        assert!(
            said(&output).contains("comove: "),
            "{arguments:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_password_is_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let uri = "rtsp://bob:hunter2@127.0.0.1:9/x?token=hunter2";
    let written = config(
        folder.path(),
        "written.toml",
        &format!("[[stream]]\nname = 'gate'\nuri = '{uri}'"),
    );
    let misspelt = config(
        folder.path(),
        "misspelt.toml",
        &format!("[[stream]]\nurl = '{uri}'"),
    );
    for (arguments, expected) in [
        (&["check", "-c", &written] as &[&str], 0),
        (&["check", "-c", &written, "--resolved"], 0),
        (&["check", "-c", &written, "--open"], 1),
        (&["check", uri], 0),
        (&["check", "-c", &misspelt], 2),
        (&["check", "gopher://bob:hunter2@h/"], 2),
    ] {
        let output = comove(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", said(&output));
        assert!(
            !said(&output).contains("hunter2"),
            "{arguments:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn check_opens_what_it_can_and_says_what_it_found() {
    let output = comove(&["check", "synthetic:width=64&height=48"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = said(&output);
    for part in [
        "pipelines   all can be built",
        "H.264, 64×48, 25 frames/s",
        "all is well",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn the_resolved_config_is_a_config() {
    let folder = tempfile::tempdir().unwrap();
    let resolved = comove(&["check", "--resolved", "--preset", "small", "synthetic:"]);
    let again = config(
        folder.path(),
        "again.toml",
        std::str::from_utf8(&resolved.stdout).unwrap(),
    );
    let output = comove(&["check", "-c", &again, "--resolved"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(said(&output).contains("preset = \"small\""), "{}", said(&output));
}
