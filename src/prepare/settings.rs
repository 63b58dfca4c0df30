use serde::{Deserialize, Serialize};

use super::PrepareError;

/// The file in the prepared folder that says how it was made.
pub const SETTINGS_FILE: &str = "prepare.json";

/// What becomes of a picture of another shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// What is too much is cut off on both sides: shapes stay as they are.
    Crop,
    /// It is stretched: nothing is lost.
    Stretch,
}

/// The one encoding. A field an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareSettings {
    /// `--size`: columns, even.
    pub width: u32,
    /// `--size`: rows, even.
    pub height: u32,
    /// `--fit`.
    pub fit: Fit,
    /// `--frame-rate`: pictures a second.
    pub frame_rate: u32,
    /// `--gop`: pictures from one key frame to the next, exactly.
    pub gop: u32,
    /// `--b-frames`: B pictures between two references.
    pub b_frames: u32,
    /// `--bit-rate`: kbit/s.
    pub bit_rate_kbps: u32,
}

impl Default for PrepareSettings {
    fn default() -> Self {
        Self {
            width: 320,
            height: 240,
            fit: Fit::Crop,
            frame_rate: 25,
            gop: 12,
            b_frames: 2,
            bit_rate_kbps: 600,
        }
    }
}

impl PrepareSettings {
    /// The first number that cannot be.
    pub(super) fn check(&self) -> Result<(), PrepareError> {
        let sides = "even numbers from 32 to 4096 are right";
        let checks = [
            ("--size", self.width, 32..=4096, sides),
            ("--size", self.height, 32..=4096, sides),
            ("--frame-rate", self.frame_rate, 1..=240, "1 to 240 is right"),
            ("--gop", self.gop, 1..=600, "1 to 600 is right"),
            ("--b-frames", self.b_frames, 0..=8, "0 to 8 is right"),
            (
                "--bit-rate",
                self.bit_rate_kbps,
                20..=200_000,
                "20 to 200000 is right",
            ),
        ];
        for (option, value, range, allowed) in checks {
            if !range.contains(&value) || (option == "--size" && value % 2 == 1) {
                return Err(PrepareError::Option {
                    option,
                    value,
                    allowed,
                });
            }
        }
        Ok(())
    }

    /// The keys in which other settings differ, as text; none where they are the same.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let fields = |settings: &Self| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (mine, others) = (fields(self), fields(other));
        let told: Vec<String> = mine
            .iter()
            .filter_map(|(key, value)| {
                let there = others.get(key)?;
                (there != value).then(|| format!("{key} {there} there, {value} here"))
            })
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}
