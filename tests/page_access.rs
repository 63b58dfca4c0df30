//! The page at `/` for people who see badly, use no mouse, or hold a phone: contrast, names, structure and keys, in a real browser.

#![allow(clippy::unwrap_used, reason = "test code")]

mod browser;
mod program;

use browser::Browser;
use program::{PATTERNS, Place, Run};
use serde_json::Value;

const AUDIT: &str = include_str!("browser/audit.js");
const GATE: &str = "rtsp://127.0.0.1:1/none";

/// What takes focus, in the order in which it stands in the page.
const FOCUSABLE: &str = "[...document.querySelectorAll('a[href], button, [tabindex=\"0\"]')].filter((node) => node.offsetParent !== null || node.matches('.skip'))";

/// A program with everything on its page: a chart, a broken stream, samples that look alike, a checkpoint.
fn at_work(place: &Place) -> Run {
    let mut run = Run::start(&place.run([PATTERNS, GATE]));
    run.wait_for_message("trained");
    run.signal("USR1");
    run.wait_for_message("checkpoint written");
    run.wait_for("all of the page", |run| {
        run.get("/").filter(|page| {
            page.contains("class=\"newest\"") && page.contains("<polyline") && page.contains("backing off")
        })
    });
    run.wait_for("all of a stream's page", |run| {
        run.get("/streams/synthetic")
            .filter(|page| page.contains("key-frame.png") && page.contains("/motion.png"))
    });
    run
}

fn keep_picture(browser: &mut Browser, name: &str) {
    use std::io::Write;
    let Some(folder) = std::env::var_os("COMOVE_PICTURES") else {
        return;
    };
    let picture = browser.picture();
    let mut decode = std::process::Command::new("base64")
        .arg("-d")
        .stdin(std::process::Stdio::piped())
        .stdout(std::fs::File::create(std::path::Path::new(&folder).join(name)).unwrap())
        .spawn()
        .unwrap();
    decode
        .stdin
        .take()
        .unwrap()
        .write_all(picture.as_bytes())
        .unwrap();
    assert!(decode.wait().unwrap().success());
}

#[test]
fn text_contrasts_everything_has_a_name_and_nothing_is_too_wide() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let place = Place::new();
    let mut run = at_work(&place);
    for (path, name) in [
        ("/", "fleet"),
        ("/streams/synthetic", "stream"),
        ("/streams/none", "none"),
    ] {
        let url = run.url(path);
        for (width, height, dark) in [
            (1280, 900, false),
            (1280, 900, true),
            (360, 740, false),
            (360, 740, true),
        ] {
            browser.look(width, height, dark);
            browser.open(&url);
            let seen = browser.evaluate(AUDIT);
            let at = format!("{path}, {width} wide, dark: {dark}");
            assert_eq!(seen["faults"], Value::Array(Vec::new()), "{at}");
            assert!(seen["texts"].as_u64().unwrap() >= 5, "{at}: {seen}");
            println!(
                "{at}: {} texts, least contrast {:.2}, {} lines",
                seen["texts"],
                seen["least"].as_f64().unwrap(),
                seen["marks"]
            );
            keep_picture(
                &mut browser,
                &format!("{name}-{width}-{}.png", if dark { "dark" } else { "light" }),
            );
        }
    }
}

#[test]
fn the_audit_sees_what_is_wrong() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let page = "data:text/html,<title>t</title><body><main><h1>a</h1><h3 style='color:%23999'>grey</h3><img src=x>\
                <button style='border-color:white'></button><div style='width:3000px'>wide</div></main>";
    browser.look(800, 600, false);
    browser.open(page);
    let faults = browser.evaluate(AUDIT)["faults"].to_string();
    for fault in [
        "contrast 2.8",
        "has no alt",
        "no language",
        "skips a level",
        "has no name",
        "wide on a screen",
        "0 of nav",
        "too little contrast",
    ] {
        assert!(faults.contains(fault), "{fault} is missing in {faults}");
    }
}

#[test]
fn tab_reaches_everything_in_order_with_visible_focus_and_enter_works() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let place = Place::new();
    let mut run = at_work(&place);
    for path in ["/", "/streams/synthetic"] {
        browser.look(1280, 900, false);
        let url = run.url(path);
        browser.open(&url);
        // Nothing moves while it is walked through.
        browser.evaluate("document.getElementById('pause').click()");
        let count = browser
            .evaluate(&format!("(window.walk = {FOCUSABLE}).length"))
            .as_u64()
            .unwrap();
        assert!(count >= 5, "{path}: {count}");
        for place in 0..count {
            browser.press("Tab");
            let seen = browser.evaluate(&format!(
                "(() => {{ const node = document.activeElement, style = getComputedStyle(node), box = node.getBoundingClientRect();
                    return {{ right: node === walk[{place}], outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                      inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
                      is: node.outerHTML.slice(0, 120) }}; }})()"
            ));
            for what in ["right", "outline", "inside"] {
                assert_eq!(seen[what], true, "{path}, after {place} others: {what}: {seen}");
            }
        }
        // The first of all leads past the header.
        browser.evaluate("document.activeElement.blur(); document.querySelector('.skip').focus()");
        browser.press("Enter");
        assert_eq!(browser.evaluate("document.activeElement.id"), "main", "{path}");
        browser.press("Tab");
        let header = browser.evaluate("document.querySelector('header').contains(document.activeElement)");
        assert_eq!(header, false, "{path}");
    }
    browser.evaluate("document.getElementById('pause').focus()");
    assert_eq!(
        browser.evaluate("document.activeElement.getAttribute('aria-pressed')"),
        "true"
    );
    browser.press("Enter");
    assert_eq!(
        browser.evaluate("document.activeElement.getAttribute('aria-pressed')"),
        "false"
    );

    // Fresh figures take nobody's place away.
    let url = run.url("/");
    browser.open(&url);
    browser.evaluate("document.querySelector('a[href=\"/streams/synthetic\"]').focus()");
    browser.wait_for("Number(document.body.dataset.refreshed) >= 1");
    assert_eq!(
        browser.evaluate("document.activeElement.getAttribute('href')"),
        "/streams/synthetic"
    );
    assert_eq!(
        browser.evaluate("document.body.dataset.stale === undefined"),
        true
    );
}
