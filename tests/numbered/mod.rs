//! Video whose every frame says which one it is: its number stands in its pixels, its motion in its texture.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;

pub const WIDTH: usize = 192;
pub const HEIGHT: usize = 144;
/// Bits of the number, one block each in the top row, the lowest first.
const BITS: usize = 12;
const BLOCK: usize = 16;
/// Below this row the texture moves.
pub const MOVING_FROM_ROW: usize = 2 * BLOCK;

/// What to encode.
pub struct Recipe<'a> {
    pub frames: u64,
    /// Pixels that the texture moves to the right from the frame before to this one.
    pub speed: fn(u64) -> i64,
    /// Presentation time of a frame in milliseconds.
    pub pts_ms: fn(u64) -> u64,
    /// Properties of x264enc.
    pub x264: &'a str,
    /// Elements behind h264parse.
    pub tail: &'a str,
}

/// Encodes the video to `path`.
pub fn encode(recipe: &Recipe<'_>, path: &Path) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate=0/1 \
         ! x264enc threads=1 {} ! h264parse ! {} ! filesink name=out",
        recipe.x264, recipe.tail
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    pipeline.by_name("out").unwrap().set_property("location", path);
    let source = pipeline
        .by_name("in")
        .unwrap()
        .downcast::<gst_app::AppSrc>()
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut shift = 0;
    for number in 0..recipe.frames {
        shift += (recipe.speed)(number);
        let mut buffer = gst::Buffer::from_mut_slice(frame(number, shift));
        let pts = gst::ClockTime::from_mseconds((recipe.pts_ms)(number));
        buffer.get_mut().unwrap().set_pts(pts);
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let end = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(120),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null).unwrap();
    let end = end.expect("the encoder ends");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
}

/// I420: the number as dark and bright blocks, the texture moved to the right by `shift`.
fn frame(number: u64, shift: i64) -> Vec<u8> {
    let mut pixels = vec![128u8; WIDTH * HEIGHT * 3 / 2];
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            pixels[y * WIDTH + x] = if y >= MOVING_FROM_ROW {
                texture(x as i64 - shift, y as i64)
            } else if y < BLOCK && x / BLOCK < BITS {
                if number >> (x / BLOCK) & 1 == 1 { 220 } else { 40 }
            } else {
                128
            };
        }
    }
    pixels
}

/// Smooth blobs of random brightness, without a period that motion search could fall for.
fn texture(x: i64, y: i64) -> u8 {
    const CELL: i64 = 12;
    let corner = |cell_x: i64, cell_y: i64| -> i64 {
        let mut hash = (cell_x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ (cell_y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        hash = (hash ^ hash >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (hash >> 40) as i64 & 127
    };
    let (cell_x, cell_y) = (x.div_euclid(CELL), y.div_euclid(CELL));
    let (in_x, in_y) = (x.rem_euclid(CELL), y.rem_euclid(CELL));
    let blend = |a: i64, b: i64, at: i64| a * (CELL - at) + b * at;
    let top = blend(corner(cell_x, cell_y), corner(cell_x + 1, cell_y), in_x);
    let bottom = blend(corner(cell_x, cell_y + 1), corner(cell_x + 1, cell_y + 1), in_x);
    (64 + blend(top, bottom, in_y) / (CELL * CELL)) as u8
}

/// The number in packed RGB pixels of any size.
pub fn number_of(rgb: &[u8], width: usize, height: usize) -> u64 {
    let row = height * (BLOCK / 2) / HEIGHT;
    (0..BITS)
        .map(|bit| {
            let column = width * (bit * BLOCK + BLOCK / 2) / WIDTH;
            u64::from(rgb[3 * (row * width + column)] > 128) << bit
        })
        .sum()
}
