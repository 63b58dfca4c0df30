use gstreamer as gst;
use gstreamer_video::{self as gst_video, prelude::*};

use crate::window::FrameSize;

/// Packed pixels of an RGB sample: `[height, width, 3]`, GStreamer's row padding left out.
pub(super) fn packed_pixels(sample: &gst::Sample) -> Result<(FrameSize, Vec<u8>), String> {
    let caps = sample.caps().ok_or("a picture without caps")?;
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|error| error.to_string())?;
    if info.format() != gst_video::VideoFormat::Rgb {
        return Err(format!("pictures come as {}, not as RGB", info.format()));
    }
    let buffer = sample.buffer().ok_or("a sample without a picture")?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
        .map_err(|_| "a picture that cannot be mapped".to_owned())?;
    let size = FrameSize {
        width: frame.width(),
        height: frame.height(),
    };
    let row_bytes = 3 * size.width as usize;
    let stride = usize::try_from(frame.plane_stride()[0]).map_err(|_| "a picture stored upside down")?;
    let plane = frame.plane_data(0).map_err(|error| error.to_string())?;
    let mut pixels = Vec::with_capacity(row_bytes * size.height as usize);
    for row in plane.chunks(stride).take(size.height as usize) {
        pixels.extend_from_slice(row.get(..row_bytes).ok_or("a picture with rows cut short")?);
    }
    if pixels.len() != row_bytes * size.height as usize {
        return Err("a picture with rows missing".to_owned());
    }
    Ok((size, pixels))
}

/// Caps of what leaves a converter: RGB, of `size` where given. Square pixels are not asked for: stored pictures are
/// stretched to their size on purpose.
pub(super) fn rgb_caps(size: Option<FrameSize>) -> gst::Caps {
    let caps = gst_video::VideoCapsBuilder::new().format(gst_video::VideoFormat::Rgb);
    match size {
        Some(size) => caps
            .width(i32::try_from(size.width).unwrap_or(i32::MAX))
            .height(i32::try_from(size.height).unwrap_or(i32::MAX)),
        None => caps,
    }
    .build()
}
