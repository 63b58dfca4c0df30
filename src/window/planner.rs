use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::feed::{Feed, feed};
use super::select::Selection;
use super::{Choice, SamplePlan, WindowPlace};
use crate::decode::{DecodeJob, FeedUnit};
use crate::ingest::{AccessUnit, StreamName};
use crate::replay::TimeRange;

/// Decides what is random about a window and gathers what it needs: the choice, and the decoding indices of all pictures that
/// it uses. `None` where it cannot be decoded from what is held.
pub(super) fn plan_window(
    stream: &StreamName,
    selection: &Selection<'_>,
    rng: &mut ChaCha8Rng,
) -> Option<(Choice, Vec<u64>)> {
    let (run, spec) = (selection.run, selection.spec);
    let clip_ranks: Vec<u64> = selection.clip_ranks().collect();
    let target_start = selection.target_start();
    let key_frame = selection.key_frame(rng)?;
    let negative_starts = selection.negative_starts(rng)?;
    let clip = clip_ranks
        .iter()
        .map(|rank| run.index_of(*rank))
        .collect::<Option<Vec<_>>>()?;
    let Feed { start, pictures } = feed(run, &clip, run.index_of(key_frame)?)?;
    let fed_ranks = pictures
        .iter()
        .map(|index| run.rank_for_decoder(*index))
        .collect::<Option<Vec<_>>>()?;
    let preroll = run.preroll(start);
    let first_rank = *fed_ranks.iter().min()?;
    let in_job = |rank: u64| u32::try_from(rank - first_rank + preroll.len() as u64).ok();
    let mut feed = Vec::with_capacity(preroll.len() + pictures.len());
    let units_at = |units: &mut dyn Iterator<Item = &Arc<AccessUnit>>, display_rank: u32| -> Vec<FeedUnit> {
        units
            .map(|unit| FeedUnit {
                unit: unit.clone(),
                display_rank,
            })
            .collect()
    };
    for (units, display_rank) in preroll.iter().zip(0..) {
        feed.extend(units_at(&mut units.iter(), display_rank));
    }
    for (index, rank) in pictures.iter().zip(&fed_ranks) {
        feed.extend(units_at(&mut run.at_index(*index)?.units(), in_job(*rank)?));
    }
    let key_rank = in_job(key_frame)?;
    let clip_ranks = clip_ranks.into_iter().map(in_job).collect::<Option<Vec<_>>>()?;
    let mut wanted = clip_ranks.clone();
    wanted.push(key_rank);
    wanted.sort_unstable();
    wanted.dedup();

    let mut indices = pictures;
    for start in negative_starts.iter().chain([&target_start]) {
        let window = *start..*start + u64::from(spec.target_frames);
        indices.extend(
            window
                .map(|rank| run.index_of(rank))
                .collect::<Option<Vec<_>>>()?,
        );
    }
    indices.sort_unstable();
    indices.dedup();
    let mut units: Vec<Arc<AccessUnit>> = preroll.iter().flatten().cloned().collect();
    for index in &indices {
        units.extend(run.at_index(*index)?.units().cloned());
    }

    let first = run.at_rank(selection.start)?;
    let last = run.at_rank(selection.last())?;
    let pts = first
        .unit
        .pts_ns
        .zip(last.unit.pts_ns)
        .filter(|(first, last)| first <= last)
        .map(|(first_ns, last_ns)| TimeRange { first_ns, last_ns });
    let arrivals = [first.unit.arrival_unix_ns, last.unit.arrival_unix_ns];
    let plan = SamplePlan {
        stream: stream.clone(),
        segment: first.unit.segment,
        spec: *spec,
        source_width: first.facts.width,
        source_height: first.facts.height,
        key_rank,
        clip_ranks,
        target: selection.maps(target_start)?,
        negatives: negative_starts
            .iter()
            .map(|start| selection.maps(*start))
            .collect::<Option<Vec<_>>>()?,
        poc_per_frame: run.poc_per_frame(),
        pts,
        arrival: TimeRange {
            first_ns: arrivals[0].min(arrivals[1]),
            last_ns: arrivals[0].max(arrivals[1]),
        },
        frame_rate: frame_rate(
            pts,
            selection.last() - selection.start,
            first.unit.format.frame_rate,
        ),
        place: WindowPlace {
            clip_start: selection.start,
            target_start,
            key_frame,
            negative_starts,
        },
        units,
    };
    let job = DecodeJob {
        stream: stream.clone(),
        format: feed.first()?.unit.format.clone(),
        feed,
        wanted,
        size: spec.frame_size,
    };
    Some((Choice { plan, job }, indices))
}

/// From the time stamps, or else as the stream says.
fn frame_rate(pts: Option<TimeRange>, frames: u64, nominal: (u32, u32)) -> Option<f32> {
    let measured = pts
        .map(|pts| pts.last_ns - pts.first_ns)
        .filter(|elapsed_ns| *elapsed_ns > 0)
        .map(|elapsed_ns| (frames as f64 * 1e9 / elapsed_ns as f64) as f32);
    let (numerator, denominator) = nominal;
    measured.or((numerator > 0 && denominator > 0).then(|| numerator as f32 / denominator as f32))
}
