//! mp4 headers hold the time of writing, which would make every file differ from the last.

/// Boxes that contain boxes on the way to those with times.
const CONTAINERS: [&[u8; 4]; 3] = [b"moov", b"trak", b"mdia"];
/// Boxes that begin with version, flags, creation time and modification time (ISO/IEC 14496-12, 8.2.2, 8.3.2, 8.4.2).
const TIMED: [&[u8; 4]; 3] = [b"mvhd", b"tkhd", b"mdhd"];

/// Sets all creation and modification times to 0, "unknown". Returns how many boxes had them.
pub fn clear_times(file: &mut [u8]) -> usize {
    let mut cleared = 0;
    let mut position = 0;
    while let Some(header) = file.get(position..position + 8) {
        let small = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind: [u8; 4] = [header[4], header[5], header[6], header[7]];
        let (head, size) = match small {
            // The rest of the file.
            0 => (8, file.len() - position),
            1 => match file
                .get(position + 8..position + 16)
                .and_then(|bytes| bytes.try_into().ok())
            {
                Some(bytes) => (
                    16,
                    usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX),
                ),
                None => break,
            },
            size => (8, size),
        };
        let end = position.saturating_add(size);
        if size < head || end > file.len() {
            break;
        }
        let content = &mut file[position + head..end];
        if CONTAINERS.contains(&&kind) {
            cleared += clear_times(content);
        } else if TIMED.contains(&&kind) {
            let width = if content.first() == Some(&1) { 16 } else { 8 };
            if let Some(times) = content.get_mut(4..4 + width) {
                times.fill(0);
                cleared += 1;
            }
        }
        position = end;
    }
    cleared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = (8 + content.len() as u32).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(content);
        bytes
    }

    #[test]
    fn times_are_cleared_and_nothing_else() {
        let timed = |kind, version: u8| {
            let mut content = vec![version, 0, 0, 7];
            content.extend([9; 20]);
            boxed(kind, &content)
        };
        let mdia = boxed(b"mdia", &timed(b"mdhd", 1));
        let moov = boxed(b"moov", &[timed(b"mvhd", 0), boxed(b"trak", &mdia)].concat());
        let mut file = [boxed(b"mdat", &[9; 30]), moov].concat();
        let before = file.clone();
        assert_eq!(clear_times(&mut file), 2);
        let changed = file.iter().zip(&before).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 8 + 16);
        assert_eq!(file[..38], before[..38]);
    }

    #[test]
    fn what_is_no_mp4_is_left_alone() {
        for bytes in [&b"short"[..], &[0, 0, 0, 3, 1, 2, 3, 4, 5][..], &[0xff; 40][..]] {
            let mut file = bytes.to_vec();
            assert_eq!(clear_times(&mut file), 0);
            assert_eq!(file, bytes);
        }
    }
}
