//! Slice data (clause 7.3.4): the walk over a slice's macroblocks.

use super::direct::Colocated;
use super::dpb::{BOTTOM, FRAME, TOP};
use super::entropy::{Entropy, Residual};
use super::error::{Syntax, SyntaxError};
use super::motion::{DIRECT, FIELD, INTRA, Mv, PictureMotion, SHAPE, SKIP};
use super::motion_grid::Grid;
use super::neighbours::{Edge, Neighbours, edge_flags};
use super::pps::Pps;
use super::ref_lists::{MISSING, RefLists};
use super::slice_header::{SliceHeader, SliceType};
use super::sps::Sps;

/// What a slice's macroblocks are decoded with; the same for all of them.
pub(crate) struct SliceContext<'a> {
    pub(crate) sps: &'a Sps,
    pub(crate) pps: &'a Pps,
    pub(crate) sh: &'a SliceHeader,
    pub(crate) lists: &'a RefLists,
    /// MbToSliceGroupMap (of pairs in MBAFF frames); empty without slice groups.
    pub(crate) group_map: &'a [u8],
    /// [`TOP`], [`BOTTOM`] or [`FRAME`].
    pub(crate) structure: u8,
    /// TopFieldOrderCnt and BottomFieldOrderCnt of the current picture.
    pub(crate) poc: [i32; 2],
    pub(crate) colocated: Colocated<'a>,
}

/// Memory that slices reuse.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Bottom edges of the macroblocks above, by column; two a column (top and bottom of the pair) in MBAFF frames.
    pub(crate) top: Vec<Edge>,
}

impl Scratch {
    /// Heap memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.top.capacity() * size_of::<Edge>()
    }
}

/// Decodes one slice. `E` is the entropy decoder, `MBAFF` is MbaffFrameFlag.
pub(crate) struct SliceDecoder<'a, E: Entropy, const MBAFF: bool> {
    pub(crate) e: E,
    pub(crate) c: &'a SliceContext<'a>,
    pub(crate) pic: &'a mut PictureMotion,
    pub(crate) top: &'a mut [Edge],
    /// Right edges of the macroblock (or pair) to the left.
    pub(crate) left: [Edge; 2],
    /// Right edges of the current pair.
    pub(crate) left_next: [Edge; 2],
    pub(crate) b_slice: bool,
    pub(crate) width: usize,
    /// Macroblocks in the picture.
    pub(crate) size: usize,
    /// CurrMbAddr.
    pub(crate) mb_addr: usize,
    /// First address of the slice.
    pub(crate) first: usize,
    pub(crate) mb_x: usize,
    pub(crate) mb_y: usize,
    /// Position in raster order: `mb_y * width + mb_x`.
    pub(crate) pos: usize,
    /// The current macroblock is a field macroblock of an MBAFF frame.
    pub(crate) field: bool,
    pub(crate) n: Neighbours,
    pub(crate) grid: [Grid; 2],
    pub(crate) residual: Residual,
    /// mb_qp_delta of the macroblock before was not 0.
    pub(crate) qp_delta_nonzero: bool,
    /// Result of the direct derivation: vectors of 4x4 blocks, refIdx of 8x8 blocks.
    pub(crate) direct_mv: [[Mv; 16]; 2],
    pub(crate) direct_ref: [[i8; 4]; 2],
    /// Spatial prediction gave zero vectors, whatever the colocated blocks are.
    pub(crate) direct_is_zero: bool,
    pub(crate) decoded: u32,
}

impl<'a, E: Entropy, const MBAFF: bool> SliceDecoder<'a, E, MBAFF> {
    pub(crate) fn new(
        e: E,
        c: &'a SliceContext<'a>,
        pic: &'a mut PictureMotion,
        scratch: &'a mut Scratch,
    ) -> SliceDecoder<'a, E, MBAFF> {
        let width = pic.width_mbs;
        let size = pic.flags.len();
        let columns = if MBAFF { 2 * width } else { width };
        if scratch.top.len() < columns {
            scratch.top.resize(columns, Edge::UNAVAILABLE);
        }
        let mut residual = Residual::new();
        residual.chroma_array_type = c.sps.chroma_array_type();
        let first = c.sh.first_mb_in_slice as usize * if MBAFF { 2 } else { 1 };
        SliceDecoder {
            e,
            c,
            pic,
            top: &mut scratch.top[..columns],
            left: [Edge::UNAVAILABLE; 2],
            left_next: [Edge::UNAVAILABLE; 2],
            b_slice: c.sh.slice_type == SliceType::B,
            width,
            size,
            mb_addr: first,
            first,
            mb_x: 0,
            mb_y: 0,
            pos: 0,
            field: false,
            n: Neighbours::default(),
            grid: [Grid::new(), Grid::new()],
            residual,
            qp_delta_nonzero: false,
            direct_mv: [[[0; 2]; 16]; 2],
            direct_ref: [[-1; 4]; 2],
            direct_is_zero: false,
            decoded: 0,
        }
    }

    /// slice_data().
    pub(crate) fn run(&mut self) -> Syntax<()> {
        if self.mb_addr >= self.size {
            return Err(SyntaxError::invalid(
                "first_mb_in_slice",
                self.c.sh.first_mb_in_slice,
            ));
        }
        self.place();
        if E::CABAC {
            self.run_cabac()
        } else {
            self.run_cavlc()
        }
    }

    fn run_cavlc(&mut self) -> Syntax<()> {
        let skips = !self.c.sh.slice_type.is_intra();
        // In MBAFF frames: the top macroblock of the pair was skipped.
        let mut previous_skipped = false;
        loop {
            if skips {
                let run = self.e.mb_skip_run();
                if run as usize > self.size - self.mb_addr {
                    return Err(SyntaxError::invalid("mb_skip_run", run));
                }
                for i in 0..run {
                    if MBAFF && self.mb_addr.is_multiple_of(2) {
                        // The top macroblock's field mode is that of the bottom one, if that is not skipped.
                        let bottom_follows = i + 1 == run && self.e.more_rbsp_data();
                        self.field = if bottom_follows {
                            self.e.peek_flag()
                        } else {
                            self.inferred_field()
                        };
                    }
                    self.locate();
                    self.macroblock_skipped();
                    previous_skipped = true;
                    if !self.advance() {
                        return if i + 1 == run {
                            self.check_end()
                        } else {
                            Err(past_the_end())
                        };
                    }
                }
                if run > 0 && !self.e.more_rbsp_data() {
                    return self.check_end();
                }
                previous_skipped = run > 0 && previous_skipped;
            }
            if MBAFF && (self.mb_addr.is_multiple_of(2) || previous_skipped) {
                self.field = self.e.mb_field_decoding_flag(0);
            }
            self.locate();
            self.macroblock_layer()?;
            previous_skipped = false;
            if self.e.overrun() {
                return Err(SyntaxError::Truncated {
                    element: "slice_data",
                });
            }
            let more = self.e.more_rbsp_data();
            if !self.advance() {
                return if more { Err(past_the_end()) } else { Ok(()) };
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn check_end(&self) -> Syntax<()> {
        if self.e.overrun() {
            Err(SyntaxError::Truncated {
                element: "mb_skip_run",
            })
        } else {
            Ok(())
        }
    }

    fn run_cabac(&mut self) -> Syntax<()> {
        let skips = !self.c.sh.slice_type.is_intra();
        loop {
            if MBAFF {
                self.pair_cabac(skips)?;
            } else {
                self.locate();
                let skipped = skips && {
                    let inc = self.skip_inc();
                    self.e.mb_skip_flag(self.b_slice, inc)
                };
                if skipped {
                    self.macroblock_skipped();
                } else {
                    self.macroblock_layer()?;
                }
            }
            if self.e.overrun() {
                return Err(SyntaxError::Truncated {
                    element: "slice_data",
                });
            }
            let end = self.e.end_of_slice_flag();
            if !self.advance() {
                return if end { Ok(()) } else { Err(past_the_end()) };
            }
            if end {
                return Ok(());
            }
        }
    }

    /// Both macroblocks of a pair; leaves the bottom one current.
    fn pair_cabac(&mut self, skips: bool) -> Syntax<()> {
        self.field = self.inferred_field();
        let mut top_skipped = false;
        let mut bottom_skipped = false;
        if skips {
            self.locate();
            let inc = self.skip_inc();
            top_skipped = self.e.mb_skip_flag(self.b_slice, inc);
        }
        if top_skipped {
            // The bottom macroblock's flag comes first: the pair's field mode depends on it.
            self.set_bottom(true);
            self.locate();
            // In a frame pair, the macroblock above the bottom one is the skipped top one.
            let inc = if self.field {
                self.skip_inc()
            } else {
                usize::from(!self.n.a_flags(self) & edge_flags::SKIP != 0)
            };
            bottom_skipped = self.e.mb_skip_flag(self.b_slice, inc);
            self.set_bottom(false);
        }
        if !top_skipped || !bottom_skipped {
            let inc = self.field_inc();
            self.field = self.e.mb_field_decoding_flag(inc);
        }
        self.locate();
        if top_skipped {
            self.macroblock_skipped();
        } else {
            self.macroblock_layer()?;
        }
        if self.e.overrun() {
            return Err(SyntaxError::Truncated {
                element: "slice_data",
            });
        }
        self.advance();
        if skips && !top_skipped {
            self.locate();
            let inc = self.skip_inc();
            bottom_skipped = self.e.mb_skip_flag(self.b_slice, inc);
        }
        self.locate();
        if bottom_skipped {
            self.macroblock_skipped();
            return Ok(());
        }
        self.macroblock_layer()
    }

    /// Moves between the macroblocks of a pair without ending either.
    fn set_bottom(&mut self, bottom: bool) {
        self.mb_addr = self.mb_addr & !1 | usize::from(bottom);
        self.place();
    }

    fn skip_inc(&self) -> usize {
        usize::from(!self.n.a_flags(self) & edge_flags::SKIP != 0)
            + usize::from(!self.n.b_flags(self) & edge_flags::SKIP != 0)
    }

    /// Position of CurrMbAddr (6.4.1).
    fn place(&mut self) {
        if MBAFF {
            let pair = self.mb_addr / 2;
            self.mb_x = pair % self.width;
            self.mb_y = pair / self.width * 2 + self.mb_addr % 2;
        } else {
            self.mb_x = self.mb_addr % self.width;
            self.mb_y = self.mb_addr / self.width;
        }
        self.pos = self.mb_y * self.width + self.mb_x;
    }

    /// NextMbAddress() (8.2.2); false at the end of the slice group.
    #[inline]
    fn advance(&mut self) -> bool {
        self.decoded += 1;
        if MBAFF {
            if self.mb_addr.is_multiple_of(2) {
                self.mb_addr += 1;
                self.mb_y += 1;
                self.pos += self.width;
                return self.mb_addr < self.size;
            }
            self.left = self.left_next;
        }
        if !self.c.group_map.is_empty() {
            return self.advance_in_group();
        }
        self.mb_addr += 1;
        if MBAFF {
            self.place();
        } else {
            self.pos += 1;
            self.mb_x += 1;
            if self.mb_x == self.width {
                self.mb_x = 0;
                self.mb_y += 1;
            }
        }
        self.mb_addr < self.size
    }

    fn advance_in_group(&mut self) -> bool {
        let map = self.c.group_map;
        let unit = if MBAFF { self.mb_addr / 2 } else { self.mb_addr };
        let Some(&group) = map.get(unit) else {
            return false;
        };
        match map[unit + 1..].iter().position(|&g| g == group) {
            Some(gap) => {
                let next = unit + 1 + gap;
                self.mb_addr = if MBAFF { 2 * next } else { next };
                self.place();
                self.mb_addr < self.size
            }
            None => false,
        }
    }

    /// Writes a macroblock's flags.
    #[inline]
    pub(crate) fn set_flags(&mut self, flags: u8) {
        debug_assert!(flags & !(INTRA | SKIP | SHAPE | DIRECT) == 0);
        self.pic.flags[self.pos] = flags | if MBAFF && self.field { FIELD } else { 0 };
    }

    /// The picture that refIdx of a list refers to, as a code for [`MbRefs`](super::motion::MbRefs).
    #[inline]
    pub(crate) fn ref_pic(&self, list: usize, ref_idx: i8) -> u8 {
        if ref_idx < 0 {
            return MISSING;
        }
        let entries = &self.c.lists.entries[list];
        if MBAFF && self.field {
            // Fields of a frame: first that of the macroblock's parity (8.4.2.1).
            let code = entries[(ref_idx >> 1) as usize & 31].code;
            if code == MISSING {
                return MISSING;
            }
            let same = ref_idx & 1 == 0;
            let parity = if (self.mb_y & 1 == 0) == same { TOP } else { BOTTOM };
            return code & !FRAME | parity;
        }
        entries[ref_idx as usize & 31].code
    }
}

#[cold]
fn past_the_end() -> SyntaxError {
    SyntaxError::invalid("CurrMbAddr", -1)
}
