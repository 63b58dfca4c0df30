use std::path::Path;

use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(text, &Overrides::default())
}

fn load_with(text: &str, overrides: &Overrides) -> Result<Config, ConfigError> {
    Config::from_document(Document::parse(Path::new("/etc/comove/x.toml"), text)?, overrides)
}

/// Asserts that reading `text` fails with a message that has all `parts`.
#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let message = load(text).expect_err("it was accepted").to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn without_a_file_the_defaults_are_in_force() {
    assert_eq!(
        Config::load(None, &Overrides::default()).unwrap(),
        Config::default()
    );
    // A file's folder is where its relative paths begin, those that it leaves at their default too.
    let checkpoints = Path::new("/etc/comove/checkpoints");
    assert_eq!(load("").unwrap().checkpoint.dir, checkpoints);
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    refused(
        "[server]\nlistne = 'x'",
        &[
            "/etc/comove/x.toml",
            "server.listne",
            "did you mean server.listen?",
            "Allowed here: listen, token_file",
        ],
    );
    refused(
        "[sever]\nlisten = 'x'",
        &["sever: there is no such key", "did you mean server?"],
    );
    refused(
        "[log]\nlisten = 'x'",
        &["log.listen", "did you mean server.listen?"],
    );
    refused(
        "[log]\nzzz = 'x'",
        &["log.zzz: there is no such key Allowed here: format, filter"],
    );
}

#[test]
fn a_bad_value_is_named_with_its_key_and_what_is_allowed() {
    refused(
        "[server]\nlisten = 'localhost'",
        &[
            "server.listen = \"localhost\"",
            "an address with a port, such as 127.0.0.1:9464",
        ],
    );
    refused(
        "[server]\nlisten = 9464",
        &["server.listen = 9464", "text in quotes"],
    );
    refused(
        "[log]\nformat = 'xml'",
        &[
            "log.format = \"xml\"",
            "\"auto\"",
            "\"human\"",
            "\"plain\"",
            "\"json\"",
        ],
    );
    refused(
        "[decode]\nthreads = 0",
        &["decode.threads = 0", "a whole number, 1 or more"],
    );
    refused(
        "[decode]\ndeadline = 'soon'",
        &["decode.deadline = \"soon\"", "a time such as \"30s\""],
    );
    refused(
        "[replay]\ncapacity = 'much'",
        &["replay.capacity = \"much\"", "such as \"512 MiB\""],
    );
    refused(
        "[replay]\nmin_samples = -1",
        &["replay.min_samples = -1", "a whole number, 0 or more"],
    );
    refused(
        "[replay]\nsamples_per_insert = 'x'",
        &["replay.samples_per_insert = \"x\"", "a number"],
    );
    refused("log = 3", &["log = 3", "a section"]);
    refused(
        "[log]\nfilter = 'loud'",
        &["log.filter = \"loud\"", "error, warn, info"],
    );
}

#[test]
fn a_syntax_error_tells_the_place_without_quoting_the_line() {
    refused(
        "[log]\nuri = 'rtsp://u:hunter2@h' x",
        &["/etc/comove/x.toml, line 2, column"],
    );
    let message = load("[log]\nuri = 'rtsp://u:hunter2@h' x")
        .unwrap_err()
        .to_string();
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn a_missing_file_is_named() {
    let message = Config::load(Some(Path::new("/nowhere/c.toml")), &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("config /nowhere/c.toml: "), "{message}");
}

#[test]
fn the_command_line_goes_before_the_file_and_is_named_in_errors() {
    let overrides = Overrides {
        listen: Some("127.0.0.1:1".to_owned()),
        ..Overrides::default()
    };
    let config = load_with("[server]\nlisten = '127.0.0.1:2'", &overrides).unwrap();
    assert_eq!(config.server.listen.port(), 1);
    let overrides = Overrides {
        listen: Some("nowhere".to_owned()),
        ..Overrides::default()
    };
    let message = load_with("", &overrides).unwrap_err().to_string();
    assert!(
        message.starts_with("--listen: server.listen = \"nowhere\": allowed is an address"),
        "{message}"
    );
}

#[test]
fn every_option_of_the_command_line_has_its_key() {
    let overrides = Overrides {
        sources: vec!["synthetic:seed=7".to_owned()],
        preset: Some("small".to_owned()),
        device: Some("cpu".to_owned()),
        max_steps: Some(5),
        checkpoint_dir: Some("here".into()),
        resume: Some("always".to_owned()),
        max_duration: Some("90s".to_owned()),
        listen: Some("127.0.0.1:7".to_owned()),
        log_format: Some("json".to_owned()),
    };
    let config = load_with(
        "[[stream]]\nsynthetic = {}\n[[stream]]\nsynthetic = {}",
        &overrides,
    )
    .unwrap();
    assert_eq!(config.stream.len(), 1);
    assert_eq!(config.stream[0].synthetic.as_ref().unwrap().seed, 7);
    assert_eq!(config.train.preset.name(), "small");
    assert_eq!(config.train.device.to_string(), "cpu");
    assert_eq!(config.train.max_steps, Some(5));
    assert_eq!(
        config.checkpoint.dir,
        std::env::current_dir().unwrap().join("here")
    );
    assert_eq!(config.run.resume, Resume::Always);
    assert_eq!(config.run.max_duration.unwrap().as_secs(), 90);
    assert_eq!(config.log.format, crate::telemetry::LogFormat::Json);
    let bad = Overrides {
        preset: Some("huge".to_owned()),
        ..Overrides::default()
    };
    let message = load_with("", &bad).unwrap_err().to_string();
    let told = "--preset: train.preset = \"huge\": allowed is one of \"paper\", \"small\", \"micro\"";
    assert!(message.contains(told), "{message}");
}

#[test]
fn contradictions_between_sections_are_told_together() {
    refused(
        "[train]\nbatch_size = 1\n[replay]\nsamples_per_insert = -1\n[checkpoint]\nkeep = 0",
        &["train.batch_size", "replay.samples_per_insert", "checkpoint.keep"],
    );
    refused(
        "[train]\npreset = 'paper'\n[window]\nbuffer_pictures = 10",
        &["window.buffer_pictures = 10"],
    );
    refused("[train]\ndevice = 'gpu'", &["train.device", "\"cuda:N\""]);
}

#[test]
fn a_stream_that_cannot_be_is_named() {
    refused(
        "[[stream]]\nuir = 'rtsp://h/'",
        &["stream[0].uir", "did you mean stream[0].uri?"],
    );
    refused("[[stream]]\nname = 'a/b'\nsynthetic = {}", &["number 1", "a/b"]);
    refused(
        "[[stream]]\npath = 'no/such.mp4'",
        &["/etc/comove/no/such.mp4", "no such file"],
    );
    refused("[[stream]]\nname = 'door'", &["stream door: exactly one of"]);
    refused("[[stream]]\nsynthetic = { width = 7 }", &["even"]);
}

#[test]
fn passwords_stay_out_of_errors_and_of_the_resolved_config() {
    let secret = "hunter2";
    for wrong in [
        "[[stream]]\nuri = 'rtsp://bob:hunter2@h/x'\nnam = 1",
        "[[stream]]\nuri = 'gopher://bob:hunter2@h/x'",
        "[[stream]]\nuri = 'rtsp://bob:hunter2@[::1/x'",
        "[[stream]]\nname = 7\nuri = 'rtsp://bob:hunter2@h/x'",
        "[[stream]]\npath = ['rtsp://bob:hunter2@h/x']",
        "stream = { uri = 'rtsp://bob:hunter2@h/x' }",
    ] {
        let message = load(wrong).unwrap_err().to_string();
        assert!(!message.contains(secret), "{message}");
    }
    let config = load("[[stream]]\nuri = 'rtsp://bob:hunter2@h/x?token=hunter2'").unwrap();
    for shown in [config.resolved_toml().unwrap(), format!("{config:?}")] {
        assert!(
            shown.contains("rtsp://***@h/x?token=***") && !shown.contains(secret),
            "{shown}"
        );
    }
}

#[test]
fn relative_paths_mean_what_lies_beside_the_file() {
    let config = load("[server]\ntoken_file = 'secrets/token'").unwrap();
    assert_eq!(
        config.server.token_file.unwrap(),
        Path::new("/etc/comove/secrets/token")
    );
    let config = load("[server]\ntoken_file = '/run/token'").unwrap();
    assert_eq!(config.server.token_file.unwrap(), Path::new("/run/token"));
}

#[test]
fn environment_variables_stand_in_for_secrets() {
    let mut document = Document::parse(Path::new("x"), "[server]\nlisten = '${HOST}:1'").unwrap();
    document
        .expand_variables(|name| (name == "HOST").then(|| "127.0.0.9".to_owned()))
        .unwrap();
    let config: Config = document.deserialize().unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.9:1");
    refused(
        "[server]\nlisten = '${COMOVE_NO_SUCH_VARIABLE}:1'",
        &[
            "server.listen",
            "environment variable COMOVE_NO_SUCH_VARIABLE is not set",
        ],
    );
}

#[test]
fn the_resolved_config_reads_back_as_itself() {
    let text = "[log]\nfilter = 'debug'\n[server]\ntoken_file = 't'\n[window]\nmin_moving_share = 0.03\n[[stream]]\nsynthetic = {}";
    let config = load(text).unwrap();
    let resolved = config.resolved_toml().unwrap();
    assert_eq!(load(&resolved).unwrap(), config);
    assert!(resolved.contains("min_moving_share = 0.03\n"), "{resolved}");
    assert_eq!(format!("{config:?}"), resolved);
}

#[test]
fn memories_too_small_for_one_sample_are_refused_with_what_would_be_right() {
    let told = load("[replay]\ncapacity = \"1 MiB\"\n[ingest]\nmemory = \"20 KiB\"")
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("replay.capacity = 1.0 MiB: a batch of 8 samples of"),
        "{told}"
    );
    assert!(told.contains("ingest.memory = 20.0 KiB: 1 streams"), "{told}");
}
