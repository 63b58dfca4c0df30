//! What a source is, told before work starts; and what is wrong with it.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;

use std::{path::Path, time::Duration};

use comove::ingest::{Container, IngestError, Probe, SourceKind, SyntheticConfig, Templates, probe};

const PATIENCE: Duration = Duration::from_secs(60);

fn probe_file(path: &Path) -> Result<Probe, IngestError> {
    probe(
        &SourceKind::File(path.to_owned()),
        &Templates::default(),
        PATIENCE,
    )
}

fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

#[test]
fn every_container_is_opened_whatever_the_name_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tail, container) in [
        ("a \"quoted\" ! name.mp4", "mp4mux", Container::Mp4),
        ("it's.mov", "qtmux", Container::Mp4),
        ("x.mkv", "matroskamux", Container::Matroska),
        ("name=x ! fakesink.ts", "mpegtsmux", Container::MpegTs),
        ("x.m2ts", "mpegtsmux m2ts-mode=true", Container::MpegTs),
        ("x.flv", "flvmux", Container::Flv),
        (
            "x.avi",
            "video/x-h264,stream-format=byte-stream ! avimux",
            Container::Avi,
        ),
        (
            "x.h264",
            "video/x-h264,stream-format=byte-stream",
            Container::AnnexB,
        ),
        ("no extension", "mp4mux", Container::Mp4),
    ] {
        let path = folder.path().join(name);
        media::h264(10, tail, &path);
        let found = probe_file(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.container, Some(container), "{name}");
        assert_eq!((found.format.width, found.format.height), (320, 240), "{name}");
        assert!(
            found.format.caps.contains("stream-format=(string)byte-stream"),
            "{}",
            found.format.caps
        );
    }
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let told = |path: &Path, text: &str| {
        let error = probe_file(path).unwrap_err().to_string();
        assert!(
            error.contains(text) && error.contains(&*path.to_string_lossy()),
            "{error}"
        );
    };
    told(&path("none.mp4"), "no such file");
    told(folder.path(), "is a folder");

    std::fs::write(path("empty.mp4"), b"").unwrap();
    told(&path("empty.mp4"), "the file is empty");

    for name in ["noise.h264", "noise.264", "noise.jsv"] {
        std::fs::write(path(name), noise(200_000)).unwrap();
        told(&path(name), "no H.264 picture in it");
    }
    std::fs::write(path("noise.mp4"), noise(200_000)).unwrap();
    told(&path("noise.mp4"), "not a video file that comove knows");
    std::fs::write(path("notes.mp4"), "just text, nothing else\n".repeat(99)).unwrap();
    told(&path("notes.mp4"), "it is text/plain");

    media::h264(30, "mp4mux", &path("whole.mp4"));
    let whole = std::fs::read(path("whole.mp4")).unwrap();
    std::fs::write(path("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    told(&path("cut.mp4"), "its index (`moov`) is missing");

    media::render(
        "audiotestsrc num-buffers=20 ! audio/x-raw,format=S16LE ! matroskamux ! filesink name=out",
        &path("sound.mkv"),
    );
    told(&path("sound.mkv"), "no video track (found: audio/x-raw)");
}

#[test]
fn other_codecs_are_named_and_how_to_convert_them() {
    let folder = tempfile::tempdir().unwrap();
    for (encoder, muxer, name, codec) in [
        ("avenc_mpeg4", "mp4mux", "x.mp4", "MPEG-4 Part 2"),
        ("avenc_mpeg4", "avimux", "x.avi", "MPEG-4 Part 2"),
        ("vp9enc deadline=1", "webmmux", "x.webm", "VP9"),
        ("vp8enc deadline=1", "matroskamux", "y.mkv", "VP8"),
        ("jpegenc", "matroskamux", "z.mkv", "Motion JPEG"),
        ("x265enc ! h265parse", "mp4mux", "h.mp4", "H.265"),
        ("x265enc ! h265parse", "mpegtsmux", "h.ts", "H.265"),
        (
            "x265enc ! h265parse ! video/x-h265,stream-format=byte-stream",
            "identity",
            "h.h265",
            "H.265",
        ),
    ] {
        let path = folder.path().join(name);
        let element = encoder.split_whitespace().next().unwrap();
        if !media::has_element(element) {
            eprintln!("left out: no {element}");
            continue;
        }
        let launch = format!(
            "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=160,height=120 ! {encoder} ! {muxer} \
             ! filesink name=out"
        );
        media::render(&launch, &path);
        let error = probe_file(&path).unwrap_err();
        assert!(matches!(error, IngestError::WrongCodec { .. }), "{name}: {error}");
        let error = error.to_string();
        assert!(
            error.contains(codec) && error.contains("ffmpeg -i INPUT"),
            "{error}"
        );
    }
}

#[test]
fn a_folder_is_opened_past_the_files_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let source = SourceKind::Folder(folder.path().to_owned());
    let open = || probe(&source, &Templates::default(), PATIENCE);
    assert!(matches!(open(), Err(IngestError::EmptyFolder { .. })));
    std::fs::write(folder.path().join("a.mp4"), noise(9000)).unwrap();
    let error = open().unwrap_err();
    assert!(
        matches!(error, IngestError::NoReadableFile { files: 1, .. }),
        "{error}"
    );
    media::h264(5, "mp4mux", &folder.path().join("b.mp4"));
    let found = open().unwrap();
    assert_eq!((found.files, found.unreadable.len()), (2, 1));
}

#[test]
fn synthetic_video_is_real_h264() {
    let config = SyntheticConfig {
        width: 96,
        height: 64,
        ..SyntheticConfig::default()
    };
    let found = probe(&SourceKind::Synthetic(config), &Templates::default(), PATIENCE).unwrap();
    assert_eq!(
        (found.format.width, found.format.height, found.format.frame_rate),
        (96, 64, (25, 1))
    );
}

#[test]
fn a_dead_server_is_told_without_its_password() {
    for uri in [
        "rtsp://bob:hunter2@127.0.0.1:9/x?token=sesame",
        "http://bob:hunter2@127.0.0.1:9/x.m3u8?token=sesame",
    ] {
        let error = probe(&SourceKind::parse(uri).unwrap(), &Templates::default(), PATIENCE).unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(error.contains("127.0.0.1:9"), "{error}");
        assert!(
            ["bob", "hunter2", "sesame"]
                .iter()
                .all(|secret| !error.contains(secret)),
            "{error}"
        );
    }
}

#[test]
fn real_files_are_what_they_are() {
    let Some(shared) = media::shared() else { return };
    let video = shared.join("video");
    for (name, width, height) in [
        ("mixed/videotestsrc-80x60-h264.ts", 80, 60),
        ("mixed/videotestsrc-80x60-h264.m2ts", 80, 60),
        ("mixed/h264_10bits.mp4", 0, 0),
        ("mixed/nasa_13013.mp4", 0, 0),
        ("mixed/testsrc2_odd_height_and_width_444.mp4", 0, 0),
        ("intel/asl_gestures/book.mkv", 640, 480),
    ] {
        let found = probe_file(&video.join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            width == 0 || (found.format.width, found.format.height) == (width, height),
            "{name}: {found:?}"
        );
    }
    for name in ["mixed/mpeg4_part2_not_h264.mp4", "mixed/test.avi"] {
        let error = probe_file(&video.join(name)).unwrap_err();
        assert!(error.to_string().contains("MPEG-4 Part 2"), "{error}");
    }
    let error = probe_file(&video.join("mixed/sample.mkv")).unwrap_err();
    assert!(error.to_string().contains("VP9"), "{error}");
    for path in std::fs::read_dir(shared.join("h264/streams/jvt")).unwrap() {
        let path = path.unwrap().path();
        let found = probe_file(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(found.format.width > 0, "{}", path.display());
    }
    println!("{:?}", probe_file(&video.join("mixed/emptyvideo.mkv")));
}
