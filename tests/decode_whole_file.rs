//! Whole videos of any codec, as evaluation reads them.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;

use comove::{
    decode::{DecodeError, VideoReader},
    window::FrameSize,
};

#[test]
fn gives_every_frame_in_display_order_at_the_size_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ball \"in\" a ! name.mp4");
    media::h264(60, "mp4mux", &path);
    let size = FrameSize {
        width: 99,
        height: 72,
    };
    let mut reader = VideoReader::open(&path, Some(size)).unwrap();
    assert_eq!(
        reader.native_size(),
        FrameSize {
            width: 320,
            height: 240
        }
    );
    assert_eq!(reader.frame_rate(), Some((25, 1)));
    assert_eq!(reader.estimated_frames(), Some(60));
    let frames: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(reader.frames_read(), 60);
    assert!(
        frames
            .iter()
            .all(|frame| frame.size == size && frame.pixels.len() == 99 * 72 * 3)
    );
    assert!(
        frames
            .windows(2)
            .all(|pair| pair[0].pts_ns < pair[1].pts_ns && pair[0].index + 1 == pair[1].index)
    );
    assert!(
        frames.windows(2).all(|pair| pair[0].pixels != pair[1].pixels),
        "the ball moves"
    );
}

#[test]
fn keeps_the_native_size_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ball.mkv");
    media::h264(3, "matroskamux", &path);
    let frames: Vec<_> = VideoReader::open(&path, None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(frames.len(), 3);
    assert_eq!(
        frames[0].size,
        FrameSize {
            width: 320,
            height: 240
        }
    );
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = VideoReader::open(&folder.path().join("none.mp4"), None).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");

    let a_folder = VideoReader::open(folder.path(), None).unwrap_err();
    assert!(a_folder.to_string().contains("is a folder"), "{a_folder}");

    let empty = folder.path().join("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    assert!(
        VideoReader::open(&empty, None)
            .unwrap_err()
            .to_string()
            .contains("empty")
    );

    let noise = folder.path().join("noise.mp4");
    std::fs::write(
        &noise,
        (0..5000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(matches!(
        VideoReader::open(&noise, None),
        Err(DecodeError::Open { .. })
    ));

    let sound = folder.path().join("sound.mkv");
    media::render(
        "audiotestsrc num-buffers=20 ! audio/x-raw,format=S16LE ! matroskamux ! filesink name=out",
        &sound,
    );
    let error = VideoReader::open(&sound, None).unwrap_err();
    assert!(matches!(&error, DecodeError::NoVideo { .. }), "{error}");
}

#[test]
fn reads_real_videos_of_several_codecs_whole() {
    let Some(shared) = media::shared() else { return };
    let size = FrameSize {
        width: 88,
        height: 64,
    };
    for (file, frames) in [
        ("mixed/test.avi", 0),
        ("mixed/mpeg4_part2_not_h264.mp4", 0),
        ("mixed/h264_10bits.mp4", 0),
        ("mixed/testsrc2_odd_height_and_width_444.mp4", 0),
        ("intel/asl_gestures/book.mkv", 109),
        ("intel/surveillance/car-detection.mp4", 377),
    ] {
        let path = shared.join("video").join(file);
        let read = VideoReader::open(&path, Some(size))
            .unwrap()
            .map(Result::unwrap)
            .count();
        assert!(
            read > 0 && (frames == 0 || read == frames),
            "{file}: {read} frames"
        );
    }
}
