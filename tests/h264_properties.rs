//! What holds for any bytes: cutting changes nothing, damage never panics, and after damage the next IDR is exact.

mod golden;

use std::path::Path;

use comove::h264::annexb::{AccessUnitSplitter, access_units, nal_units};
use comove::h264::{FrameMotion, MotionDecoder};
use proptest::prelude::*;

const STREAMS: [&str; 5] = [
    "r03_b_frames",
    "r09_paff_mbaff",
    "r29_mbaff_slices6",
    "r34_many_idr_longterm",
    "r12_gaps_p",
];

fn stream(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{name}.264"));
    std::fs::read(path).expect("the vector can be read")
}

/// Decodes everything, uses every accessor, and checks the decoder's state after each step.
fn survive(bytes: &[u8]) {
    let mut decoder = MotionDecoder::new();
    let mut motion = FrameMotion::default();
    for unit in access_units(bytes) {
        let result = decoder.decode(unit, &mut |field| {
            field.frame_motion(&mut motion);
            assert_eq!(motion.mv.len(), motion.width4 * motion.height4);
            std::hint::black_box(field.refers_to());
            std::hint::black_box(golden::line(0, field));
        });
        decoder.check_invariants();
        std::hint::black_box(result.map_err(|error| error.to_string()).is_ok());
    }
    decoder.flush(&mut |_| {}).expect("nothing is open");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn access_units_do_not_depend_on_cuts(name in prop::sample::select(&STREAMS), sizes in prop::collection::vec(1usize..900, 1..40)) {
        let bytes = stream(name);
        let mut splitter = AccessUnitSplitter::new();
        let mut units: Vec<Vec<u8>> = Vec::new();
        let mut rest = bytes.as_slice();
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = sizes.next().map_or(1, |&s| s).min(rest.len());
            splitter.push(&rest[..size], &mut |unit| units.push(unit.to_vec()));
            rest = &rest[size..];
        }
        splitter.finish(&mut |unit| units.push(unit.to_vec()));
        let whole: Vec<Vec<u8>> = access_units(&bytes).into_iter().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(units, whole);
    }

    #[test]
    fn flipped_bits_never_panic(name in prop::sample::select(&STREAMS), flips in prop::collection::vec(any::<u32>(), 1..30)) {
        let mut bytes = stream(name);
        for flip in flips {
            let bit = flip as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        survive(&bytes);
    }

    #[test]
    fn dropped_access_units_never_panic(name in prop::sample::select(&STREAMS), kept in prop::collection::vec(any::<bool>(), 20..90)) {
        let bytes = stream(name);
        let mut kept = kept.iter().cycle();
        let left: Vec<u8> = access_units(&bytes).into_iter().filter(|_| kept.next() == Some(&true)).flatten().copied().collect();
        survive(&left);
    }

    #[test]
    fn any_bytes_are_a_legal_input(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        survive(&bytes);
        let mut framed = vec![0, 0, 1, 0x67];
        framed.extend_from_slice(&bytes);
        survive(&framed);
    }

    #[test]
    fn after_damage_the_next_idr_is_exact(at in any::<u32>(), value in any::<u8>()) {
        let bytes = stream("r34_many_idr_longterm");
        let units = access_units(&bytes);
        let is_idr = |unit: &[u8]| nal_units(unit).any(|nal| nal[0] & 31 == 5);
        let (whole, _) = golden::lines(units.iter().copied());
        prop_assert_eq!(whole.len(), units.len());
        // Damage one access unit after its first slice's header bytes.
        let damaged = 1 + at as usize % (units.len() - 1);
        let mut unit = units[damaged].to_vec();
        let place = (8 + at as usize / 7 % unit.len()).min(unit.len() - 1);
        unit[place] = unit[place].wrapping_add(value | 1);
        let mut decoder = MotionDecoder::new();
        let mut recovered = false;
        for (number, &original) in units.iter().enumerate() {
            let bytes = if number == damaged { &unit[..] } else { original };
            recovered |= number > damaged && is_idr(original);
            let mut line = None;
            let result = decoder.decode(bytes, &mut |field| line = Some(golden::line(number, field)));
            if recovered || number < damaged {
                prop_assert!(result.is_ok());
                prop_assert_eq!(&line, &whole[number]);
            }
        }
    }
}
