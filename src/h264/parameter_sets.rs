//! NAL units beside slices: parameter sets and SEI messages.

use std::sync::Arc;

use super::bits::{BitReader, PADDING};
use super::decoder::{MotionDecoder, Outcome};
use super::error::NalKind;
use super::nal::unescape;
use super::pps::Pps;
use super::sps::Sps;

impl MotionDecoder {
    pub(super) fn sps_nal(&mut self, nal: &[u8], outcome: &mut Outcome) {
        unescape(nal, &mut self.rbsp);
        let mut r = BitReader::new(&self.rbsp);
        match Sps::parse(&mut r) {
            Ok(sps) => {
                let id = sps.seq_parameter_set_id as usize;
                self.sps.resize(32, None);
                if self.sps[id].as_deref() != Some(&sps) {
                    self.sps[id] = Some(Arc::new(sps));
                }
            }
            Err(error) => outcome.fail(error.at(NalKind::Sps, r.position())),
        }
    }

    pub(super) fn pps_nal(&mut self, nal: &[u8], outcome: &mut Outcome) {
        unescape(nal, &mut self.rbsp);
        let mut r = BitReader::new(&self.rbsp);
        match Pps::parse(&mut r) {
            Ok(pps) => {
                let id = pps.pic_parameter_set_id as usize;
                self.pps.resize(256, None);
                if self.pps[id].as_deref() != Some(&pps) {
                    self.pps[id] = Some(Arc::new(pps));
                }
            }
            Err(error) => outcome.fail(error.at(NalKind::Pps, r.position())),
        }
    }

    /// Looks for a recovery point SEI message (D.1.8).
    pub(super) fn sei_nal(&mut self, nal: &[u8]) {
        unescape(nal, &mut self.rbsp);
        let end = self.rbsp.len() - PADDING;
        let mut at = 0;
        let number = |at: &mut usize| {
            let mut value = 0usize;
            while *at < end {
                let byte = self.rbsp[*at];
                *at += 1;
                value += usize::from(byte);
                if byte != 255 {
                    break;
                }
            }
            value
        };
        while at + 2 < end {
            let payload_type = number(&mut at);
            let size = number(&mut at);
            if payload_type == 6 && at < end {
                let mut r = BitReader::new(&self.rbsp[at..]);
                self.recovery_point = Some(r.ue());
                return;
            }
            at += size;
        }
    }
}
