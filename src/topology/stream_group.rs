use std::sync::Arc;

use ractor::{Actor, ActorRef};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::entry::StreamEntry;
use super::supervisor::SupervisorMessage;
use super::{Provenance, RunError};
use crate::decode::DecodeQueue;
use crate::ingest::{
    ByteBudget, HostPacer, IngestConfig, SourceKind, StreamActor, StreamConfig, StreamMessage, StreamParts,
    Templates, WallClock,
};
use crate::replay::Replay;
use crate::window::{Pace, SampleSpec, ScoutHandle, ScoutParts, WindowAllowance, WindowConfig, spawn_scout};

/// Access units that may lie between GStreamer and a scout. Their bytes are bounded by the budget; this bounds their number.
const ITEMS_BETWEEN: usize = 64;

/// What all streams of a run share.
pub(super) struct SharedParts {
    pub ingest: IngestConfig,
    pub window: WindowConfig,
    pub allowance: WindowAllowance,
    pub pacer: HostPacer,
    pub spec: SampleSpec,
    pub templates: Templates,
    pub budget: ByteBudget,
    pub decoders: DecodeQueue,
    pub replay: Arc<Replay>,
    pub provenance: Provenance,
    pub wall_clock: WallClock,
    pub seed: u64,
    /// Samples come in in a fixed order.
    pub deterministic: bool,
}

/// What stays of a stream when its group is started again.
#[derive(Clone)]
pub(super) struct StreamSetup {
    pub source: SourceKind,
    pub config: StreamConfig,
    pub entry: Arc<StreamEntry>,
}

/// A stream at work: the actor that keeps its source open, and the scout that reads its access units.
pub(super) struct StreamGroup {
    pub actor: ActorRef<StreamMessage>,
    pub scout: ScoutHandle,
}

impl StreamSetup {
    /// Whether the source gives the same units again, so that a stream can go on where it was. What a synthetic source gave
    /// has to be made again for that, which takes too long where it is not asked for.
    fn can_be_read_again(&self, shared: &SharedParts) -> bool {
        match &self.source {
            SourceKind::File(_) | SourceKind::Folder(_) => true,
            SourceKind::Synthetic(synthetic) => shared.deterministic && !synthetic.live,
            SourceKind::Rtsp(_) | SourceKind::Http(_) => false,
        }
    }

    /// The run that this one goes on from has read all that the source has.
    pub fn is_over(&self, shared: &SharedParts) -> bool {
        shared.replay.is_over(&self.entry.name, &self.settings(shared))
    }

    /// Everything that decides which windows are chosen in the source, as text.
    fn settings(&self, shared: &SharedParts) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {}",
            self.source,
            self.config.repeat,
            self.config.shuffle_seed,
            shared.ingest.time_jump,
            shared.window,
            shared.spec,
            shared.seed
        )
    }

    /// Starts the group, its actor linked to `supervisor`. `generation` counts the starts of this stream's group.
    pub async fn start(
        &self,
        shared: &SharedParts,
        supervisor: &ActorRef<SupervisorMessage>,
        generation: u64,
    ) -> Result<StreamGroup, RunError> {
        let name = &self.entry.name;
        let again = self.can_be_read_again(shared);
        // A source that is read again draws the same; one that is not must not repeat what it drew for its last segments.
        let generation_of_seed = if again { 0 } else { generation };
        let cursor = shared.replay.begin_stream(name, &self.settings(shared), again);
        let begins = (cursor.first_segment << 20) + generation_of_seed;
        let seed = seed_of(shared.seed, name.as_str(), begins);
        let (items, arriving) = crossbeam_channel::bounded(ITEMS_BETWEEN);
        shared.provenance.follow(&self.entry, &self.source.to_string());
        let scout = spawn_scout(ScoutParts {
            stream: name.clone(),
            pace: match self.source.is_live() {
                true => Pace::Live,
                false => Pace::File,
            },
            spec: shared.spec,
            config: shared.window.clone(),
            allowance: shared.allowance.clone(),
            items: arriving,
            decoders: shared.decoders.clone(),
            replay: shared.replay.clone(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            wall_clock: shared.wall_clock.clone(),
            cursor: cursor.clone(),
        })?;
        self.entry.begin_group(scout.watch.clone());
        let reports = supervisor.clone();
        let parts = StreamParts {
            name: name.clone(),
            source: self.source.clone(),
            config: self.config.clone(),
            ingest: shared.ingest.clone(),
            templates: shared.templates.clone(),
            ledger: self.entry.ledger.clone(),
            budget: shared.budget.clone(),
            items,
            pacer: shared.pacer.clone(),
            first: cursor.first_numbers(),
            begin: cursor.point.and_then(|point| point.file),
            wall_clock: shared.wall_clock.clone(),
            random_seed: seed,
            // A supervisor that has stopped needs to hear no more.
            report: Arc::new(move |report| drop(reports.cast(SupervisorMessage::Report(report)))),
        };
        let actor_name = format!("stream-{name}-{generation}");
        let (actor, _) = Actor::spawn_linked(
            Some(actor_name.clone()),
            StreamActor,
            parts,
            supervisor.get_cell(),
        )
        .await
        .map_err(|error| RunError::Actor {
            what: actor_name,
            reason: error.to_string(),
        })?;
        Ok(StreamGroup { actor, scout })
    }
}

/// Another seed for each stream and start, from the run's.
fn seed_of(run_seed: u64, stream: &str, generation: u64) -> u64 {
    // FNV-1a: fixed for ever, unlike the standard library's hasher.
    let bytes = run_seed
        .to_le_bytes()
        .into_iter()
        .chain(stream.bytes())
        .chain(generation.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_restarts_have_seeds_of_their_own() {
        let seeds = [
            seed_of(1, "a", 0),
            seed_of(1, "b", 0),
            seed_of(1, "a", 1),
            seed_of(2, "a", 0),
        ];
        for (i, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..i].contains(seed));
        }
        assert_eq!(seeds[0], seed_of(1, "a", 0));
    }
}
