//! Damage to the golden set's streams: a flipped bit, dropped access units, a unit cut short. Each gives an error or a field,
//! never a panic, memory stays below its bound, and from the next IDR picture on everything is exact again.
//!
//! A sample of the streams runs with the other tests; COMOVE_DAMAGE=all takes all of them, whole. The set is looked for where
//! COMOVE_SHARED says, else in `../shared`; without it the small vectors of this repository stand in.

mod golden;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use comove::h264::annexb::{access_units, nal_units};
use comove::h264::{BYTES_PER_MACROBLOCK, FrameMotion, MotionDecoder, NalHeader};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Of these, one is taken in a normal run.
const SAMPLE: usize = 12;
/// Access units taken of a stream in a normal run.
const UNITS: usize = 40;
/// Times each kind of damage is tried on a stream.
const TRIES: usize = 3;

fn streams() -> Vec<PathBuf> {
    let shared = std::env::var_os("COMOVE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let set = shared.join("h264");
    let Ok(features) = std::fs::read_to_string(set.join("FEATURES.tsv")) else {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let entries = std::fs::read_dir(folder).expect("the vectors are there");
        let files = entries.map(|entry| entry.expect("an entry").path());
        return files
            .filter(|path| path.extension().is_some_and(|e| e == "264"))
            .collect();
    };
    let sources = features
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').nth(2));
    // Containers are read by other tests.
    sources
        .filter(|source| !source.starts_with(".."))
        .map(|source| set.join(source))
        .collect()
}

/// Lines of each access unit, without the running number.
fn lines_of(decoder: &mut MotionDecoder, unit: &[u8]) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    // What the error is does not matter here.
    let _ = decoder.decode(unit, &mut |field| lines.push(golden::line(0, field)));
    lines
}

/// Decodes damaged units without comparing; checks the decoder's state and memory.
fn survive(decoder: &mut MotionDecoder, unit: &[u8], motion: &mut FrameMotion) {
    let mut macroblocks = 0;
    let result = decoder.decode(unit, &mut |field| {
        let header = field.header();
        macroblocks = (header.width / 16 * header.height / 16) as usize;
        field.frame_motion(motion);
        std::hint::black_box(field.refers_to());
    });
    decoder.check_invariants();
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
    if macroblocks > 0 {
        let bound = MotionDecoder::MAX_FRAMES * macroblocks * BYTES_PER_MACROBLOCK;
        let held = decoder.memory_bytes();
        assert!(
            held <= bound + 4 * macroblocks + (4 << 20),
            "{held} bytes are held, {bound} are allowed"
        );
    }
}

enum Damage {
    /// A bit of a slice.
    Flip(usize),
    /// Units that do not arrive.
    Drop(Vec<usize>),
    /// A unit that ends early.
    Cut(usize, usize),
}

impl Damage {
    fn last(&self) -> usize {
        match self {
            Damage::Flip(unit) | Damage::Cut(unit, _) => *unit,
            Damage::Drop(units) => units.iter().copied().max().unwrap_or(0),
        }
    }
}

fn is_kind(unit: &[u8], wanted: &[u8]) -> bool {
    nal_units(unit).any(|nal| NalHeader::parse(nal).is_some_and(|h| wanted.contains(&h.nal_unit_type)))
}

/// Tries damage on one stream; gives how many times the IDR picture after it was compared.
fn try_stream(path: &Path, seed: u64, limit: usize) -> usize {
    let bytes = std::fs::read(path).expect("a stream of the set can be read");
    let units: Vec<&[u8]> = access_units(&bytes).into_iter().take(limit).collect();
    if units.len() < 2 {
        return 0;
    }
    let mut decoder = MotionDecoder::new();
    let whole: Vec<_> = units.iter().map(|unit| lines_of(&mut decoder, unit)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut motion = FrameMotion::default();
    let mut compared = 0;
    for number in 0..3 * TRIES {
        let unit = random.random_range(0..units.len());
        let damage = match number % 3 {
            0 => Damage::Flip(unit),
            1 => Damage::Drop((0..4).map(|_| random.random_range(0..units.len())).collect()),
            _ => Damage::Cut(unit, random.random_range(0..units[unit].len())),
        };
        let loses_sets = |unit: usize| is_kind(units[unit], &[7, 8, 15]);
        // Lost parameter sets are missed for longer than to the next IDR picture.
        let comparable = match &damage {
            Damage::Flip(unit) | Damage::Cut(unit, _) => !loses_sets(*unit),
            Damage::Drop(units) => !units.iter().any(|&unit| loses_sets(unit)),
        };
        let mut decoder = MotionDecoder::new();
        let mut sound_again = false;
        for (place, &unit) in units.iter().enumerate() {
            let mut damaged = unit.to_vec();
            match &damage {
                Damage::Flip(at) if *at == place => {
                    let bit = random.random_range(0..8 * unit.len());
                    damaged[bit / 8] ^= 1 << (bit % 8);
                }
                Damage::Drop(dropped) if dropped.contains(&place) => continue,
                Damage::Cut(at, length) if *at == place => damaged.truncate(*length),
                _ => {}
            }
            sound_again |= comparable && place > damage.last() && is_kind(unit, &[5]);
            if sound_again {
                assert_eq!(
                    lines_of(&mut decoder, &damaged),
                    whole[place],
                    "{}, access unit {place}",
                    path.display()
                );
                compared += 1;
            } else {
                survive(&mut decoder, &damaged, &mut motion);
            }
        }
        decoder.flush(&mut |_| {}).expect("nothing is open");
    }
    compared
}

#[test]
fn damaged_streams_never_panic_and_are_exact_from_the_next_idr_picture() {
    let all = std::env::var("COMOVE_DAMAGE").is_ok_and(|v| v == "all");
    let streams = streams();
    let chosen: Vec<(usize, &PathBuf)> = streams
        .iter()
        .enumerate()
        .filter(|(n, _)| all || n % SAMPLE == 0)
        .collect();
    let limit = if all { usize::MAX } else { UNITS };
    let next = AtomicUsize::new(0);
    let compared = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((seed, path)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    compared.fetch_add(try_stream(path, *seed as u64, limit), Ordering::Relaxed);
                }
            });
        }
    });
    let compared = compared.into_inner();
    println!(
        "{} streams, {compared} pictures compared after damage",
        chosen.len()
    );
    assert!(compared > 0);
}
