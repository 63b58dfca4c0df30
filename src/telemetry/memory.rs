use super::{Exposition, table};

/// Memory that a stage answers for, in bytes. No byte has two owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryByOwner {
    /// Samples.
    pub replay: u64,
    /// Compressed video on its way to the windows, or held by decoding jobs.
    pub ingest: u64,
    /// Compressed video, and its motion, that windows are chosen from.
    pub windows: u64,
    /// Pictures that are being decoded.
    pub decoders: u64,
    /// Parameters, gradients and the optimiser's state.
    pub model: u64,
    /// Clips of the probe folder.
    pub probe: u64,
}

/// Writes who holds how much.
pub fn collect_memory(page: &mut Exposition, memory: &MemoryByOwner) {
    let owners = [
        ("replay", memory.replay),
        ("ingest", memory.ingest),
        ("windows", memory.windows),
        ("decoders", memory.decoders),
        ("model", memory.model),
        ("probe", memory.probe),
    ];
    for (owner, bytes) in owners {
        page.put(&table::MEMORY, &[owner], bytes as f64);
    }
}
