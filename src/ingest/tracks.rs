use std::sync::{Arc, Mutex, PoisonError};

use gstreamer::{self as gst, prelude::*};

use super::{IngestError, container};

/// Links the first H.264 track to `video` and everything else to fakesinks: a pad that leads nowhere could stop a demuxer.
pub(super) struct TrackLinker {
    /// File or URI, for messages.
    pub place: String,
    pub video: gst::Element,
    /// Told once, when it is clear that there is no H.264.
    pub failed: Box<dyn Fn(IngestError) + Send + Sync>,
    /// Told of every track that is left out because another one is taken.
    pub ignored: Box<dyn Fn(String) + Send + Sync>,
}

#[derive(Debug, Default)]
struct Found {
    linked: bool,
    video_codecs: Vec<String>,
    others: Vec<String>,
}

impl TrackLinker {
    /// Watches `tracks`, an element whose pads appear by and by.
    pub fn watch(self, tracks: &gst::Element) {
        let linker = Arc::new(self);
        let found = Arc::new(Mutex::new(Found::default()));
        tracks.connect_pad_added({
            let (linker, found) = (linker.clone(), found.clone());
            move |tracks, pad| {
                if pad.direction() == gst::PadDirection::Src {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    linker.take(tracks, pad, &mut found);
                }
            }
        });
        tracks.connect_no_more_pads(move |_| {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if !found.linked {
                (linker.failed)(linker.nothing(&found));
            }
        });
    }

    fn take(&self, tracks: &gst::Element, pad: &gst::Pad, found: &mut Found) {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let codec = rtp_codec(&caps).or_else(|| container::video_codec(&caps));
        if codec.as_deref() == Some("H.264") {
            if found.linked {
                (self.ignored)("a further H.264 track".to_owned());
            } else if let Some(sink) = self.video.static_pad("sink") {
                match pad.link(&sink) {
                    Ok(_) => {
                        found.linked = true;
                        return;
                    }
                    Err(error) => (self.failed)(IngestError::Pipeline {
                        place: self.place.clone(),
                        message: format!("the H.264 track cannot be taken: {error} ({caps})"),
                    }),
                }
            }
        } else if let Some(codec) = codec {
            if found.linked {
                (self.ignored)(format!("a further track, {codec}"));
            }
            found.video_codecs.push(codec);
        } else {
            let kind = caps.structure(0).map(|structure| structure.name().to_string());
            found.others.push(kind.unwrap_or_default());
        }
        discard(tracks, pad);
    }

    fn nothing(&self, found: &Found) -> IngestError {
        let place = self.place.clone();
        match found.video_codecs.first() {
            Some(codec) => IngestError::WrongCodec {
                place,
                codec: codec.clone(),
            },
            None => IngestError::NoVideo {
                place,
                found: match found.others.as_slice() {
                    [] => "nothing".to_owned(),
                    others => others.join(", "),
                },
            },
        }
    }
}

/// The codec of an RTP video track; none for other tracks and for what is no RTP.
fn rtp_codec(caps: &gst::CapsRef) -> Option<String> {
    let structure = caps
        .structure(0)
        .filter(|structure| structure.name() == "application/x-rtp")?;
    let video = structure.get::<&str>("media") == Ok("video");
    let name = structure.get::<&str>("encoding-name").unwrap_or("unknown");
    video.then(|| match name {
        "H264" => container::codec_name("video/x-h264"),
        "H265" => container::codec_name("video/x-h265"),
        "MP4V-ES" => container::codec_name("video/x-divx"),
        "JPEG" => container::codec_name("image/jpeg"),
        other => other.to_owned(),
    })
}

fn discard(tracks: &gst::Element, pad: &gst::Pad) {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .build();
    // `tracks` is a direct child of the pipeline.
    let Some((Ok(sink), bin)) = tracks.parent().and_downcast::<gst::Bin>().map(|bin| (sink, bin)) else {
        return;
    };
    let linked = bin
        .add(&sink)
        .and_then(|()| sink.sync_state_with_parent())
        .map(|()| {
            sink.static_pad("sink")
                .is_some_and(|input| pad.link(&input).is_ok())
        });
    if !matches!(linked, Ok(true)) {
        tracing::debug!(pad = %pad.name(), "a track is left unlinked");
    }
}
