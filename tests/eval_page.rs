//! The HTML report of `comove eval`, opened in a real browser. Without Chromium the test says so and is left out, except
//! under `CI=true`, where it fails.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};
use std::process::Command;

use comove::eval::{Baseline, DatasetOptions, EvalOptions, EvalTask, FeatureSource, evaluate};
use comove::model::Preset;

mod media;

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "chromium is missing; scripts/setup installs it"
        );
        eprintln!("left out: chromium is missing; scripts/setup installs it");
    }
    found
}

/// Loads a page with the network out of reach, waits for its pictures, and gives its DOM and what its console said.
fn opened(browser: &Path, page: &Path, profile: &Path) -> (String, String) {
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120"])
        .arg(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--enable-logging=stderr",
        ])
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_browser_shows_every_picture_and_every_table_without_a_word_in_its_console() {
    let Some(browser) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    for nth in 0..2 {
        for class in ["one", "two"] {
            let path = folder.path().join(format!("set/{class}/{nth}.mp4"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            media::h264(30 + nth, "mp4mux", &path);
        }
    }
    let page = folder.path().join("report.html");
    evaluate(&EvalOptions {
        task: EvalTask::Retrieval,
        source: FeatureSource::Baseline {
            baseline: Baseline::Pixels,
            preset: Preset::Micro,
            seed: 1,
        },
        dataset: DatasetOptions::folder(&folder.path().join("set")),
        clips: 1,
        device: tch::Device::Cpu,
        decode_threads: EvalOptions::DECODE_THREADS,
        embeddings: None,
        page: Some(page.clone()),
    })
    .unwrap();
    // A script at the end of a copy writes down what the browser made of the page.
    let probe = "<script>addEventListener('load', () => { const shown = [...document.images].filter(i => i.complete && i.naturalWidth == 384); \
                 document.title = `${document.images.length} ${shown.length} ${document.querySelectorAll('table').length} \
                 ${document.documentElement.scrollWidth <= innerWidth}`; });</script>";
    let probed = folder.path().join("probed.html");
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::write(
        &probed,
        text.replace("loading=\"lazy\"", "")
            .replace("</body>", &format!("{probe}</body>")),
    )
    .unwrap();
    let (dom, console) = opened(&browser, &probed, &folder.path().join("profile"));
    // Four videos, each asked about once and shown with its three neighbours; two tables; no sideways scrolling.
    assert!(
        dom.contains("<title>16 16 2 true</title>"),
        "{}",
        &dom[..dom.len().min(600)]
    );
    assert!(!console.contains("CONSOLE"), "{console}");
}
