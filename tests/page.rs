//! The page at `/` in a real browser, of the real program at work.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use std::process::Command;
use std::time::{Duration, Instant};

use program::{COMOVE, PATTERNS, Place, Run};

/// A stream that is not there, its password in its address.
const GATE: &str = "rtsp://viewer:hunter2hunter2@127.0.0.1:1/none";
const TOKEN: &str = "only-for-looking-at";

/// The page at `url` after so many seconds of a browser's time, which pass as fast as the page lets them. `None` where there is no
/// Chromium.
fn browsed(url: &str, seconds: u32, more: &[&str]) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let mut browser = match Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--virtual-time-budget={}", 1000 * seconds))
        .args(more)
        .arg(url)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
    {
        Ok(browser) => browser,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "chromium: {error}");
            eprintln!("left out: chromium is not installed");
            return None;
        }
    };
    let mut stdout = browser.stdout.take().unwrap();
    let page = std::thread::spawn(move || {
        let mut page = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut page).map(|_| page)
    });
    let deadline = Instant::now() + Duration::from_secs(120);
    while browser.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            browser.kill().unwrap();
            panic!("the browser hangs on {url}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(page.join().unwrap().unwrap())
}

/// The figure under this heading.
fn figure(page: &str, heading: &str) -> u64 {
    let after = page.split(&format!("<dt>{heading}</dt>")).nth(1).unwrap();
    let figure = after.trim_start().trim_start_matches("<dd>");
    let digits: String = figure.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{heading} in {page}"))
}

fn bytes(run: &mut Run, path: &str) -> Vec<u8> {
    let url = run.url(path);
    ureq::get(url).call().unwrap().body_mut().read_to_vec().unwrap()
}

#[test]
fn a_browser_sees_streams_learning_key_frames_and_samples_and_they_go_on() {
    let place = Place::new();
    let mut run = Run::start(&place.run([PATTERNS, GATE]));
    run.wait_for_message("trained");
    run.signal("USR1");
    run.wait_for_message("checkpoint written");
    let page = run.wait_for("what looks alike", |run| {
        run.get("/")
            .filter(|page| page.contains("class=\"newest\"") && page.contains("<polyline"))
    });
    let Some(seen) = browsed(&run.url("/"), 12, &[]) else {
        return;
    };
    assert!(
        seen.contains("data-refreshed=\"2\"") || seen.contains("data-refreshed=\"1\""),
        "{seen}"
    );
    assert!(!seen.contains("data-stale"), "{seen}");
    assert!(figure(&seen, "Step") >= figure(&page, "Step"));
    for text in [
        "backing off",
        "Could not open",
        "rtsp://***@127.0.0.1:1/none",
        "<polyline",
        "latest",
        "/strip.png",
    ] {
        assert!(seen.contains(text), "{text} is missing in {seen}");
    }

    let stream = run.wait_for("a key frame", |run| {
        run.get("/streams/synthetic")
            .filter(|page| page.contains("key-frame.png") && page.contains("/motion.png"))
    });
    let path = |ending: &str| {
        let end = stream.find(ending).unwrap() + ending.len();
        let begin = stream[..end].rfind("src=\"").unwrap() + 5;
        stream[begin..end].to_owned()
    };
    let spec = comove::model::Preset::Micro.sample_spec();
    let (frame, map) = (spec.frame_size, spec.motion_size);
    // 160 columns are drawn four times as large; of a sample pictures stand side by side, and cells of motion are four pixels wide.
    for (ending, width, height) in [
        ("/key-frame.png", 640, 480),
        ("/strip.png", spec.clip_frames * frame.width, frame.height),
        ("/motion.png", spec.target_frames * 4 * map.width, 4 * map.height),
    ] {
        let png = bytes(&mut run, &path(ending));
        let picture = tiny_skia::Pixmap::decode_png(&png).unwrap();
        assert_eq!((picture.width(), picture.height()), (width, height), "{ending}");
        let first = picture.pixels()[0];
        assert!(picture.pixels().iter().any(|pixel| *pixel != first), "{ending}");
    }
    assert!(stream.contains("with arrows"), "{stream}");
    assert_eq!(run.get("/streams/nobody"), None);
    for page in [&page, &seen, &stream] {
        assert!(!page.contains("hunter2"), "{page}");
    }
    run.signal("TERM");
    assert!(run.end().status.success());
}

#[test]
fn at_an_empty_start_the_page_says_what_it_waits_for() {
    let place = Place::new();
    let mut run = Run::start(&place.run([GATE]));
    run.wait_for_message("learning begins");
    let page = run.wait_for("a failure", |run| {
        run.get("/").filter(|page| page.contains("backing off"))
    });
    for text in ["No step yet", "samples can be compared once", "None yet."] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let link = page.split("href=\"/streams/").nth(1).unwrap();
    let stream = link.split('"').next().unwrap();
    let alone = run.get(&format!("/streams/{stream}")).unwrap();
    assert!(
        alone.contains("None yet.") && alone.contains("Replay holds none of it"),
        "{alone}"
    );
    if let Some(seen) = browsed(&run.url("/"), 7, &["--force-prefers-reduced-motion"]) {
        assert!(
            seen.contains("No step yet") && seen.contains("data-refreshed"),
            "{seen}"
        );
    }
}

#[test]
fn where_a_read_token_is_set_a_browser_shows_it_as_password() {
    let place = Place::new();
    let mut command = Command::new(COMOVE);
    command
        .args(place.run([PATTERNS]))
        .env("COMOVE_READ_TOKEN", TOKEN);
    let mut run = Run::spawn(&mut command);
    let url = run.url("/");
    assert_eq!(run.get("/"), None);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    for (path, of_the_page) in [("", true), ("page/style.css", true), ("metrics", false)] {
        let asked = agent.get(format!("{url}{path}")).call().unwrap();
        assert_eq!(asked.status(), 401, "{path}");
        let challenges = asked.headers().get_all("www-authenticate").iter();
        let asks_for_password = challenges
            .filter(|value| value.to_str().unwrap().starts_with("Basic"))
            .count();
        assert_eq!(asks_for_password, usize::from(of_the_page), "{path}");
    }
    let with_password = url.replace("http://", &format!("http://me:{TOKEN}@"));
    if let Some(seen) = browsed(&with_password, 7, &[]) {
        assert!(seen.contains("What the learner sees"), "{seen}");
        assert!(
            seen.contains("data-refreshed") && !seen.contains("data-stale"),
            "{seen}"
        );
    }
}
