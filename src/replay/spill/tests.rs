use std::path::Path;
use std::sync::Arc;

use bytesize::ByteSize;

use super::*;
use crate::replay::Sample;

const SLOT: u64 = 4096;

fn config(slots: u64) -> SpillConfig {
    SpillConfig {
        dir: None,
        capacity: ByteSize(slots * SLOT),
        segment_size: ByteSize(2 * SLOT),
    }
}

fn sample(number: u64) -> Sample {
    let mut sample = Sample::small("a", number, 3);
    sample.key_frame = vec![number as u8; 3];
    sample
}

fn open(root: &Path, slots: u64) -> Arc<SpillFolder> {
    SpillFolder::open(root, &config(slots), &sample(0).spec).unwrap()
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

#[test]
fn a_slot_is_taken_again_only_when_nobody_holds_it_and_the_files_never_outgrow_their_bound() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), 5);
    let held: Vec<_> = (0..4)
        .map(|number| folder.write(&sample(number)).unwrap())
        .collect();
    // Five slots are two files of two.
    let refused = folder.write(&sample(4)).unwrap_err();
    assert!(matches!(refused, SpillError::NoSlot { .. }), "{refused}");
    assert_eq!(folder.snapshot().bytes, 4 * SLOT);
    for (number, spilled) in held.iter().enumerate() {
        assert_eq!(spilled.read().unwrap(), sample(number as u64));
    }
    let mut held = held.into_iter();
    let freed = held.next().unwrap().at();
    let again = folder.write(&sample(9)).unwrap();
    assert_eq!((again.at().segment, again.at().slot), (freed.segment, freed.slot));
    drop(held);
    folder.delete_empty().unwrap();
    assert_eq!(names(root.path()), ["00000001-4096.spill"]);
    assert_eq!(again.read().unwrap(), sample(9));
}

#[test]
fn what_is_adopted_is_there_after_a_crash_and_everything_else_is_written_over_or_deleted() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), 8);
    let written: Vec<_> = (0..6)
        .map(|number| folder.write(&sample(number)).unwrap())
        .collect();
    let (kept, lost) = (written[3].at(), written[4].at());
    // As after kill -9: nobody has let go in good order.
    folder.close();
    drop((written, folder));
    let folder = open(root.path(), 8);
    let kept = folder.adopt(sample(3).head(), kept).unwrap();
    assert!(
        folder.adopt(sample(3).head(), kept.at()).is_none(),
        "held already"
    );
    let nowhere = SlotPlace { segment: 77, ..lost };
    assert!(folder.adopt(sample(4).head(), nowhere).is_none());
    folder.begin().unwrap();
    assert_eq!(names(root.path()), ["00000002-4096.spill"]);
    for number in 10..16 {
        std::mem::forget(folder.write(&sample(number)).unwrap());
    }
    assert_eq!(kept.read().unwrap(), sample(3));
    let reader = SpillReader::open(root.path()).unwrap();
    assert_eq!(reader.read(kept.head(), kept.at()).unwrap(), sample(3));
}

#[test]
fn a_closed_folder_and_one_in_use_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), 8);
    let again = SpillFolder::open(root.path(), &config(8), &sample(0).spec).unwrap_err();
    assert!(matches!(again, SpillError::InUse { .. }), "{again}");
    drop(folder.write(&sample(0)).unwrap());
    folder.close();
    assert!(matches!(folder.write(&sample(1)), Err(SpillError::Closed { .. })));
    folder.delete_empty().unwrap();
    assert_eq!(names(root.path()).len(), 1, "nothing is deleted any more");
}

#[test]
fn a_size_that_holds_no_sample_is_refused_with_what_would_do() {
    let told = |config: SpillConfig| config.check(&sample(0).spec).unwrap_err().to_string();
    let small = SpillConfig {
        segment_size: ByteSize(100),
        ..config(8)
    };
    let said = told(small);
    assert!(
        said.contains("replay.spill.segment_size") && said.contains("4.0 KiB"),
        "{said}"
    );
    let said = told(config(1));
    assert!(
        said.contains("replay.spill.capacity") && said.contains("8.0 KiB"),
        "{said}"
    );
    assert_eq!(config(2).check(&sample(0).spec), Ok(()));
}
