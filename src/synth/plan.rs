use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Context, Motion, SynthError};

/// Which side of the split a video is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SynthPart {
    /// Learned from and searched.
    Train,
    /// Asked about.
    Test,
}

impl SynthPart {
    /// As the label file and the folder have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// A video to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoPlan {
    /// Its place in the data set, and in its file's name.
    pub number: u32,
    /// Which surroundings it shares with others; they are all on one side of the split.
    pub scene: u32,
    /// First label.
    pub context: Context,
    /// Second label.
    pub motion: Motion,
    /// Side of the split.
    pub part: SynthPart,
}

/// Videos that share a scene: as many different motions.
const VIDEOS_PER_SCENE: usize = 2;
/// One round of all combinations in three is for the test.
const TEST_EVERY: u32 = 3;
/// Random stream of the plan; those of scenes and videos are far above.
const PLAN_STREAM: u64 = 0;

/// Who gets which labels: rounds of all combinations of contexts and motions, the last one cut short at random. Neither label
/// says anything about the other, and in whole rounds none of them about the split.
pub fn plan(contexts: u32, motions: u32, videos: u32, seed: u64) -> Result<Vec<VideoPlan>, SynthError> {
    let within = |option, value: u32, least: u32, most: usize| {
        if (least..=most as u32).contains(&value) {
            return Ok(value as usize);
        }
        Err(SynthError::Option {
            option,
            value: value.into(),
            allowed: format!("{least} to {most} is right"),
        })
    };
    let context_count = within("--contexts", contexts, 2, Context::ALL.len())?;
    let motion_count = within("--motions", motions, 2, Motion::ALL.len())?;
    let least = 2 * contexts * motions;
    if videos < least || videos > 1_000_000 {
        return Err(SynthError::Option {
            option: "--videos",
            value: videos.into(),
            allowed: format!(
                "{least} at least are needed, every combination of context and motion in training and in test, and at most 1000000"
            ),
        });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(PLAN_STREAM);
    let mut planned: Vec<VideoPlan> = Vec::with_capacity(videos as usize);
    let mut scene = 0;
    for round in 0.. {
        let part = if round % TEST_EVERY == 1 {
            SynthPart::Test
        } else {
            SynthPart::Train
        };
        let mut of_round = Vec::new();
        for &context in &Context::ALL[..context_count] {
            let mut motions = Motion::ALL[..motion_count].to_vec();
            motions.shuffle(&mut rng);
            for together in motions.chunks(VIDEOS_PER_SCENE) {
                of_round.extend(together.iter().map(|&motion| VideoPlan {
                    number: 0,
                    scene,
                    context,
                    motion,
                    part,
                }));
                scene += 1;
            }
        }
        of_round.shuffle(&mut rng);
        let left = videos as usize - planned.len();
        planned.extend(of_round.into_iter().take(left));
        if planned.len() == videos as usize {
            break;
        }
    }
    // Names and the order of files say nothing either.
    planned.shuffle(&mut rng);
    for (number, video) in planned.iter_mut().enumerate() {
        video.number = number as u32;
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn every_combination_is_as_common_as_every_other_in_both_parts() {
        let planned = plan(3, 5, 90, 7).unwrap();
        let mut counts: HashMap<_, u32> = HashMap::new();
        for video in &planned {
            *counts
                .entry((video.part, video.context, video.motion))
                .or_default() += 1;
        }
        assert_eq!(counts.len(), 2 * 15);
        assert!(
            counts
                .iter()
                .all(|((part, ..), &count)| count == if *part == SynthPart::Test { 2 } else { 4 })
        );
    }

    #[test]
    fn a_scene_is_on_one_side_of_the_split_and_has_one_context_and_different_motions() {
        let planned = plan(4, 5, 111, 1).unwrap();
        assert_eq!(planned.len(), 111);
        let mut scenes: HashMap<u32, Vec<&VideoPlan>> = HashMap::new();
        for video in &planned {
            scenes.entry(video.scene).or_default().push(video);
        }
        for videos in scenes.values() {
            assert!(
                videos
                    .iter()
                    .all(|v| v.part == videos[0].part && v.context == videos[0].context)
            );
            let motions: HashSet<_> = videos.iter().map(|v| v.motion).collect();
            assert_eq!(motions.len(), videos.len());
        }
        assert_eq!(planned, plan(4, 5, 111, 1).unwrap());
        assert_ne!(planned, plan(4, 5, 111, 2).unwrap());
    }

    #[test]
    fn numbers_that_cannot_be_are_refused_with_what_can() {
        let told = |c, m, n| plan(c, m, n, 0).unwrap_err().to_string();
        assert!(told(1, 4, 100).contains("--contexts is 1; 2 to 12"));
        assert!(told(4, 13, 1000).contains("--motions is 13; 2 to 12"));
        assert!(told(4, 4, 31).contains("--videos is 31; 32 at least"));
    }
}
