use super::run::Run;

/// What a decoder must be given, in decoding order.
pub(super) struct Feed {
    /// Where decoding starts; the run knows what goes before.
    pub start: u64,
    /// Decoding indices, from `start` on.
    pub pictures: Vec<u64>,
}

/// Which pictures a decoder must be given, in decoding order, for a clip and a key frame (decoding indices).
///
/// From the latest random access point on from which they come out right, through the last of them; without non-reference
/// pictures that nobody wants. Reference pictures are all fed, also those that nothing wanted refers to: a decoder takes a
/// missing one (`frame_num` jumps) for a loss. A GOP between the key frame's and the clip's is left out, but only before
/// an IDR picture, which nothing reaches across. `None` where the pictures cannot be decoded from what is held.
pub(super) fn feed(run: &Run, clip: &[u64], key_frame: u64) -> Option<Feed> {
    let clip_part = (run.start_for(clip)?, *clip.iter().max()?);
    let key_part = (run.start_for(&[key_frame])?, key_frame);
    let (first, second) = if key_part.0 < clip_part.0 {
        (key_part, clip_part)
    } else {
        (clip_part, key_part)
    };
    let idr = |index| run.at_index(index).is_some_and(|picture| picture.facts.idr);
    let parts = if second.0 > first.1 && idr(second.0) {
        vec![first, second]
    } else {
        vec![(first.0, first.1.max(second.1))]
    };
    let wanted = |index: &u64| *index == key_frame || clip.contains(index);
    let needed = |index: &u64| {
        wanted(index)
            || run
                .at_index(*index)
                .is_some_and(|picture| picture.facts.reference)
    };
    Some(Feed {
        start: first.0,
        pictures: parts
            .into_iter()
            .flat_map(|(start, last)| start..=last)
            .filter(needed)
            .collect(),
    })
}
