use std::{num::NonZeroUsize, time::Duration};

use serde::{Deserialize, Serialize};

/// The `[decode]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeConfig {
    /// Decoders that work side by side, each on its own OS thread. Default: half the cores.
    pub threads: NonZeroUsize,
    /// Which decoder does the work.
    pub decoder: DecoderKind,
    /// A job that takes longer is given up and its decoder replaced.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            threads: NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN),
            decoder: DecoderKind::default(),
            deadline: Duration::from_secs(60),
        }
    }
}

/// An H.264 decoder of GStreamer. There is no automatic choice: pictures of different decoders may differ in what they do
/// with damaged streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecoderKind {
    /// libavcodec on one CPU thread: every profile.
    #[default]
    Libav,
    /// Cisco's decoder: 8-bit 4:2:0 only.
    Openh264,
    /// NVIDIA's hardware decoder.
    Nvidia,
    /// The VA-API hardware decoder (Intel, AMD).
    Vaapi,
}

impl DecoderKind {
    /// Name of the GStreamer element.
    pub fn element(self) -> &'static str {
        match self {
            Self::Libav => "avdec_h264",
            Self::Openh264 => "openh264dec",
            Self::Nvidia => "nvh264dec",
            Self::Vaapi => "vah264dec",
        }
    }

    /// The package of Debian and Ubuntu that has it.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Libav => "gstreamer1.0-libav",
            Self::Openh264 => "gstreamer1.0-plugins-bad",
            Self::Nvidia => "gstreamer1.0-plugins-bad and an NVIDIA driver",
            Self::Vaapi => "gstreamer1.0-plugins-bad and a VA-API driver",
        }
    }
}
