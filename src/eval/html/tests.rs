use super::strips::{Row, Shown, base64};
use super::*;
use crate::eval::report::tests::report;

fn row(image: Option<&str>) -> Row {
    let shown = |name: &str, class| Shown {
        name: name.to_owned(),
        class,
        image: image.map(str::to_owned),
    };
    Row {
        query: shown("run/<a>.mp4", 0),
        neighbours: vec![(shown("run/b.mp4", 0), 0.91), (shown("walk/c.mp4", 1), 0.72)],
    }
}

fn written() -> String {
    let gallery = Gallery {
        rows: vec![row(Some("data:image/jpeg;base64,AAAA"))],
        failed: vec![],
    };
    page(&report(), &gallery).into_string()
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let text = written();
    for outside in [
        "http:", "https:", "<script", "<link", "url(", "@import", "src=\"/",
    ] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert_eq!(
        text.matches("src=\"").count(),
        text.matches("src=\"data:").count()
    );
    assert!(text.contains("prefers") || text.contains("light-dark("));
}

#[test]
fn names_are_text_and_pictures_have_descriptions() {
    let text = written();
    assert!(text.contains("run/&lt;a&gt;.mp4") && !text.contains("<a>.mp4"));
    assert_eq!(
        text.matches("<img").count(),
        text.matches("alt=\"Four pictures of ").count()
    );
    assert!(text.contains("lang=\"en\"") && text.contains("<main") && text.contains("Skip to the figures"));
    let headers = text.matches("<th").count() - text.matches("<thead").count();
    assert_eq!(headers, text.matches("<th scope=").count());
}

#[test]
fn figures_marks_and_what_was_left_out_are_there() {
    let text = written();
    for expected in [
        "R@50",
        "by chance",
        "✓",
        "✗",
        "0.910",
        "Could not be read: 11",
        "lacks 3 frames",
        "walk taken for run",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    let gallery = Gallery {
        rows: vec![row(None)],
        failed: vec!["run/a.mp4: broken".into()],
    };
    let text = page(&report(), &gallery).into_string();
    assert!(text.contains("1 strips could not be made: run/a.mp4: broken"));
}

#[test]
fn base64_is_that_of_the_standard() {
    let text = |bytes: &str| base64(bytes.as_bytes());
    assert_eq!(
        ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(text),
        ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
    );
}
