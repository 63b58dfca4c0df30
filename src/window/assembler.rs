use std::sync::Arc;

use super::{FrameSize, SamplePlan};
use crate::decode::{DecodeError, RgbPicture};
use crate::ingest::{DropReason, Fate, SkipReason, StreamName};
use crate::replay::{InsertRefused, Place, Replay, Sample, SampleId, Ticket};

/// What a stream does when the stages behind it do not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It waits.
    File,
    /// It must not: its windows are shed.
    Live,
}

/// Why decoded pictures are not the sample that was planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// A picture did not come.
    #[error("stream {stream}, segment {segment}: of the pictures decoded, none has display rank {rank}")]
    MissingPicture {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: u64,
        /// Its rank in the job.
        rank: u32,
    },
    /// A picture has another size than was asked for.
    #[error(
        "stream {stream}, segment {segment}: the picture of display rank {rank} has {bytes} bytes; {}×{} RGB pixels have {}",
        .size.width, .size.height, 3 * .size.area()
    )]
    WrongSize {
        /// The stream.
        stream: StreamName,
        /// The segment.
        segment: u64,
        /// Its rank in the job.
        rank: u32,
        /// Bytes that came.
        bytes: usize,
        /// What was asked for.
        size: FrameSize,
    },
}

/// Why a plan did not become a sample.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanFailed {
    /// The pictures could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// They are not those that were planned.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// Replay did not take the sample.
    #[error(transparent)]
    Replay(#[from] InsertRefused),
}

impl PlanFailed {
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::Decode(DecodeError::Closed { .. }) | Self::Replay(InsertRefused::Closed) => {
                Fate::Dropped(DropReason::Stopping)
            }
            Self::Decode(_) | Self::Assemble(_) => Fate::Dropped(DropReason::DecodeFailed),
            Self::Replay(InsertRefused::NotKept) => Fate::Skipped(SkipReason::NotChosen),
            Self::Replay(
                InsertRefused::TrainerBehind
                | InsertRefused::SpillBehind
                | InsertRefused::LargerThanReplay { .. },
            ) => Fate::Dropped(DropReason::ReplayFull),
        }
    }
}

/// Puts plans and their pictures together, gives the samples to replay and settles what became of the access units. Runs
/// on the decode pool's threads.
#[derive(Clone)]
pub struct Assembler {
    replay: Arc<Replay>,
}

impl Assembler {
    /// For samples of any stream.
    pub fn new(replay: Arc<Replay>) -> Self {
        Self { replay }
    }

    /// Ends the plan, whose sample replay has promised a place; streams that can be read again have a `ticket` for it.
    pub fn finish(
        &self,
        plan: &SamplePlan,
        ticket: Option<&Ticket>,
        place: Place,
        decoded: Result<Vec<RgbPicture>, DecodeError>,
    ) -> Result<(), PlanFailed> {
        let taken = self.sample(plan, ticket, place, decoded);
        // Whoever goes on from a checkpoint decodes again what only the end kept from being decoded.
        if let (Some(ticket), Err(PlanFailed::Decode(_) | PlanFailed::Assemble(_))) = (ticket, &taken)
            && !matches!(taken, Err(PlanFailed::Decode(DecodeError::Closed { .. })))
        {
            self.replay.give_up(ticket);
        }
        plan.settle(match &taken {
            Ok(_) => Fate::Used,
            Err(failed) => failed.fate(),
        });
        taken
    }

    fn sample(
        &self,
        plan: &SamplePlan,
        ticket: Option<&Ticket>,
        place: Place,
        decoded: Result<Vec<RgbPicture>, DecodeError>,
    ) -> Result<(), PlanFailed> {
        let sample = assemble(plan, &decoded?)?;
        match ticket {
            Some(ticket) => self.replay.arrive(ticket, place, sample)?,
            None => self.replay.insert_at(place, sample)?,
        }
        Ok(())
    }
}

/// The sample that was planned, from its pictures in any order.
pub fn assemble(plan: &SamplePlan, pictures: &[RgbPicture]) -> Result<Sample, AssembleError> {
    let spec = &plan.spec;
    let pixels = |rank: u32| -> Result<&[u8], AssembleError> {
        let (stream, segment) = (plan.stream.clone(), plan.segment);
        let Some(picture) = pictures.iter().find(|picture| picture.display_rank == rank) else {
            return Err(AssembleError::MissingPicture {
                stream,
                segment,
                rank,
            });
        };
        let bytes = picture.pixels.len();
        if bytes != 3 * spec.frame_size.area() {
            return Err(AssembleError::WrongSize {
                stream,
                segment,
                rank,
                bytes,
                size: spec.frame_size,
            });
        }
        Ok(&picture.pixels)
    };
    let mut clip = Vec::with_capacity(plan.clip_ranks.len() * 3 * spec.frame_size.area());
    for rank in &plan.clip_ranks {
        clip.extend_from_slice(pixels(*rank)?);
    }
    let mut target = Vec::with_capacity(plan.target.len() * 2 * spec.motion_size.area());
    for map in &plan.target {
        map.append_per_frame(spec.motion_size, plan.poc_per_frame, &mut target);
    }
    let mut negatives = Vec::with_capacity(plan.negatives.len() * target.len());
    for map in plan.negatives.iter().flatten() {
        map.append_per_frame(spec.motion_size, plan.poc_per_frame, &mut negatives);
    }
    Ok(Sample {
        id: SampleId(0),
        stream: plan.stream.clone(),
        segment: plan.segment,
        spec: *spec,
        source_width: plan.source_width,
        source_height: plan.source_height,
        key_frame: pixels(plan.key_rank)?.to_vec(),
        clip,
        target,
        negatives,
        pts: plan.pts,
        arrival: plan.arrival,
        frame_rate: plan.frame_rate,
    })
}
