mod learning;
mod resume;
mod running;

use super::TrainConfig;

/// Batches of two on one thread: quick, and the same whatever the machine.
fn tiny() -> TrainConfig {
    TrainConfig {
        batch_size: Some(2),
        warmup_steps: 4,
        report_every: 2,
        threads: Some(1),
        device: super::DeviceChoice::Cpu,
        ..TrainConfig::default()
    }
}
