//! Streams as they are met: what changes no motion changes nothing, what is missing is named, and memory stays bounded.

#[path = "../fuzz/src/bit_writer.rs"]
#[allow(dead_code, reason = "shared with the fuzz targets")]
#[allow(missing_docs)]
mod bit_writer;
mod golden;

use std::path::Path;

use bit_writer::{BitWriter, append_nal};
use comove::h264::annexb::{access_units, nal_units};
use comove::h264::{BYTES_PER_MACROBLOCK, DecodeError, MotionDecoder, NalHeader};

fn stream(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{name}.264"));
    std::fs::read(path).expect("the vector can be read")
}

/// Golden lines of a byte stream, all of which must be there and without error.
fn lines(bytes: &[u8]) -> Vec<Option<Vec<String>>> {
    let (lines, errors) = golden::lines(access_units(bytes));
    assert_eq!(errors, [], "no error");
    lines
}

fn kind(nal: &[u8]) -> u8 {
    NalHeader::parse(nal).map_or(0, |header| header.nal_unit_type)
}

/// The stream with each NAL unit given to `put`, which appends what shall stand for it.
fn rewritten(bytes: &[u8], mut put: impl FnMut(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    for nal in nal_units(bytes) {
        put(nal, &mut out);
    }
    out
}

fn plain(nal: &[u8], out: &mut Vec<u8>) {
    out.extend([0, 0, 1]);
    out.extend(nal);
}

const STREAMS: [&str; 4] = [
    "r03_b_frames",
    "r09_paff_mbaff",
    "r12_gaps_p",
    "r34_many_idr_longterm",
];

fn unchanged_by(what: &str, put: fn(&[u8], &mut Vec<u8>)) {
    for name in STREAMS {
        let bytes = stream(name);
        assert_eq!(lines(&rewritten(&bytes, put)), lines(&bytes), "{name}, {what}");
    }
}

#[test]
fn start_codes_of_any_length_and_trailing_zeros_change_nothing() {
    unchanged_by("four-byte start codes", |nal, out| {
        out.push(0);
        plain(nal, out);
    });
    unchanged_by("zeros around", |nal, out| {
        out.extend([0; 5]);
        plain(nal, out);
        out.extend([0; 3]);
    });
    unchanged_by("cabac_zero_words", |nal, out| {
        plain(nal, out);
        if matches!(kind(nal), 1 | 5) {
            out.extend([0, 0, 3, 0, 0, 3]);
        }
    });
}

#[test]
fn units_that_carry_no_motion_are_passed_over() {
    unchanged_by(
        "SVC and MVC units, filler, unspecified types, empty units",
        |nal, out| {
            if matches!(kind(nal), 1 | 5) {
                // A prefix NAL unit, and after the slice a slice of another view or layer, filler data and types 24 to 31.
                plain(&[0x6e, 0x80, 0x00, 0x07, 0x80], out);
                plain(nal, out);
                for header in [0x74, 0x75, 0x0c, 0x18, 0x1f, 0x13] {
                    let mut other = vec![header];
                    other.extend(&nal[1..nal.len().min(30)]);
                    plain(&other, out);
                }
                out.extend([0, 0, 1, 0, 0, 1]);
            } else {
                plain(nal, out);
            }
        },
    );
    unchanged_by("a subset SPS of another size", |nal, out| {
        plain(nal, out);
        if kind(nal) == 7 {
            let mut subset = nal.to_vec();
            subset[0] = 0x6f;
            subset[5] ^= 0x18;
            plain(&subset, out);
        }
    });
}

#[test]
fn delimiters_and_broken_sei_messages_change_nothing() {
    for name in ["r03_b_frames", "r09_paff_mbaff"] {
        let bytes = stream(name);
        let mut out = Vec::new();
        for unit in access_units(&bytes) {
            plain(&[0x09, 0xf0], &mut out);
            plain(&[0x06, 0x05, 0xff, 0xff, 0xff, 0x10], &mut out);
            plain(&[0x06, 0xff], &mut out);
            nal_units(unit).for_each(|nal| plain(nal, &mut out));
        }
        assert_eq!(lines(&out), lines(&bytes), "{name}");
    }
}

#[test]
fn parameter_sets_sent_again_before_every_slice_change_nothing() {
    for name in STREAMS {
        let bytes = stream(name);
        let sets: Vec<&[u8]> = nal_units(&bytes)
            .filter(|nal| matches!(kind(nal), 7 | 8))
            .collect();
        let repeated: Vec<Vec<u8>> = access_units(&bytes)
            .into_iter()
            .map(|unit| {
                let mut out = Vec::new();
                sets.iter().for_each(|set| plain(set, &mut out));
                nal_units(unit).for_each(|nal| plain(nal, &mut out));
                out
            })
            .collect();
        let (with, errors) = golden::lines(repeated.iter().map(Vec::as_slice));
        assert_eq!(errors, [], "{name}");
        assert_eq!(with, lines(&bytes), "{name}");
    }
}

#[test]
fn sets_of_other_ids_do_not_disturb_those_in_use() {
    let other = stream("r36_wide_1row");
    // Both streams use the ids 0; an SPS of id 5 is made from the other's by its bits alone.
    let mut sps = BitWriter::default();
    sps.u(8, 66)
        .u(8, 0)
        .u(8, 30)
        .ue(5)
        .ue(0)
        .ue(2)
        .ue(1)
        .u(1, 0)
        .ue(9)
        .ue(9)
        .u(1, 1)
        .u(1, 1)
        .u(1, 0)
        .u(1, 0);
    let mut extra = Vec::new();
    sps.nal(3, 7, &mut extra);
    let mut pps = BitWriter::default();
    pps.ue(9)
        .ue(5)
        .u(1, 1)
        .u(1, 0)
        .ue(0)
        .ue(0)
        .ue(0)
        .u(1, 0)
        .u(2, 0)
        .se(0)
        .se(0)
        .se(0)
        .u(3, 0);
    pps.nal(3, 8, &mut extra);
    let mixed = [extra, other.clone()].concat();
    assert_eq!(lines(&mixed), lines(&other));
}

#[test]
fn a_stream_cut_off_anywhere_gives_its_first_pictures() {
    let bytes = stream("r09_paff_mbaff");
    let whole = lines(&bytes);
    for end in (0..bytes.len()).step_by(211) {
        let (some, _) = golden::lines(access_units(&bytes[..end]));
        // The last picture is cut itself.
        let sound = some.len().saturating_sub(1);
        assert!(sound <= whole.len());
        assert_eq!(some[..sound], whole[..sound], "cut at {end}");
    }
}

#[test]
fn a_stream_without_parameter_sets_names_the_missing_one() {
    let bytes = rewritten(&stream("r01_p_frames"), |nal, out| {
        if kind(nal) != 8 {
            plain(nal, out);
        }
    });
    let mut decoder = MotionDecoder::new();
    let first = access_units(&bytes)[0];
    let error = decoder
        .decode(first, &mut |_| panic!("no picture"))
        .expect_err("a PPS is missing");
    assert!(
        matches!(error, DecodeError::MissingParameterSet { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("PPS 0"), "{error}");
}

/// Parameter sets of a sequence that only skips: CAVLC, 16 reference frames.
fn skipping_sets(width_mbs: u32, height_mbs: u32, fields: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sps = BitWriter::default();
    sps.u(8, 77)
        .u(8, 0)
        .u(8, 51)
        .ue(0)
        .ue(0)
        .ue(0)
        .ue(4)
        .ue(16)
        .u(1, 0);
    sps.ue(width_mbs - 1)
        .ue(height_mbs / if fields { 2 } else { 1 } - 1)
        .u(1, u32::from(!fields));
    if fields {
        sps.u(1, 0);
    }
    sps.u(1, 1).u(1, 0).u(1, 0).nal(3, 7, &mut out);
    let mut pps = BitWriter::default();
    pps.ue(0)
        .ue(0)
        .u(1, 0)
        .u(1, 0)
        .ue(0)
        .ue(0)
        .ue(0)
        .u(1, 0)
        .u(2, 0)
        .se(0)
        .se(0)
        .se(0)
        .u(3, 0);
    pps.nal(3, 8, &mut out);
    out
}

/// A reference P picture of skipped macroblocks: a frame, or one field.
fn skipped_picture(number: u32, macroblocks: u32, field: Option<bool>, fields: bool) -> Vec<u8> {
    let mut slice = BitWriter::default();
    slice.ue(0).ue(0).ue(0).u(4, number & 15);
    if fields {
        slice.u(1, u32::from(field.is_some()));
        if let Some(bottom) = field {
            slice.u(1, u32::from(bottom));
        }
    }
    slice
        .u(8, (2 * number) & 255)
        .u(1, 0)
        .u(1, 0)
        .u(1, 0)
        .se(0)
        .ue(macroblocks);
    let mut out = Vec::new();
    slice.nal(2, 1, &mut out);
    out
}

#[test]
fn memory_stays_below_eighteen_frames_whatever_frames_and_fields_follow() {
    let (width, height) = (120, 68);
    let frame = (width * height) as usize * BYTES_PER_MACROBLOCK;
    let bound = MotionDecoder::MAX_FRAMES * frame + (1 << 20);
    let mut decoder = MotionDecoder::new();
    decoder
        .decode(&skipping_sets(width, height, true), &mut |_| {})
        .expect("they are right");
    let mut most = 0;
    for number in 0..90 {
        let size = width * height;
        // Frames, then fields, then both in turn.
        let as_fields = match number / 30 {
            0 => false,
            1 => true,
            _ => number % 2 == 0,
        };
        if as_fields {
            for bottom in [false, true] {
                let unit = skipped_picture(number, size / 2, Some(bottom), true);
                decoder.decode(&unit, &mut |_| {}).expect("it is right");
            }
        } else {
            let unit = skipped_picture(number, size, None, true);
            decoder.decode(&unit, &mut |_| {}).expect("it is right");
        }
        decoder.check_invariants();
        most = most.max(decoder.memory_bytes());
    }
    assert!(most <= bound, "{most} bytes, {bound} allowed");
    assert!(most > 16 * frame, "{most} bytes: the buffer was never full");
    // A smaller size lets go of all of it.
    decoder
        .decode(&skipping_sets(4, 4, false), &mut |_| {})
        .expect("they are right");
    let mut first = BitWriter::default();
    first.ue(0).ue(7).ue(0).u(4, 0).ue(0).u(8, 0).u(2, 0).se(0);
    let mut unit = Vec::new();
    first.nal(3, 5, &mut unit);
    // The slice has no macroblocks: an error, after the picture was begun.
    assert!(decoder.decode(&unit, &mut |_| {}).is_err());
    assert!(decoder.memory_bytes() < frame, "{} bytes", decoder.memory_bytes());
}

#[test]
fn escaped_bytes_anywhere_are_read_as_without() {
    // Emulation prevention in the parameter sets: the writer puts it wherever it is due.
    let mut sps = BitWriter::default();
    sps.u(8, 66)
        .u(8, 0)
        .u(8, 0)
        .ue(0)
        .ue(0)
        .ue(0)
        .ue(0)
        .ue(1)
        .u(1, 0)
        .ue(3)
        .ue(3)
        .u(1, 1)
        .u(1, 1)
        .u(1, 0);
    // A VUI whose timing is all zeros and ones.
    sps.u(1, 1)
        .u(1, 0)
        .u(1, 0)
        .u(1, 0)
        .u(1, 0)
        .u(1, 1)
        .u(32, 1)
        .u(32, 3)
        .u(1, 1)
        .u(4, 0);
    let mut stream = Vec::new();
    sps.nal(3, 7, &mut stream);
    assert!(
        stream.windows(3).any(|w| w == [0, 0, 3]),
        "there is something to take out"
    );
    let mut pps = BitWriter::default();
    pps.ue(0)
        .ue(0)
        .u(1, 0)
        .u(1, 0)
        .ue(0)
        .ue(0)
        .ue(0)
        .u(1, 0)
        .u(2, 0)
        .se(0)
        .se(0)
        .se(0)
        .u(3, 0);
    pps.nal(3, 8, &mut stream);
    let mut slice = BitWriter::default();
    slice.ue(0).ue(7).ue(0).u(4, 0).ue(0).u(4, 0).u(2, 0).se(0);
    for _ in 0..16 {
        // I_PCM, aligned, 384 samples that look like start codes.
        slice.ue(25);
        while !slice.is_aligned() {
            slice.u(1, 0);
        }
        slice.bytes(&[0, 0, 1].repeat(128));
    }
    slice.nal(3, 5, &mut stream);
    let mut decoder = MotionDecoder::new();
    let mut timing = None;
    decoder
        .decode(&stream, &mut |field| {
            assert!((0..16).all(|mb| field.mb_flags(mb).intra));
            timing = Some(field.header().timing);
        })
        .expect("it is right");
    let timing = timing.expect("there is a picture");
    assert_eq!(
        (
            timing.num_units_in_tick,
            timing.time_scale,
            timing.fixed_frame_rate
        ),
        (1, 3, true)
    );
    let mut other = Vec::new();
    append_nal(0x0c, &[0, 0, 0, 0, 1], &mut other);
    assert_eq!(nal_units(&other).count(), 1, "a start code within is escaped");
}
