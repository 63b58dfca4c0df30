use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[probe]`: a labelled folder on the side that says what the network has learned so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// Class folders with videos, with `train` and `test` above them or not. Without it nothing is probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The column of labels, where the folder has a `labels.csv` with several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// From the start of one probe to the start of the next.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Clips of a video whose features are averaged.
    pub clips: u32,
    /// Nearest videos that vote.
    pub neighbours: u32,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            dir: None,
            label: None,
            every: Duration::from_secs(300),
            clips: 2,
            neighbours: 5,
        }
    }
}

/// Clips of a video, at most: as many as evaluation takes.
const MOST_CLIPS: u32 = 10;

impl ProbeConfig {
    /// Says which value cannot be, with its dotted key and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        if self.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            return Err("probe.dir is empty; the path of a folder of class folders is right".into());
        }
        if self.every.is_zero() {
            return Err("probe.every is 0; a time such as \"5m\" is right".into());
        }
        if !(1..=MOST_CLIPS).contains(&self.clips) {
            return Err(format!(
                "probe.clips is {}; 1 to {MOST_CLIPS} is right",
                self.clips
            ));
        }
        if self.neighbours == 0 {
            return Err("probe.neighbours is 0; at least 1 is right".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_is_named_with_what_would_be_right() {
        ProbeConfig::default().validate().unwrap();
        let told = |change: fn(&mut ProbeConfig)| {
            let mut config = ProbeConfig::default();
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert!(told(|config| config.dir = Some(PathBuf::new())).starts_with("probe.dir is empty"));
        assert!(told(|config| config.every = Duration::ZERO).starts_with("probe.every is 0"));
        assert!(told(|config| config.clips = 11).contains("1 to 10"));
        assert!(told(|config| config.neighbours = 0).starts_with("probe.neighbours is 0"));
    }
}
