//! Which entropy coder the pictures use: the first bits of the picture parameter sets say it. Pure.

use crate::h264::annexb::nal_units;

/// Entropy coders seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntropyCoders {
    cavlc: bool,
    cabac: bool,
}

/// nal_unit_type of a picture parameter set.
const PPS: u8 = 8;

impl EntropyCoders {
    /// Looks at an access unit's parameter sets.
    pub fn add_unit(&mut self, access_unit: &[u8]) {
        for nal in nal_units(access_unit) {
            if let [header, payload @ ..] = nal
                && header & 31 == PPS
                && let Some(cabac) = entropy_coding_mode_flag(payload)
            {
                self.cabac |= cabac;
                self.cavlc |= !cabac;
            }
        }
    }

    /// In words.
    pub fn name(self) -> Option<&'static str> {
        match (self.cabac, self.cavlc) {
            (true, false) => Some("CABAC"),
            (false, true) => Some("CAVLC"),
            (true, true) => Some("CABAC+CAVLC"),
            (false, false) => None,
        }
    }
}

/// The third element of pic_parameter_set_rbsp() (clause 7.3.2.2), behind two ue(v). Both identifiers are small, so no
/// emulation prevention byte can come before it.
fn entropy_coding_mode_flag(payload: &[u8]) -> Option<bool> {
    let mut bits = payload
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    for _identifier in 0..2 {
        let zeros = bits.by_ref().take_while(|&bit| !bit).count();
        for _ in 0..zeros {
            bits.next()?;
        }
    }
    bits.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_behind_both_identifiers() {
        // ue 0, ue 0, flag.
        assert_eq!(entropy_coding_mode_flag(&[0b1110_0000]), Some(true));
        assert_eq!(entropy_coding_mode_flag(&[0b1100_0000]), Some(false));
        // ue 3 = 00100, ue 1 = 010, flag 1.
        assert_eq!(entropy_coding_mode_flag(&[0b0010_0010, 0b1000_0000]), Some(true));
        assert_eq!(entropy_coding_mode_flag(&[0b0010_0010]), None);
        assert_eq!(entropy_coding_mode_flag(&[]), None);
    }

    #[test]
    fn streams_may_use_both() {
        let mut coders = EntropyCoders::default();
        assert_eq!(coders.name(), None);
        coders.add_unit(&[0, 0, 1, 0x68, 0xe0, 0, 0, 1, 0x65, 0x88]);
        assert_eq!(coders.name(), Some("CABAC"));
        coders.add_unit(&[0, 0, 0, 1, 0x68, 0xc8, 0x80]);
        assert_eq!(coders.name(), Some("CABAC+CAVLC"));
    }
}
