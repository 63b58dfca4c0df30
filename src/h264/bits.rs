//! Bit reader over an RBSP (clause 7.2, 9.1): a 64-bit window, refilled without branches.

use super::error::{Syntax, SyntaxError};

/// Zero bytes that must follow an RBSP in its buffer, so that eight bytes can be loaded at any position in it.
pub(crate) const PADDING: usize = 16;

/// Eight bytes at `at`, big-endian; zero beyond the buffer.
#[inline(always)]
pub(crate) fn load_be64(buffer: &[u8], at: usize) -> u64 {
    match buffer.get(at..).and_then(|b| b.first_chunk::<8>()) {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => 0,
    }
}

/// Four bytes at `at`, big-endian; zero beyond the buffer.
#[inline(always)]
pub(crate) fn load_be32(buffer: &[u8], at: usize) -> u32 {
    match buffer.get(at..).and_then(|b| b.first_chunk::<4>()) {
        Some(bytes) => u32::from_be_bytes(*bytes),
        None => 0,
    }
}

/// Reads `u(n)`, `ue(v)`, `se(v)` from an RBSP whose buffer is padded with [`PADDING`] zero bytes.
#[derive(Clone)]
pub(crate) struct BitReader<'a> {
    buffer: &'a [u8],
    /// Next bits, most significant first.
    window: u64,
    /// How many bits of `window` count.
    valid: u32,
    /// Next byte to load.
    next: usize,
    /// Bits up to and including the last 1 bit of the RBSP, less that bit: the data before rbsp_trailing_bits().
    data_bits: u64,
}

impl<'a> BitReader<'a> {
    /// `buffer` holds the RBSP followed by [`PADDING`] zero bytes.
    pub(crate) fn new(buffer: &'a [u8]) -> BitReader<'a> {
        let rbsp = buffer.len().saturating_sub(PADDING);
        let data_bits = match buffer[..rbsp].iter().rposition(|&b| b != 0) {
            Some(last) => (last as u64 + 1) * 8 - 1 - u64::from(buffer[last].trailing_zeros()),
            None => 0,
        };
        let mut reader = BitReader {
            buffer,
            window: 0,
            valid: 0,
            next: 0,
            data_bits,
        };
        reader.refill();
        reader
    }

    /// At least 56 bits are in the window afterwards.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {
        self.window |= load_be64(self.buffer, self.next) >> self.valid;
        self.next += ((63 - self.valid) >> 3) as usize;
        self.valid |= 56;
    }

    /// The next 64 bits, of which at least those since the last refill count.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        self.window
    }

    #[inline(always)]
    pub(crate) fn valid(&self) -> u32 {
        self.valid
    }

    /// Drops `n` bits that are in the window.
    #[inline(always)]
    pub(crate) fn consume(&mut self, n: u32) {
        debug_assert!(n <= self.valid && n < 64);
        self.window <<= n;
        self.valid -= n;
    }

    /// Bits read so far.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.valid)
    }

    /// True once more bits were read than the RBSP holds.
    #[inline(always)]
    pub(crate) fn overrun(&self) -> bool {
        self.position() > self.data_bits
    }

    /// more_rbsp_data().
    #[inline(always)]
    pub(crate) fn more_rbsp_data(&self) -> bool {
        self.position() < self.data_bits
    }

    /// The buffer and the byte position, for CABAC and I_PCM; the position must be byte-aligned.
    pub(crate) fn remaining_bytes(&self) -> (&'a [u8], usize) {
        debug_assert!(self.position().is_multiple_of(8));
        (self.buffer, (self.position() / 8) as usize)
    }

    /// Skips to the next byte boundary.
    pub(crate) fn align(&mut self) {
        let odd = (self.position() % 8) as u32;
        if odd != 0 {
            self.refill();
            self.consume(8 - odd);
        }
    }

    /// Skips any number of bits.
    pub(crate) fn skip(&mut self, bits: u64) {
        let to = self.position().saturating_add(bits);
        self.next = usize::try_from(to / 8)
            .unwrap_or(usize::MAX / 2)
            .min(self.buffer.len());
        self.window = 0;
        self.valid = 0;
        self.refill();
        self.consume((to % 8) as u32);
    }

    /// u(n), n <= 32.
    #[inline]
    pub(crate) fn u(&mut self, n: u32) -> u32 {
        debug_assert!(n <= 32);
        if n == 0 {
            return 0;
        }
        if self.valid < 32 {
            self.refill();
        }
        let value = (self.window >> (64 - n)) as u32;
        self.consume(n);
        value
    }

    /// u(1).
    #[inline]
    pub(crate) fn flag(&mut self) -> bool {
        self.u(1) != 0
    }

    /// ue(v), clause 9.1. Codes longer than 32 bits give `u32::MAX`.
    #[inline]
    pub(crate) fn ue(&mut self) -> u32 {
        self.refill();
        let zeros = self.window.leading_zeros();
        if zeros > 27 {
            return self.ue_long();
        }
        let length = 2 * zeros + 1;
        let value = (self.window >> (64 - length)) as u32 - 1;
        self.consume(length);
        value
    }

    #[cold]
    fn ue_long(&mut self) -> u32 {
        let mut zeros = 0;
        while zeros < 32 && !self.flag() {
            zeros += 1;
            if self.overrun() {
                return u32::MAX;
            }
        }
        if zeros >= 32 {
            return u32::MAX;
        }
        ((1u64 << zeros) - 1 + u64::from(self.u(zeros))) as u32
    }

    /// se(v), clause 9.1.1.
    #[inline]
    pub(crate) fn se(&mut self) -> i32 {
        let code = self.ue();
        let magnitude = (i64::from(code) + 1) >> 1;
        (if code & 1 == 1 { magnitude } else { -magnitude }) as i32
    }

    /// te(v), clause 9.1: `range` is the largest value.
    #[inline]
    pub(crate) fn te(&mut self, range: u32) -> u32 {
        if range > 1 { self.ue() } else { self.u(1) ^ 1 }
    }

    /// ue(v) that must not exceed `max`.
    pub(crate) fn ue_max(&mut self, element: &'static str, max: u32) -> Syntax<u32> {
        let value = self.ue();
        if self.overrun() {
            return Err(SyntaxError::Truncated { element });
        }
        if value > max {
            return Err(SyntaxError::invalid(element, value));
        }
        Ok(value)
    }

    /// se(v) that must lie in `min..=max`.
    pub(crate) fn se_in(&mut self, element: &'static str, min: i32, max: i32) -> Syntax<i32> {
        let value = self.se();
        if self.overrun() {
            return Err(SyntaxError::Truncated { element });
        }
        if value < min || value > max {
            return Err(SyntaxError::invalid(element, value));
        }
        Ok(value)
    }

    /// Fails when more was read than the RBSP holds.
    pub(crate) fn check(&self, element: &'static str) -> Syntax<()> {
        if self.overrun() {
            Err(SyntaxError::Truncated { element })
        } else {
            Ok(())
        }
    }
}
