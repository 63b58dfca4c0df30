//! Decoding process for reference picture lists construction (clause 8.2.4).

use super::dpb::{BOTTOM, Dpb, FRAME, RefFrame, TOP, split_pic_num};
use super::slice_header::{ListModification, SliceHeader, SliceType};

/// Most entries of a list: 32 fields.
pub(crate) const MAX_LIST: usize = 32;
/// [`RefEntry::code`] of an entry that is "no reference picture".
pub(crate) const MISSING: u8 = 0xff;

/// One entry of RefPicList0 or RefPicList1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefEntry {
    /// Place of the frame in the DPB times four, plus [`TOP`], [`BOTTOM`] or [`FRAME`]; or [`MISSING`].
    pub(crate) code: u8,
    /// "used for long-term reference".
    pub(crate) long_term: bool,
}

impl RefEntry {
    pub(crate) const NONE: RefEntry = RefEntry {
        code: MISSING,
        long_term: false,
    };
}

/// RefPicList0 and RefPicList1 of a slice.
#[derive(Debug, Clone)]
pub(crate) struct RefLists {
    pub(crate) entries: [[RefEntry; MAX_LIST]; 2],
    pub(crate) len: [usize; 2],
}

impl Default for RefLists {
    fn default() -> Self {
        RefLists {
            entries: [[RefEntry::NONE; MAX_LIST]; 2],
            len: [0; 2],
        }
    }
}

/// What list construction needs to know of the current picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListContext {
    pub(crate) structure: u8,
    pub(crate) frame_num: u32,
    pub(crate) max_frame_num: u32,
    /// PicOrderCnt( CurrPic ).
    pub(crate) poc: i32,
    /// pic_order_cnt_type is 0: inferred frames have no order count.
    pub(crate) poc_type_0: bool,
}

/// A list under construction.
#[derive(Default)]
struct List {
    entries: Vec<RefEntry>,
}

/// Scratch that list construction reuses.
#[derive(Default)]
pub(crate) struct ListBuilder {
    initial: [List; 2],
    frames: [Vec<usize>; 2],
    long_frames: Vec<usize>,
}

impl ListBuilder {
    /// Builds the lists of one slice.
    pub(crate) fn build(&mut self, dpb: &Dpb, c: &ListContext, sh: &SliceHeader, lists: &mut RefLists) {
        let wanted = sh.num_ref_idx_active;
        lists.len = [wanted[0] as usize, wanted[1] as usize];
        if sh.slice_type.is_intra() {
            return;
        }
        match (sh.slice_type == SliceType::B, c.structure == FRAME) {
            (false, true) => self.init_p_frame(dpb, c),
            (false, false) => self.init_p_field(dpb, c),
            (true, true) => self.init_b_frame(dpb, c),
            (true, false) => self.init_b_field(dpb, c),
        }
        if sh.slice_type == SliceType::B {
            let [list0, list1] = &mut self.initial;
            if list1.entries.len() > 1 && list0.entries == list1.entries {
                list1.entries.swap(0, 1);
            }
        }
        for list in 0..2 {
            let initial = &self.initial[list].entries;
            for (i, entry) in lists.entries[list].iter_mut().enumerate() {
                *entry = if i < lists.len[list] {
                    initial.get(i).copied()
                } else {
                    None
                }
                .unwrap_or(RefEntry::NONE);
            }
            modify(
                dpb,
                c,
                &sh.modifications[list],
                &mut lists.entries[list],
                lists.len[list],
            );
        }
    }

    fn clear(&mut self) {
        for list in 0..2 {
            self.initial[list].entries.clear();
            self.frames[list].clear();
        }
        self.long_frames.clear();
    }

    /// Clause 8.2.4.2.1.
    fn init_p_frame(&mut self, dpb: &Dpb, c: &ListContext) {
        self.clear();
        let short = &mut self.frames[0];
        short.extend((0..dpb.frames.len()).filter(|&i| dpb.frames[i].short == FRAME));
        short.sort_by_key(|&i| -dpb.frames[i].frame_num_wrap(c.frame_num, c.max_frame_num));
        self.initial[0]
            .entries
            .extend(short.iter().map(|&i| frame_entry(i, false)));
        self.append_long_frames(dpb, 0);
    }

    fn append_long_frames(&mut self, dpb: &Dpb, list: usize) {
        let long = &mut self.long_frames;
        long.clear();
        long.extend((0..dpb.frames.len()).filter(|&i| dpb.frames[i].long == FRAME));
        long.sort_by_key(|&i| dpb.frames[i].long_term_frame_idx);
        self.initial[list]
            .entries
            .extend(long.iter().map(|&i| frame_entry(i, true)));
    }

    /// Clause 8.2.4.2.2.
    fn init_p_field(&mut self, dpb: &Dpb, c: &ListContext) {
        self.clear();
        let short = &mut self.frames[0];
        short.extend((0..dpb.frames.len()).filter(|&i| dpb.frames[i].short != 0));
        short.sort_by_key(|&i| -dpb.frames[i].frame_num_wrap(c.frame_num, c.max_frame_num));
        alternate(
            dpb,
            c.structure,
            &self.frames[0],
            false,
            &mut self.initial[0].entries,
        );
        self.append_long_fields(dpb, c, 0);
    }

    fn append_long_fields(&mut self, dpb: &Dpb, c: &ListContext, list: usize) {
        let long = &mut self.long_frames;
        long.clear();
        long.extend((0..dpb.frames.len()).filter(|&i| dpb.frames[i].long != 0));
        long.sort_by_key(|&i| dpb.frames[i].long_term_frame_idx);
        alternate(dpb, c.structure, long, true, &mut self.initial[list].entries);
    }

    /// Clause 8.2.4.2.3.
    fn init_b_frame(&mut self, dpb: &Dpb, c: &ListContext) {
        self.clear();
        let usable = |f: &RefFrame| f.short == FRAME && !(c.poc_type_0 && f.non_existing);
        let order = |i: usize| dpb.frames[i].pic_order_cnt();
        self.sort_by_order(dpb, usable, order, |poc| poc < c.poc);
        for list in 0..2 {
            for part in [list, 1 - list] {
                let frames = &self.frames[part];
                self.initial[list]
                    .entries
                    .extend(frames.iter().map(|&i| frame_entry(i, false)));
            }
            self.append_long_frames(dpb, list);
        }
    }

    /// Fills `frames[0]` with pictures before the current one (nearest first), `frames[1]` with those after it.
    fn sort_by_order(
        &mut self,
        dpb: &Dpb,
        usable: impl Fn(&RefFrame) -> bool,
        order: impl Fn(usize) -> i32,
        before: impl Fn(i32) -> bool,
    ) {
        let [earlier, later] = &mut self.frames;
        for i in (0..dpb.frames.len()).filter(|&i| usable(&dpb.frames[i])) {
            if before(order(i)) {
                earlier.push(i)
            } else {
                later.push(i)
            }
        }
        earlier.sort_by_key(|&i| std::cmp::Reverse(order(i)));
        later.sort_by_key(|&i| order(i));
    }

    /// Clause 8.2.4.2.4.
    fn init_b_field(&mut self, dpb: &Dpb, c: &ListContext) {
        self.clear();
        let usable = |f: &RefFrame| f.short != 0 && !(c.poc_type_0 && f.non_existing);
        let order = |i: usize| dpb.frames[i].pic_order_cnt();
        self.sort_by_order(dpb, usable, order, |poc| poc <= c.poc);
        for list in 0..2 {
            self.long_frames.clear();
            self.long_frames.extend_from_slice(&self.frames[list]);
            self.long_frames.extend_from_slice(&self.frames[1 - list]);
            alternate(
                dpb,
                c.structure,
                &self.long_frames,
                false,
                &mut self.initial[list].entries,
            );
            self.append_long_fields(dpb, c, list);
        }
    }
}

fn frame_entry(at: usize, long_term: bool) -> RefEntry {
    RefEntry {
        code: (at as u8) << 2 | FRAME,
        long_term,
    }
}

/// Takes fields from an ordered list of frames, alternating parity and beginning with the current one
/// (8.2.4.2.5).
fn alternate(dpb: &Dpb, structure: u8, frames: &[usize], long_term: bool, out: &mut Vec<RefEntry>) {
    let marked = |i: usize, parity: u8| {
        let f = &dpb.frames[i];
        (if long_term { f.long } else { f.short }) & parity != 0
    };
    let mut at = [0usize; 2];
    let parities = [structure, FRAME ^ structure];
    let mut turn = 0;
    loop {
        let parity = parities[turn];
        match frames[at[turn]..].iter().position(|&i| marked(i, parity)) {
            Some(found) => {
                let i = frames[at[turn] + found];
                out.push(RefEntry {
                    code: (i as u8) << 2 | parity,
                    long_term,
                });
                at[turn] += found + 1;
                turn = 1 - turn;
            }
            None => {
                // One parity has run out: the other's fields follow in order.
                let turn = 1 - turn;
                let rest = frames[at[turn]..].iter().filter(|&&i| marked(i, parities[turn]));
                out.extend(rest.map(|&i| RefEntry {
                    code: (i as u8) << 2 | parities[turn],
                    long_term,
                }));
                return;
            }
        }
    }
}

/// Modification process (8.2.4.3).
fn modify(
    dpb: &Dpb,
    c: &ListContext,
    commands: &[ListModification],
    list: &mut [RefEntry; MAX_LIST],
    len: usize,
) {
    let field = c.structure != FRAME;
    let (max_pic_num, curr_pic_num) = if field {
        (2 * c.max_frame_num as i32, 2 * c.frame_num as i32 + 1)
    } else {
        (c.max_frame_num as i32, c.frame_num as i32)
    };
    let mut pred = curr_pic_num;
    for (ref_idx, &command) in commands.iter().enumerate().take(len) {
        let entry = match command {
            ListModification::Subtract(n) | ListModification::Add(n) => {
                let n = n as i32 % max_pic_num;
                pred = if matches!(command, ListModification::Subtract(_)) {
                    pred - n
                } else {
                    pred + n
                };
                pred = pred.rem_euclid(max_pic_num);
                let pic_num = if pred > curr_pic_num {
                    pred - max_pic_num
                } else {
                    pred
                };
                let (wrap, fields) = split_pic_num(pic_num, c.structure);
                dpb.frames
                    .iter()
                    .position(|f| {
                        f.frame_num_wrap(c.frame_num, c.max_frame_num) == wrap && f.short & fields == fields
                    })
                    .map(|i| RefEntry {
                        code: (i as u8) << 2 | fields,
                        long_term: false,
                    })
            }
            ListModification::LongTerm(n) => {
                let (idx, fields) = split_pic_num(n as i32, c.structure);
                dpb.frames
                    .iter()
                    .position(|f| f.long & fields == fields && f.long_term_frame_idx as i32 == idx)
                    .map(|i| RefEntry {
                        code: (i as u8) << 2 | fields,
                        long_term: true,
                    })
            }
        };
        let Some(entry) = entry else {
            // The picture is not there: its place says so, the rest of the list stays.
            list[ref_idx] = RefEntry::NONE;
            continue;
        };
        // Insert at ref_idx and close the gap where the picture was (or drop the last entry).
        let old = list[ref_idx..len]
            .iter()
            .position(|e| *e == entry)
            .map_or(len - 1, |p| ref_idx + p);
        list.copy_within(ref_idx..old, ref_idx + 1);
        list[ref_idx] = entry;
    }
}

/// PicOrderCnt() of what a code stands for, given the order counts of the frame's fields.
pub(crate) fn order_cnt_of(structure: u8, poc: [i32; 2]) -> i32 {
    match structure {
        TOP => poc[0],
        BOTTOM => poc[1],
        _ => poc[0].min(poc[1]),
    }
}
