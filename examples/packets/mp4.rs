//! Samples of an MP4 file's H.264 track straight from its sample tables (ISO/IEC 14496-12): edit lists would make a demuxer
//! leave samples out. Fragmented files are not for this.

use anyhow::{Context, Result, bail};

/// The decoder's configuration and the samples, in file order.
type Track<'a> = (Vec<u8>, Vec<&'a [u8]>);

/// The avcC record and the samples, in file order; `None` if the file has no sample table with H.264 in it.
pub fn samples(file: &[u8]) -> Result<Option<Track<'_>>> {
    let Some(movie) = find(file, b"moov") else {
        return Ok(None);
    };
    for (kind, track) in boxes(movie) {
        if kind != b"trak" {
            continue;
        }
        let table = find(track, b"mdia")
            .and_then(|b| find(b, b"minf"))
            .and_then(|b| find(b, b"stbl"));
        let Some(table) = table else { continue };
        let Some(avcc) = find(table, b"stsd").and_then(avcc) else {
            continue;
        };
        let samples = sample_table(file, table)?;
        if samples.is_empty() {
            return Ok(None);
        }
        return Ok(Some((avcc.to_vec(), samples)));
    }
    Ok(None)
}

/// Boxes that follow each other: type and content.
fn boxes(mut data: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = number(data, 0, 4)?;
        let kind = data.get(4..8)?;
        let (header, size) = match size {
            0 => (8, data.len()),
            1 => (16, number(data, 8, 8)?),
            size => (8, size),
        };
        let content = data.get(header..size)?;
        data = &data[size..];
        Some((kind, content))
    })
}

fn find<'a>(data: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    boxes(data)
        .find(|(kind, _)| *kind == wanted)
        .map(|(_, content)| content)
}

fn number(data: &[u8], at: usize, bytes: usize) -> Option<usize> {
    Some(
        data.get(at..at + bytes)?
            .iter()
            .fold(0, |value, &b| value << 8 | usize::from(b)),
    )
}

/// The avcC box of the first visual sample entry.
fn avcc(stsd: &[u8]) -> Option<&[u8]> {
    let (kind, entry) = boxes(stsd.get(8..)?).next()?;
    if kind != b"avc1" && kind != b"avc3" {
        return None;
    }
    find(entry.get(78..)?, b"avcC")
}

fn sample_table<'a>(file: &'a [u8], table: &[u8]) -> Result<Vec<&'a [u8]>> {
    let sizes = find(table, b"stsz").context("no stsz")?;
    let runs = find(table, b"stsc").context("no stsc")?;
    let (chunks, width) = match (find(table, b"stco"), find(table, b"co64")) {
        (Some(chunks), _) => (chunks, 4),
        (None, Some(chunks)) => (chunks, 8),
        (None, None) => bail!("neither stco nor co64"),
    };
    let (uniform, count) = (number(sizes, 4, 4), number(sizes, 8, 4));
    let (uniform, count) = (uniform.context("stsz")?, count.context("stsz")?);
    let chunk_count = number(chunks, 4, 4).context("chunk offsets")?;
    let run_count = number(runs, 4, 4).context("stsc")?;
    let mut samples = Vec::new();
    let mut run = 0;
    for chunk in 0..chunk_count {
        while run + 1 < run_count && number(runs, 8 + 12 * (run + 1), 4).context("stsc")? <= chunk + 1 {
            run += 1;
        }
        let in_chunk = number(runs, 8 + 12 * run + 4, 4).context("stsc")?;
        let mut at = number(chunks, 8 + width * chunk, width).context("chunk offsets")?;
        for _ in 0..in_chunk {
            if samples.len() == count {
                return Ok(samples);
            }
            let size = if uniform != 0 {
                uniform
            } else {
                number(sizes, 12 + 4 * samples.len(), 4).context("stsz")?
            };
            samples.push(file.get(at..at + size).context("a sample is outside the file")?);
            at += size;
        }
    }
    Ok(samples)
}
