use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

/// The sequence and picture parameter sets of a segment, so that every key unit can carry its own and be decoded without
/// what came before. h264parse repeats them ahead of IDR pictures only, not ahead of other I pictures.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    /// NAL units without start code, by (type, id).
    sets: BTreeMap<(u8, u32), Bytes>,
    replaced: bool,
}

/// nal_unit_type (H.264, table 7-1).
const SPS: u8 = 7;
const PPS: u8 = 8;
const SPS_EXTENSION: u8 = 13;

impl ParameterSets {
    /// Whether a key unit brought another set in the place of a known one since this was asked last: the encoder was set up anew.
    /// A picture parameter set that changes in mid-GOP is none: some encoders do that all the time.
    pub fn take_replaced(&mut self) -> bool {
        std::mem::take(&mut self.replaced)
    }

    /// Takes note of the sets in a unit; gives a key unit back with those that it lacks in front.
    pub fn complete(&mut self, unit: Bytes, key_unit: bool) -> Bytes {
        let mut own = Vec::new();
        for (begin, end) in leading_nal_units(&unit) {
            let kind = unit[begin] & 0x1f;
            if let Some(id) = set_id(kind, &unit[begin..end]) {
                own.push((kind, id));
                let known = self
                    .sets
                    .get(&(kind, id))
                    .is_some_and(|set| set == &unit[begin..end]);
                if !known {
                    let set = Bytes::copy_from_slice(&unit[begin..end]);
                    let before = self.sets.insert((kind, id), set);
                    self.replaced |= key_unit && before.is_some();
                }
            }
        }
        if !key_unit || own.iter().any(|(kind, _)| *kind == SPS) && own.iter().any(|(kind, _)| *kind == PPS) {
            return unit;
        }
        let lacking: Vec<_> = self
            .sets
            .iter()
            .filter(|(key, _)| !own.contains(key))
            .map(|(_, set)| set)
            .collect();
        if lacking.is_empty() {
            return unit;
        }
        // An access unit delimiter must stay first (7.4.1.2.3).
        let delimiter_end = match leading_nal_units(&unit).next() {
            Some((begin, end)) if unit[begin] & 0x1f == 9 => end,
            _ => 0,
        };
        let mut whole =
            BytesMut::with_capacity(unit.len() + lacking.iter().map(|set| set.len() + 4).sum::<usize>());
        whole.extend_from_slice(&unit[..delimiter_end]);
        for set in lacking {
            whole.extend_from_slice(&[0, 0, 0, 1]);
            whole.extend_from_slice(set);
        }
        whole.extend_from_slice(&unit[delimiter_end..]);
        whole.freeze()
    }
}

/// Begin and end of the NAL units ahead of the first slice.
fn leading_nal_units(unit: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut begin = next_start_code(unit, 0).map(|code| code + 3);
    std::iter::from_fn(move || {
        let from = begin.filter(|&from| from < unit.len() && !matches!(unit[from] & 0x1f, 1..=5))?;
        let next = next_start_code(unit, from);
        begin = next.map(|code| code + 3);
        let mut end = next.unwrap_or(unit.len());
        // Zeros ahead of a start code are not part of the NAL unit (B.1).
        while end > from + 1 && unit[end - 1] == 0 {
            end -= 1;
        }
        Some((from, end))
    })
}

fn next_start_code(unit: &[u8], from: usize) -> Option<usize> {
    unit[from..]
        .windows(3)
        .position(|bytes| bytes == [0, 0, 1])
        .map(|at| from + at)
}

/// seq_parameter_set_id or pic_parameter_set_id; none for NAL units that are no parameter set.
fn set_id(kind: u8, nal_unit: &[u8]) -> Option<u32> {
    // Ranges as in 7.4.2.1.1 and 7.4.2.2: they also bound the memory.
    let (bytes_ahead, largest) = match kind {
        // Behind profile_idc, constraint flags and level_idc (7.3.2.1.1).
        SPS => (4, 31),
        SPS_EXTENSION => (1, 31),
        PPS => (1, 255),
        _ => return None,
    };
    exp_golomb(nal_unit.get(bytes_ahead..)?).filter(|id| *id <= largest)
}

/// The first ue(v) (9.1). Ids are small: no emulation prevention byte can stand within.
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let bit = |at: usize| Some(u32::from(bytes.get(at / 8)? >> (7 - at % 8) & 1));
    let mut zeros = 0;
    while bit(zeros)? == 0 {
        zeros += 1;
        if zeros > 16 {
            return None;
        }
    }
    (zeros..=2 * zeros)
        .try_fold(0, |value, at| Some(value << 1 | bit(at)?))
        .map(|value| value - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS_0: [u8; 6] = [0x67, 77, 0, 30, 0b1010_0000, 1];
    const PPS_0: [u8; 3] = [0x68, 0b1100_0000, 2];
    const PPS_1: [u8; 3] = [0x68, 0b0101_1000, 2];

    fn unit(nal_units: &[&[u8]]) -> Bytes {
        nal_units
            .iter()
            .flat_map(|nal_unit| [&[0, 0, 1], *nal_unit].concat())
            .collect()
    }

    fn nal_types(unit: &Bytes) -> Vec<u8> {
        let codes = unit.windows(4).filter(|bytes| bytes[..3] == [0, 0, 1]);
        codes.map(|bytes| bytes[3] & 0x1f).collect()
    }

    #[test]
    fn a_key_unit_without_parameter_sets_gets_the_current_ones_behind_its_delimiter() {
        let mut sets = ParameterSets::default();
        let first = unit(&[&SPS_0, &PPS_0, &PPS_1, &[0x65, 0x88]]);
        assert_eq!(sets.complete(first.clone(), true), first);
        let inter = unit(&[&[0x41, 0x9a]]);
        assert_eq!(sets.complete(inter.clone(), false), inter);
        let recovery = unit(&[&[0x09, 0xf0], &[0x06, 6, 1, 0xc4], &[0x41, 0x88]]);
        let whole = sets.complete(recovery, true);
        assert_eq!(nal_types(&whole), [9, 7, 8, 8, 6, 1]);
    }

    #[test]
    fn a_set_sent_again_with_other_content_replaces_the_old_one() {
        let mut sets = ParameterSets::default();
        let new_pps: [u8; 3] = [0x68, 0b1111_0000, 9];
        sets.complete(unit(&[&SPS_0, &PPS_0, &[0x65, 0x88]]), true);
        sets.complete(unit(&[&new_pps, &[0x41, 0x9a]]), false);
        let whole = sets.complete(unit(&[&[0x41, 0x88]]), true);
        assert!(
            whole.windows(3).any(|bytes| bytes == new_pps) && !whole.windows(3).any(|bytes| bytes == PPS_0)
        );
    }

    #[test]
    fn an_encoder_that_is_set_up_anew_is_noticed_and_one_that_repeats_itself_or_adds_sets_is_not() {
        let mut sets = ParameterSets::default();
        let mut new_sps = SPS_0;
        new_sps[5] = 3;
        let mut comes = |nal_units: &[&[u8]], key_unit: bool| {
            sets.complete(unit(nal_units), key_unit);
            sets.take_replaced()
        };
        assert!(!comes(&[&SPS_0, &PPS_0, &[0x65, 0x88]], true));
        assert!(!comes(&[&SPS_0, &PPS_0, &[0x65, 0x88]], true), "the same again");
        assert!(!comes(&[&PPS_1, &[0x65, 0x88]], true), "one more");
        assert!(!comes(&[&[0x68, 0b1111_0000, 9], &[0x41, 0x9a]], false), "in mid-GOP");
        assert!(comes(&[&new_sps, &PPS_0, &[0x65, 0x88]], true));
        assert!(!comes(&[&new_sps, &PPS_0, &[0x65, 0x88]], true), "said once");
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut sets = ParameterSets::default();
        for junk in [
            &[][..],
            &[0, 0, 1],
            &[0, 0, 1, 7],
            &[0, 0, 1, 7, 0, 0, 0],
            &[0, 0, 0, 0, 0, 1, 8, 0, 0, 0],
        ] {
            assert_eq!(
                sets.complete(Bytes::copy_from_slice(junk), true).len(),
                junk.len()
            );
        }
    }
}
