//! The one table of metrics. Code, docs/metrics.md, dashboards and alert rules are all checked against it.

/// What a metric is to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises while the process lives.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Classic buckets, by their upper bounds (without `+Inf`): summaries and native histograms are lost in Prometheus 2.42.
    Histogram(&'static [f64]),
}

/// What one of a metric's values measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things counted.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds; for `…_timestamp_seconds` since the Unix epoch.
    Seconds,
    /// From 0 to 1.
    Ratio,
    /// No unit: losses, norms, ranks.
    Plain,
}

/// One family of series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name, with the unit and `_total` as Prometheus' conventions want them.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it measures.
    pub unit: Unit,
    /// Its label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

impl Kind {
    /// As Prometheus' text format writes it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

/// A training step: micro on a GPU to paper on a CPU.
const STEP_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// A part of a step.
const PHASE_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// A snapshot: a few MB on a local disk to GB on a slow one.
const CHECKPOINT_SECONDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A few clips of micro on an idle core to hundreds of paper on a busy one.
const PROBE_SECONDS_BOUNDS: &[f64] = &[0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:ident, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// Every metric, in the order of the data's flow.
        pub const TABLE: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    // ingest, one account a stream
    ACCESS_UNITS_RECEIVED = "comove_access_units_received_total", Kind::Counter, Count, ["stream"],
        "Access units that left the demuxer.";
    ACCESS_UNITS_RECEIVED_BYTES = "comove_access_units_received_bytes_total", Kind::Counter, Bytes, ["stream"],
        "Compressed bytes that left the demuxer.";
    ACCESS_UNITS_SETTLED = "comove_access_units_settled_total", Kind::Counter, Count, ["stream", "fate", "reason"],
        "Access units whose fate is known: used, skipped by policy or dropped. Received equals settled over all fates plus buffered, at every scrape.";
    ACCESS_UNITS_BUFFERED = "comove_access_units_buffered", Kind::Gauge, Count, ["stream"],
        "Access units that some stage still holds.";
    STREAM_STATE = "comove_stream_state", Kind::Gauge, Plain, ["stream", "state"],
        "1 for the state that the stream is in, 0 for every other.";
    STREAM_RESTARTS = "comove_stream_restarts_total", Kind::Counter, Count, ["stream", "reason"],
        "Times the stream's source was opened again, by the failure before (unreachable, stalled, no_video, ended, unusable, failed), or its whole group was started again (group: a defect in comove).";
    STREAM_FILES_FAILED = "comove_stream_files_failed_total", Kind::Counter, Count, ["stream"],
        "Files that could not be read, or not to their end; the log names each.";
    STREAM_PASSES = "comove_stream_passes_total", Kind::Counter, Count, ["stream"],
        "Passes over the stream's files that began.";
    STREAM_PIPELINES_LEFT = "comove_stream_pipelines_left_total", Kind::Counter, Count, ["stream"],
        "Pipelines that could not be stopped in time and were left behind.";
    STREAM_PIPELINES_HANGING = "comove_stream_pipelines_hanging", Kind::Gauge, Count, ["stream"],
        "Pipelines left behind that have not stopped since.";
    STREAM_LAST_UNIT = "comove_stream_last_access_unit_timestamp_seconds", Kind::Gauge, Seconds, ["stream"],
        "When the stream's newest access unit was looked at, 0 before the first.";
    STREAM_LAST_KEY_FRAME = "comove_stream_last_key_frame_timestamp_seconds", Kind::Gauge, Seconds, ["stream"],
        "When the stream's newest picture that decoding can start at arrived, 0 before the first.";
    SEGMENTS = "comove_segments_total", Kind::Counter, Count, ["stream"],
        "Continuous pieces of video that ended; nothing that is learned spans two.";
    BYTE_BUDGET_USED = "comove_byte_budget_used_bytes", Kind::Gauge, Bytes, [],
        "Compressed media in memory, all streams.";
    BYTE_BUDGET_CAPACITY = "comove_byte_budget_capacity_bytes", Kind::Gauge, Bytes, [],
        "Compressed media that may be in memory at most.";

    // h264 and window
    PICTURES = "comove_pictures_total", Kind::Counter, Count, ["stream", "type"],
        "Pictures whose motion was read, by coded type (I, P or B).";
    PICTURES_OUT_OF_ORDER = "comove_pictures_out_of_order_total", Kind::Counter, Count, ["stream"],
        "Pictures whose place in display was past or taken; each is in the log.";
    LONG_GOPS = "comove_long_gops_total", Kind::Counter, Count, ["stream"],
        "GOPs that did not fit window.buffer_pictures or window.buffer_bytes.";
    SHORT_VIDEOS = "comove_short_videos_total", Kind::Counter, Count, ["stream"],
        "Segments that ended before one whole sample fitted; the log names each with the frames it lacks.";
    WINDOWS = "comove_windows_total", Kind::Counter, Count, ["stream", "outcome"],
        "Windows that were due: chosen to become a sample, or shed because nobody wanted one.";
    STILL_WINDOWS = "comove_still_windows_total", Kind::Counter, Count, ["stream"],
        "Windows chosen though nothing moves in them.";
    WINDOW_PICTURES = "comove_window_buffer_pictures", Kind::Gauge, Count, ["stream"],
        "Pictures that are held to choose windows from.";
    WINDOW_BYTES = "comove_window_buffer_bytes", Kind::Gauge, Bytes, ["stream"],
        "Compressed video and motion that are held to choose windows from.";
    WINDOWS_IN_FLIGHT = "comove_windows_in_flight", Kind::Gauge, Count, ["stream"],
        "Windows that are being decoded or wait for it.";
    WINDOWS_LOST = "comove_windows_lost_total", Kind::Counter, Count, ["stream", "reason"],
        "Windows chosen that became no sample: every decoder was busy, or the plan failed (not decoded, or not wanted any more).";
    SCOUT_ERRORS = "comove_scout_errors_total", Kind::Counter, Count, ["stream", "kind"],
        "Errors in reading a stream, by kind; each kind is logged once a minute at most.";
    SAMPLES_MADE = "comove_samples_made_total", Kind::Counter, Count, ["stream"],
        "Samples of the stream that replay took.";

    // decode
    DECODE_JOBS = "comove_decode_jobs_total", Kind::Counter, Count, ["outcome"],
        "Decoding jobs that ended, by outcome (done or failed).";
    DECODE_QUEUED = "comove_decode_queued_jobs", Kind::Gauge, Count, [],
        "Decoding jobs that wait for a decoder.";
    DECODE_QUEUE_CAPACITY = "comove_decode_queue_capacity_jobs", Kind::Gauge, Count, [],
        "Decoding jobs that may wait.";
    DECODE_THREADS = "comove_decode_threads", Kind::Gauge, Count, [],
        "Decoders that work side by side.";
    DECODE_BUSY = "comove_decode_busy_seconds_total", Kind::Counter, Seconds, [],
        "Time that decoders worked, all together.";
    DECODE_JOB_SECONDS = "comove_decode_job_seconds", Kind::Histogram(&crate::decode::JOB_SECONDS), Seconds, [],
        "Time of a decoding job, done or failed, without the wait for a decoder.";
    DECODE_FED = "comove_decode_units_fed_total", Kind::Counter, Count, [],
        "Access units fed to decoders.";
    DECODE_PICTURES = "comove_decode_pictures_total", Kind::Counter, Count, ["stage"],
        "Pictures that decoders put out (decoded), and those of them converted and given to samples (given).";
    DECODE_ABANDONED = "comove_decode_abandoned_total", Kind::Counter, Count, [],
        "Decoders that hung and were left behind with their thread.";

    // replay
    REPLAY_SAMPLES = "comove_replay_samples", Kind::Gauge, Count, [],
        "Samples in replay.";
    REPLAY_FRESH = "comove_replay_fresh_samples", Kind::Gauge, Count, [],
        "Samples in replay that were never drawn.";
    REPLAY_WITH_FEATURE = "comove_replay_samples_with_feature", Kind::Gauge, Count, [],
        "Samples in replay whose feature is known, because they were trained on.";
    REPLAY_SEGMENTS = "comove_replay_segments", Kind::Gauge, Count, [],
        "Segments that the samples in replay come from.";
    REPLAY_BYTES = "comove_replay_bytes", Kind::Gauge, Bytes, [],
        "Memory of the samples in replay; those on disk take none.";
    REPLAY_CAPACITY = "comove_replay_capacity_bytes", Kind::Gauge, Bytes, [],
        "Memory that the samples in replay may take.";
    REPLAY_RATIO = "comove_replay_samples_per_insert", Kind::Gauge, Plain, [],
        "How often a sample is to be trained on, on average: the ratio that the limiter keeps, as it is set now.";
    REPLAY_INSERTED = "comove_replay_inserted_total", Kind::Counter, Count, [],
        "Samples that replay took.";
    REPLAY_SAMPLED = "comove_replay_sampled_total", Kind::Counter, Count, [],
        "Samples that were drawn for training, each draw counted.";
    REPLAY_EVICTED = "comove_replay_evicted_total", Kind::Counter, Count, [],
        "Samples that made room for others.";
    REPLAY_REFUSED = "comove_replay_refused_total", Kind::Counter, Count, ["reason"],
        "Samples that replay did not take: training was behind (full), writing to disk was (spill_behind), or the eviction policy did not keep them (not_kept).";
    REPLAY_BATCHES = "comove_replay_batches_total", Kind::Counter, Count, [],
        "Batches given out.";
    REPLAY_BATCHES_REPEATING = "comove_replay_batches_repeating_segments_total", Kind::Counter, Count, [],
        "Batches with two samples of one segment, because there were fewer segments than a batch has samples.";
    REPLAY_WAIT = "comove_replay_wait_seconds_total", Kind::Counter, Seconds, ["side"],
        "Time that files waited for a place, all together (insert), and training for samples (sample).";
    REPLAY_LIMITER = "comove_replay_limiter_state", Kind::Gauge, Plain, ["state"],
        "1 for what the samples-per-insert limiter does now, 0 for everything else.";
    REPLAY_DRAWN_AGE = "comove_replay_drawn_age_seconds_total", Kind::Counter, Seconds, [],
        "Age of the samples drawn, since they arrived, all draws together; divided by the samples drawn: their mean age.";
    REPLAY_REDUNDANCY = "comove_replay_redundancy_ratio", Kind::Gauge, Ratio, [],
        "How alike the samples in replay are: the cosine between a trained sample's feature and the nearest other, a running mean.";
    REPLAY_OLDEST = "comove_replay_oldest_arrival_timestamp_seconds", Kind::Gauge, Seconds, [],
        "When the oldest sample in replay arrived.";
    REPLAY_NEWEST = "comove_replay_newest_arrival_timestamp_seconds", Kind::Gauge, Seconds, [],
        "When the newest sample in replay arrived.";
    SPILL_SAMPLES = "comove_replay_spill_samples", Kind::Gauge, Count, [],
        "Samples of replay on disk.";
    SPILL_BYTES = "comove_replay_spill_bytes", Kind::Gauge, Bytes, [],
        "Size of the files that replay's samples on disk are in.";
    SPILL_CAPACITY = "comove_replay_spill_capacity_bytes", Kind::Gauge, Bytes, [],
        "Size that these files may have together.";
    SPILL_WRITTEN = "comove_replay_spill_written_total", Kind::Counter, Count, [],
        "Samples of replay written to disk, because memory was full.";
    SPILL_READ_SECONDS = "comove_replay_spill_read_seconds", Kind::Histogram(&crate::replay::READ_SECONDS), Seconds, [],
        "Time to read and check one sample on disk.";
    SPILL_LOST = "comove_replay_spill_lost_total", Kind::Counter, Count, ["reason"],
        "Samples let go: the checksum is wrong (damaged), the disk did not give it (unreadable), a checkpoint names it and it is not there (missing), the disk did not take it (unwritable), kept checkpoints hold every free slot (no_slot).";
    SPILL_STOPPED = "comove_replay_spill_stopped", Kind::Gauge, Plain, [],
        "1 after a write to disk that failed: samples that memory has no room for are lost until one succeeds.";

    // train
    TRAIN_STEPS = "comove_train_steps_total", Kind::Counter, Count, [],
        "Optimiser steps of this process, skipped non-finite ones included.";
    TRAIN_SAMPLES = "comove_train_samples_total", Kind::Counter, Count, [],
        "Samples that went through the networks in this process.";
    TRAIN_STEP = "comove_train_step", Kind::Gauge, Count, [],
        "The optimiser step that training is at, counted over all resumes.";
    TRAIN_QUERIES = "comove_train_queries", Kind::Gauge, Count, ["task"],
        "Queries a step that had something to be compared with, at the last report: clips, or positions whose motion was known.";
    TRAIN_LOSS = "comove_train_loss", Kind::Gauge, Plain, ["task"],
        "Loss at the last report: the context task, the motion task, and joint, which is what is minimised.";
    TRAIN_TOP1 = "comove_train_top1_ratio", Kind::Gauge, Ratio, ["task"],
        "Share of queries whose positive came out nearest, at the last report.";
    TRAIN_CHANCE = "comove_train_top1_chance_ratio", Kind::Gauge, Ratio, ["task"],
        "What top-1 would be for a network that knows nothing.";
    TRAIN_EMBEDDING_STD = "comove_train_embedding_std", Kind::Gauge, Plain, [],
        "Spread of the pooled features scaled to length 1: 0 when all are the same (collapse), 1 when they point everywhere alike.";
    TRAIN_EFFECTIVE_RANK = "comove_train_effective_rank", Kind::Gauge, Plain, [],
        "How many dimensions the last 256 pooled features use: near 1 when they collapse to a line.";
    TRAIN_ALIGNMENT = "comove_train_alignment", Kind::Gauge, Plain, [],
        "Mean squared distance of a clip's and its key frame's embedding: 0 when they agree, 2 when they have nothing to do with each other.";
    TRAIN_UNIFORMITY = "comove_train_uniformity", Kind::Gauge, Plain, [],
        "How evenly the last 256 pooled features spread: 0 when all are the same, towards -4 when they spread evenly.";
    TRAIN_STEP_SECONDS = "comove_train_step_seconds", Kind::Histogram(STEP_SECONDS), Seconds, [],
        "Time of an optimiser step, without the wait for its data. On a GPU the mean of each report, once for each of its steps.";
    TRAIN_DATA_WAIT_SECONDS = "comove_train_data_wait_seconds", Kind::Histogram(STEP_SECONDS), Seconds, [],
        "Time that a step waited for its batch.";
    TRAIN_PHASE_SECONDS = "comove_train_phase_seconds", Kind::Histogram(PHASE_SECONDS), Seconds, ["phase"],
        "Time of each part of a step: wait, copy, augment, forward, backward, optimiser, bookkeeping. On a GPU of the last step before each report.";
    TRAIN_PREQUENTIAL = "comove_train_prequential_loss", Kind::Gauge, Plain, ["task"],
        "Loss of the samples that were used for the first time since the report before, taken before the step learned from them.";
    TRAIN_PREQUENTIAL_SAMPLES = "comove_train_prequential_samples_total", Kind::Counter, Count, [],
        "Samples that were trained on for the first time.";
    TRAIN_LEARNING_RATE = "comove_train_learning_rate", Kind::Gauge, Plain, [],
        "Learning rate at the last report.";
    TRAIN_GRADIENT_NORM = "comove_train_gradient_norm", Kind::Gauge, Plain, [],
        "Norm of the whole gradient before clipping, at the last report.";
    TRAIN_NONFINITE = "comove_train_nonfinite_steps_total", Kind::Counter, Count, [],
        "Steps left out because loss or gradient was not finite, over all resumes.";
    TRAIN_ROLLBACKS = "comove_train_rollbacks_total", Kind::Counter, Count, [],
        "Times that training diverged and went back to a checkpoint.";
    TRAIN_LAST_STEP = "comove_train_last_step_timestamp_seconds", Kind::Gauge, Seconds, [],
        "When the last optimiser step was reported, 0 before the first.";

    // probe, where a folder is configured
    PROBE_ACCURACY = "comove_probe_accuracy_ratio", Kind::Gauge, Ratio, [],
        "Share of the probe folder's videos that k-NN on the V-Network's features gave their class, at the last probe.";
    PROBE_CHANCE = "comove_probe_chance_ratio", Kind::Gauge, Ratio, [],
        "What that would be for always naming the class that most videos of the probe folder have.";
    PROBE_STEP = "comove_probe_step", Kind::Gauge, Count, [],
        "Optimiser step behind the network that was probed last.";
    PROBE_VIDEOS = "comove_probe_videos", Kind::Gauge, Count, ["outcome"],
        "Videos of the probe folder: held, or left out because they could not be decoded (unreadable).";
    PROBE_SECONDS = "comove_probe_seconds", Kind::Histogram(PROBE_SECONDS_BOUNDS), Seconds, [],
        "Time of a probe on its own thread, which has a low priority and one core at most.";
    PROBE_COPY_SECONDS = "comove_probe_copy_seconds", Kind::Histogram(PHASE_SECONDS), Seconds, [],
        "Time that training stood still to copy the V-Network for a probe.";
    PROBES = "comove_probes_total", Kind::Counter, Count, [],
        "Networks that were probed.";
    PROBE_FAILURES = "comove_probe_failures_total", Kind::Counter, Count, ["reason"],
        "Probes that came to nothing: features not finite or zero (features), a network that could not be run (network), a defect (panicked), or too few videos that could be decoded (videos; none is probed then).";

    // checkpoint
    CHECKPOINTS = "comove_checkpoints_total", Kind::Counter, Count, ["outcome"],
        "Checkpoints attempted, by outcome (written or failed).";
    CHECKPOINT_SECONDS_SPENT = "comove_checkpoint_seconds", Kind::Histogram(CHECKPOINT_SECONDS), Seconds, [],
        "Time from the start of a checkpoint to its rename into place.";
    CHECKPOINT_BYTES = "comove_checkpoint_bytes", Kind::Gauge, Bytes, [],
        "Size of the newest complete checkpoint.";
    CHECKPOINT_REPLAY_BYTES = "comove_checkpoint_replay_bytes", Kind::Gauge, Bytes, [],
        "Size of all samples of replay in the checkpoint folder, which checkpoints share.";
    CHECKPOINT_REPLAY_FAILURES = "comove_checkpoint_replay_failures_total", Kind::Counter, Count, [],
        "Checkpoints written without the samples of replay, because these could not be written.";
    CHECKPOINT_STEP = "comove_checkpoint_step", Kind::Gauge, Count, [],
        "Optimiser step of the newest complete checkpoint.";
    CHECKPOINT_LAST_SUCCESS = "comove_checkpoint_last_success_timestamp_seconds", Kind::Gauge, Seconds, [],
        "When the newest complete checkpoint of this process was written, 0 before the first.";

    // process
    BUILD_INFO = "comove_build_info", Kind::Gauge, Plain, ["version"],
        "Always 1; the labels say what runs.";
    PROCESS_START = "comove_process_start_timestamp_seconds", Kind::Gauge, Seconds, [],
        "When the process began to count.";
    MEMORY = "comove_memory_bytes", Kind::Gauge, Bytes, ["owner"],
        "Memory by owner, each byte once: samples in replay; compressed video in ingest; compressed video and motion that windows are chosen from; pictures that decoders make; the model with its gradients and optimiser state, on the training device; the clips that are probed with.";
    PROCESS_RESIDENT = "comove_process_resident_memory_bytes", Kind::Gauge, Bytes, [],
        "Resident memory of the process.";
    PROCESS_CPU = "comove_process_cpu_seconds_total", Kind::Counter, Seconds, [],
        "CPU time of the process, user and system.";
    PROCESS_FDS = "comove_process_open_fds", Kind::Gauge, Count, [],
        "Open file descriptors of the process.";
    PROCESS_THREADS = "comove_process_threads", Kind::Gauge, Count, [],
        "Threads of the process.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_occur_once() {
        let mut seen = BTreeSet::new();
        for metric in TABLE {
            let name = metric.name;
            assert!(seen.insert(name), "{name} occurs twice");
            assert!(name.starts_with("comove_"), "{name}");
            assert!(
                name.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(
                metric.help.ends_with('.') && !metric.help.contains('\n'),
                "{name}"
            );
            let stem = name.trim_end_matches("_total");
            let suffix = match metric.unit {
                Unit::Bytes => "_bytes",
                Unit::Seconds => "_seconds",
                Unit::Ratio => "_ratio",
                Unit::Count | Unit::Plain => continue,
            };
            assert!(stem.ends_with(suffix), "{name} measures {:?}", metric.unit);
        }
    }

    #[test]
    fn buckets_rise() {
        for metric in TABLE {
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.len() > 3, "{}", metric.name);
                assert!(
                    buckets.windows(2).all(|pair| pair[0] < pair[1]),
                    "{}",
                    metric.name
                );
            }
        }
    }
}
