use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::board::Board;
use crate::decode::{DecoderKind, decode_still};
use crate::ingest::{Fate, StreamName};
use crate::inspect::{StillMotion, draw_still};
use crate::replay::{Sample, SampleId};
use crate::server::{HistoryPoint, KeyFrame, Neighbourhood, SampleCard, Sight, StreamPoint, TrainPoint};
use crate::window::{FrameSize, Glimpse, SampleSpec};

/// From one point of the history to the next.
const POINT_EVERY: Duration = Duration::from_secs(5);
/// Points kept: an hour of them.
const POINTS_KEPT: usize = 720;
/// Samples of a stream that are shown.
const SAMPLES_SHOWN: usize = 6;
/// Neighbours of the newest sample that are shown.
const NEIGHBOURS_SHOWN: usize = 6;
/// A decoder that takes longer for one key frame hangs.
const STILL_PATIENCE: Duration = Duration::from_secs(5);
/// Key frames are shown no wider.
const SHOWN_WIDTH: u32 = 960;

/// What people have looked at, and what they may look back on.
pub(super) struct Sightings {
    decoder: DecoderKind,
    strip_lengths: (u32, u32),
    history: Mutex<VecDeque<HistoryPoint>>,
    /// The last key frame shown of each stream: it is decoded once, however many look.
    key_frames: Mutex<BTreeMap<StreamName, KeyFrame>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Sightings {
    pub fn new(decoder: DecoderKind, spec: &SampleSpec) -> Self {
        Self {
            decoder,
            strip_lengths: (spec.clip_frames, spec.target_frames),
            history: Mutex::default(),
            key_frames: Mutex::default(),
        }
    }
}

impl Board {
    /// Adds a point to the history every few seconds, until dropped.
    pub async fn keep_history(self: Arc<Self>) {
        let mut tick = tokio::time::interval(POINT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let at_unix_s = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs());
            self.remember(at_unix_s);
        }
    }

    fn remember(&self, at_unix_s: u64) {
        let train = Board::train(self).report.map(|report| TrainPoint {
            step: report.step,
            losses: [report.loss, report.context_loss, report.motion_loss],
            top1: [report.context_top1, report.motion_top1],
            samples_per_second: report.samples_per_second,
        });
        let streams = self.streams.all().into_iter().map(|stream| {
            let account = stream.ledger.snapshot();
            let dropped = Fate::ALL
                .into_iter()
                .filter(|fate| matches!(fate, Fate::Dropped(_)));
            let point = StreamPoint {
                received: account.received,
                dropped: dropped.map(|fate| account.settled(fate)).sum(),
                samples: self.provenance.samples(&stream.name),
            };
            (stream.name.as_str().into(), point)
        });
        let point = HistoryPoint {
            at_unix_s,
            train,
            streams: streams.collect(),
        };
        let mut history = lock(&self.sightings.history);
        history.push_back(point);
        while history.len() > POINTS_KEPT {
            history.pop_front();
        }
    }
}

impl Sight for Board {
    fn history(&self) -> Vec<HistoryPoint> {
        lock(&self.sightings.history).iter().cloned().collect()
    }

    fn key_frame(&self, stream: &str) -> Option<KeyFrame> {
        let entry = self
            .streams
            .all()
            .into_iter()
            .find(|entry| entry.name.as_str() == stream)?;
        let glimpse = entry.glimpse()?;
        // Held while decoding: whoever asks for the same meanwhile gets what comes of it.
        let mut shown = lock(&self.sightings.key_frames);
        if let Some(known) = shown
            .get(&entry.name)
            .filter(|known| known.index == glimpse.index)
        {
            return Some(known.clone());
        }
        let frame = draw(&entry.name, &glimpse, self.sightings.decoder);
        shown.insert(entry.name.clone(), frame.clone());
        Some(frame)
    }

    fn samples_of(&self, stream: &str) -> Vec<SampleCard> {
        let Some(entry) = self
            .streams
            .all()
            .into_iter()
            .find(|entry| entry.name.as_str() == stream)
        else {
            return Vec::new();
        };
        let newest = self.replay.newest_of(&entry.name, SAMPLES_SHOWN);
        newest.iter().map(|sample| card(sample)).collect()
    }

    fn neighbours(&self) -> Option<Neighbourhood> {
        let newest = self.replay.newest_with_feature()?;
        let nearest = self.replay.neighbours(newest.id, NEIGHBOURS_SHOWN);
        Some(Neighbourhood {
            of: card(&newest),
            nearest: nearest
                .into_iter()
                .filter_map(|(id, cosine)| Some((card(&*self.replay.get(id)?), cosine)))
                .collect(),
        })
    }

    fn sample(&self, id: u64) -> Option<Arc<Sample>> {
        self.replay.get(SampleId(id))
    }

    fn strip_lengths(&self) -> (u32, u32) {
        self.sightings.strip_lengths
    }
}

fn card(sample: &Sample) -> SampleCard {
    SampleCard {
        id: sample.id.0,
        stream: sample.stream.to_string(),
        arrival_unix_ns: sample.arrival.last_ns,
    }
}

fn draw(stream: &StreamName, glimpse: &Glimpse, decoder: DecoderKind) -> KeyFrame {
    let size = FrameSize {
        width: glimpse.format.width,
        height: glimpse.format.height,
    };
    let motion = StillMotion::read(&glimpse.key_frame, &glimpse.following);
    let decoded = decode_still(
        decoder,
        stream,
        glimpse.format.clone(),
        glimpse.index,
        glimpse.key_frame.clone(),
        size,
        STILL_PATIENCE,
    );
    let picture = decoded.map_err(|error| error.to_string()).and_then(|picture| {
        draw_still(&picture.pixels, size, motion.as_ref(), SHOWN_WIDTH)
            .map(Arc::from)
            .ok_or_else(|| "the key frame has not the size that its stream says".to_owned())
    });
    KeyFrame {
        index: glimpse.index,
        arrival_unix_ns: glimpse.arrival_unix_ns,
        picture,
        has_motion: motion.is_some(),
    }
}
