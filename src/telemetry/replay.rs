use super::{Exposition, table};
use crate::replay::{LimiterState, LossReason, ReplaySnapshot, SpillSnapshot};

/// Every state of the limiter, as `comove_replay_limiter_state` names it.
const LIMITER_STATES: [&str; 6] = [
    "warming_up",
    "balanced",
    "trainer_behind",
    "sources_behind",
    "sources_ended",
    "closed",
];

fn limiter_state(state: LimiterState) -> &'static str {
    match state {
        LimiterState::WarmingUp { .. } => "warming_up",
        LimiterState::Balanced => "balanced",
        LimiterState::TrainerBehind => "trainer_behind",
        LimiterState::SourcesBehind => "sources_behind",
        LimiterState::SourcesEnded => "sources_ended",
        LimiterState::Closed => "closed",
    }
}

/// Writes what replay holds and has counted.
pub fn collect_replay(page: &mut Exposition, replay: &ReplaySnapshot) {
    page.put(&table::REPLAY_SAMPLES, &[], replay.samples as f64);
    page.put(&table::REPLAY_FRESH, &[], replay.fresh as f64);
    page.put(&table::REPLAY_WITH_FEATURE, &[], replay.with_feature as f64);
    page.put(&table::REPLAY_RATIO, &[], replay.samples_per_insert_wanted);
    page.put(&table::REPLAY_SEGMENTS, &[], replay.segments as f64);
    page.put(&table::REPLAY_BYTES, &[], replay.bytes as f64);
    page.put(&table::REPLAY_CAPACITY, &[], replay.capacity_bytes as f64);
    page.put(&table::REPLAY_INSERTED, &[], replay.inserted as f64);
    page.put(&table::REPLAY_SAMPLED, &[], replay.sampled as f64);
    page.put(&table::REPLAY_EVICTED, &[], replay.evicted as f64);
    page.put(&table::REPLAY_REFUSED, &["full"], replay.refused as f64);
    page.put(
        &table::REPLAY_REFUSED,
        &["spill_behind"],
        replay.refused_by_spill as f64,
    );
    page.put(&table::REPLAY_REFUSED, &["not_kept"], replay.not_kept as f64);
    page.put(&table::REPLAY_BATCHES, &[], replay.batches as f64);
    page.put(
        &table::REPLAY_BATCHES_REPEATING,
        &[],
        replay.batches_repeating_segments as f64,
    );
    page.put(&table::REPLAY_WAIT, &["insert"], replay.insert_wait.as_secs_f64());
    page.put(&table::REPLAY_WAIT, &["sample"], replay.sample_wait.as_secs_f64());
    page.put(&table::REPLAY_DRAWN_AGE, &[], replay.drawn_age_seconds);
    if let Some(redundancy) = replay.redundancy {
        page.put(&table::REPLAY_REDUNDANCY, &[], f64::from(redundancy));
    }
    if let Some(spill) = &replay.spill {
        collect_spill(page, spill);
    }
    let now = limiter_state(replay.limiter);
    for state in LIMITER_STATES {
        page.put(
            &table::REPLAY_LIMITER,
            &[state],
            f64::from(u8::from(state == now)),
        );
    }
    let arrivals = [
        (&table::REPLAY_OLDEST, replay.oldest_arrival_unix_ns),
        (&table::REPLAY_NEWEST, replay.newest_arrival_unix_ns),
    ];
    for (metric, unix_ns) in arrivals {
        if let Some(unix_ns) = unix_ns {
            page.put(metric, &[], unix_ns as f64 / 1e9);
        }
    }
}

fn collect_spill(page: &mut Exposition, spill: &SpillSnapshot) {
    page.put(&table::SPILL_SAMPLES, &[], spill.samples as f64);
    page.put(&table::SPILL_BYTES, &[], spill.bytes as f64);
    page.put(&table::SPILL_CAPACITY, &[], spill.capacity_bytes as f64);
    page.put(&table::SPILL_WRITTEN, &[], spill.written as f64);
    page.put_histogram(
        &table::SPILL_READ_SECONDS,
        &[],
        &spill.reads_by_seconds,
        spill.reading.as_secs_f64(),
    );
    for (reason, lost) in LossReason::ALL.into_iter().zip(spill.lost) {
        page.put(&table::SPILL_LOST, &[reason.label()], lost as f64);
    }
    page.put(&table::SPILL_STOPPED, &[], f64::from(u8::from(spill.stopped)));
}
