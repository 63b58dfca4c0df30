use std::sync::Arc;

use super::MotionMap;
use crate::ingest::{AccessUnit, DropReason, Fate, SkipReason};

/// How a picture was coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodedType {
    /// Intra only: it says where things are, and may be a sample's key frame.
    I,
    /// From pictures before it.
    P,
    /// From two lists of pictures.
    B,
}

/// What the chooser needs to know about a picture: order, references and motion.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureFacts {
    /// Picture order count, of the earlier field; 0-based again after a picture with
    /// `memory_management_control_operation` 5, that picture included.
    pub poc: i32,
    /// Picture order counts start anew here: an IDR picture or `memory_management_control_operation` 5.
    pub starts_poc_period: bool,
    /// `nal_unit_type` 5: nothing that follows refers to anything before.
    pub idr: bool,
    /// A decoder that starts here gets this picture and all that follow it in display right (IDR, or a recovery point of 0
    /// frames).
    pub random_access: bool,
    /// Others may refer to it (`nal_ref_idc` is not 0).
    pub reference: bool,
    /// How it was coded.
    pub coded_type: CodedType,
    /// Columns shown.
    pub width: u32,
    /// Rows shown.
    pub height: u32,
    /// Its motion.
    pub motion: MotionMap,
}

/// A picture that the chooser holds.
pub(super) struct Picture {
    pub unit: Arc<AccessUnit>,
    /// The other field's unit, where the fields of a frame come in two.
    pub second_field: Option<Arc<AccessUnit>>,
    pub facts: PictureFacts,
    /// Place in display within the run, once final.
    pub rank: Option<u64>,
    pub use_so_far: UseSoFar,
}

/// What the unit's receipt will be told when the chooser lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UseSoFar {
    /// No window asked for it.
    None,
    /// It was shed with a window that came at a bad time.
    Shed(DropReason),
    /// It is part of a plan: whoever ends the plan settles the receipt.
    Planned,
}

impl Picture {
    /// Its access units, in decoding order.
    pub fn units(&self) -> impl Iterator<Item = &Arc<AccessUnit>> {
        [&self.unit].into_iter().chain(&self.second_field)
    }

    pub fn bytes(&self) -> usize {
        self.units().map(|unit| unit.data.len()).sum::<usize>() + self.facts.motion.bytes()
    }

    /// Lets go. `otherwise` is the fate of a unit that no window asked for.
    pub fn release(self, otherwise: SkipReason) {
        let fate = match self.use_so_far {
            UseSoFar::None => Fate::Skipped(otherwise),
            UseSoFar::Shed(reason) => Fate::Dropped(reason),
            UseSoFar::Planned => return,
        };
        self.units().for_each(|unit| unit.receipt.settle(fate));
    }
}
