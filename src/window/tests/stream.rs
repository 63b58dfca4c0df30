use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ingest::{AccessUnit, ByteBudget, Ledger, StreamName, VideoFormat};
use crate::window::*;

/// A picture as an encoder would know it. Stands in decoding order.
#[derive(Clone, Debug)]
pub struct Coded {
    pub coded_type: CodedType,
    pub poc: i32,
    pub idr: bool,
    pub starts_poc_period: bool,
    pub random_access: bool,
    pub reference: bool,
    /// Decoding positions of the pictures that it refers to.
    pub refers_to: Vec<usize>,
    /// Place in display over the whole stream.
    pub display: u64,
    pub segment: u64,
}

/// What the random streams are made of.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub gops: usize,
    pub longest_gop: usize,
    pub most_b: usize,
    pub open_gops: f64,
    pub extra_i: f64,
    pub resets: f64,
    pub segment_ends: f64,
    pub poc_step: i32,
}

struct Encoder {
    recipe: Recipe,
    rng: ChaCha8Rng,
    pictures: Vec<Coded>,
    segment: u64,
    // Display position at which the current period began, and of the next picture to show.
    period_began: u64,
    shown: u64,
    key: usize,
}

/// Random GOPs: closed and open, B pyramids with and without reference B pictures, I pictures in between, picture order
/// counts reset in mid-GOP.
pub fn random_stream(recipe: Recipe, seed: u64) -> Vec<Coded> {
    let mut encoder = Encoder {
        recipe,
        rng: ChaCha8Rng::seed_from_u64(seed),
        pictures: Vec::new(),
        segment: 0,
        period_began: 0,
        shown: 0,
        key: 0,
    };
    for gop in 0..recipe.gops {
        encoder.gop(gop == 0);
    }
    encoder.pictures
}

impl Encoder {
    fn gop(&mut self, first: bool) {
        let ends = !first && self.rng.random_bool(self.recipe.segment_ends);
        self.segment += u64::from(ends);
        let open = !first && !ends && self.rng.random_bool(self.recipe.open_gops);
        if open {
            let b_pictures = self.rng.random_range(0..=self.recipe.most_b);
            let display = self.shown + b_pictures as u64;
            let key = self.code(CodedType::I, display, true, &[]);
            self.pictures[key].random_access = true;
            // Leading pictures reach across the key frame.
            let before = self.references(self.key, self.shown);
            let mut known = before;
            known.push(key);
            self.key = key;
            self.pyramid(self.shown, display, &mut known);
            self.shown = display + 1;
        } else {
            self.period_began = self.shown;
            let key = self.code(CodedType::I, self.shown, true, &[]);
            let picture = &mut self.pictures[key];
            (picture.idr, picture.starts_poc_period, picture.random_access) = (true, true, true);
            self.key = key;
            self.shown += 1;
        }
        let end = self.shown + self.rng.random_range(0..self.recipe.longest_gop) as u64;
        while self.shown < end {
            self.mini_gop();
        }
    }

    fn mini_gop(&mut self) {
        let reset = self.rng.random_bool(self.recipe.resets);
        let b_pictures = if reset {
            0
        } else {
            self.rng.random_range(0..=self.recipe.most_b)
        };
        let display = self.shown + b_pictures as u64;
        let mut known = self.references(self.key, display);
        let i_picture = self.rng.random_bool(self.recipe.extra_i);
        let reference = b_pictures > 0 || reset || self.rng.random_bool(0.9);
        let anchor = if i_picture {
            self.code(CodedType::I, display, reference, &[])
        } else {
            self.code(CodedType::P, display, reference, &known)
        };
        if reset {
            self.period_began = display;
            let picture = &mut self.pictures[anchor];
            (picture.poc, picture.starts_poc_period) = (0, true);
        }
        known.push(anchor);
        self.pyramid(self.shown, display, &mut known);
        self.shown = display + 1;
    }

    /// B pictures for the displays `from..to`, the middle one first.
    fn pyramid(&mut self, from: u64, to: u64, known: &mut Vec<usize>) {
        if from == to {
            return;
        }
        let middle = self.rng.random_range(from..to);
        let reference = self.rng.random_bool(0.5);
        let picture = self.code(CodedType::B, middle, reference, known);
        if reference {
            known.push(picture);
        }
        self.pyramid(from, middle, known);
        self.pyramid(middle + 1, to, known);
    }

    /// Reference pictures from the key frame on, not displayed before it.
    fn references(&self, key: usize, before_display: u64) -> Vec<usize> {
        (key..self.pictures.len())
            .filter(|index| {
                let picture = &self.pictures[*index];
                picture.reference
                    && picture.display >= self.pictures[key].display
                    && picture.display < before_display
            })
            .collect()
    }

    fn code(&mut self, coded_type: CodedType, display: u64, reference: bool, known: &[usize]) -> usize {
        let wanted = if coded_type == CodedType::I {
            0
        } else {
            self.rng.random_range(1..=4)
        };
        let refers_to = known.choose_multiple(&mut self.rng, wanted).copied().collect();
        self.pictures.push(Coded {
            coded_type,
            poc: (display - self.period_began) as i32 * self.recipe.poc_step,
            idr: false,
            starts_poc_period: false,
            random_access: false,
            reference,
            refers_to,
            display,
            segment: self.segment,
        });
        self.pictures.len() - 1
    }
}

/// Feeds a chooser and keeps the books.
pub struct Source {
    pub ledger: Ledger,
    budget: ByteBudget,
    format: Arc<VideoFormat>,
    grid: MotionGrid,
    pub sent: u64,
}

pub const CELLS: FrameSize = FrameSize { width: 2, height: 2 };

impl Source {
    pub fn new() -> Self {
        let crop = CropRect {
            x: 0,
            y: 0,
            width: 8,
            height: 8,
        };
        Self {
            ledger: Ledger::new(),
            budget: ByteBudget::new(1 << 30),
            format: Arc::new(VideoFormat {
                caps: "video/x-h264".to_owned(),
                place: "film.mp4".to_owned(),
                width: 8,
                height: 8,
                frame_rate: (25, 1),
                file: None,
            }),
            grid: MotionGrid::new(CELLS, crop, 2, 2),
            sent: 0,
        }
    }

    pub fn unit(&mut self, segment: u64, bytes: usize) -> Arc<AccessUnit> {
        let index = self.sent;
        self.sent += 1;
        Arc::new(AccessUnit {
            data: Bytes::from(vec![0; bytes]),
            segment,
            index,
            pts_ns: None,
            dts_ns: None,
            arrival_unix_ns: index,
            key_unit: false,
            format: self.format.clone(),
            credit: self.budget.try_acquire(bytes).unwrap(),
            receipt: self.ledger.receive(bytes),
        })
    }

    /// A picture's motion tells its display position: `display` quarter samples a count in x; I pictures have none.
    pub fn facts(&mut self, coded: &Coded) -> PictureFacts {
        let motion = match coded.coded_type {
            CodedType::I => MotionMap::masked(),
            _ => self.motion(coded.display as i16),
        };
        PictureFacts {
            poc: coded.poc,
            starts_poc_period: coded.starts_poc_period,
            idr: coded.idr,
            random_access: coded.random_access,
            reference: coded.reference,
            coded_type: coded.coded_type,
            width: 8,
            height: 8,
            motion,
        }
    }

    pub fn motion(&mut self, quarter_samples: i16) -> MotionMap {
        self.grid.average(&BlockMotion {
            width4: 2,
            height4: 2,
            mv: &[[quarter_samples, 0]; 4],
            poc_delta: &[1; 4],
            intra: &[false; 4],
        })
    }
}

/// The display position that a map made by [`Source::facts`] tells; `None` for I pictures.
pub fn display_of(map: &MotionMap) -> Option<u64> {
    let mut cells = Vec::new();
    map.append_per_frame(CELLS, 2, &mut cells);
    (cells[0] != crate::replay::MASKED).then_some(cells[0] as u64 / 32)
}

pub fn micro_spec() -> SampleSpec {
    SampleSpec {
        clip_frames: 8,
        clip_stride: 2,
        target_offset: 1,
        target_frames: 4,
        hard_negatives: 3,
        key_frame_margin: 5,
        frame_size: FrameSize {
            width: 96,
            height: 72,
        },
        motion_size: CELLS,
    }
}

pub fn stream_name() -> StreamName {
    StreamName::new("s").unwrap()
}

/// The true display order: by segment, then as shown.
pub fn by_display(stream: &[Coded]) -> BTreeMap<u64, usize> {
    stream
        .iter()
        .enumerate()
        .map(|(index, coded)| (coded.display, index))
        .collect()
}
