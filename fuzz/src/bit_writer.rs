//! Writes syntax elements (clause 7.2, 9.1) and NAL units.

/// Bits of an RBSP.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    bits: usize,
}

impl BitWriter {
    /// u(n).
    pub fn u(&mut self, n: u32, value: u32) -> &mut BitWriter {
        for bit in (0..n).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if value >> bit & 1 != 0 {
                *self.bytes.last_mut().expect("a byte was pushed for this bit") |= 0x80 >> (self.bits % 8);
            }
            self.bits += 1;
        }
        self
    }

    /// ue(v).
    pub fn ue(&mut self, value: u32) -> &mut BitWriter {
        let code = value + 1;
        let length = 32 - code.leading_zeros();
        self.u(length - 1, 0).u(length, code)
    }

    /// se(v).
    pub fn se(&mut self, value: i32) -> &mut BitWriter {
        self.ue(if value > 0 {
            2 * value as u32 - 1
        } else {
            2 * value.unsigned_abs()
        })
    }

    /// The next bit is a byte's first.
    pub fn is_aligned(&self) -> bool {
        self.bits.is_multiple_of(8)
    }

    /// Ones up to the next byte: cabac_alignment_one_bit.
    pub fn align(&mut self) -> &mut BitWriter {
        while !self.bits.is_multiple_of(8) {
            self.u(1, 1);
        }
        self
    }

    /// Bytes from here on, at any bit.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut BitWriter {
        for &byte in bytes {
            self.u(8, u32::from(byte));
        }
        self
    }

    /// Ends with rbsp_trailing_bits() and appends the NAL unit to a byte stream.
    pub fn nal(&mut self, nal_ref_idc: u8, nal_unit_type: u8, stream: &mut Vec<u8>) {
        self.u(1, 1);
        append_nal(nal_ref_idc << 5 | nal_unit_type, &self.bytes, stream);
    }
}

/// Appends a start code and a NAL unit with emulation prevention.
pub fn append_nal(header: u8, rbsp: &[u8], stream: &mut Vec<u8>) {
    stream.extend([0, 0, 1, header]);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            stream.push(3);
            zeros = 0;
        }
        stream.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
}
