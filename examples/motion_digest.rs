//! Prints the golden lines of a file: `motion_digest FILE`. A picture that was skipped after an error is left out;
//! errors go to standard error.

#[path = "../tests/golden/mod.rs"]
mod golden;
mod packets;

use std::io::Write as _;
use std::path::Path;

// For `packets`, which motion_bench shares.
use comove::h264;

fn main() -> anyhow::Result<()> {
    let Some(file) = std::env::args().nth(1) else {
        anyhow::bail!("usage: motion_digest FILE");
    };
    let access_units = packets::read(Path::new(&file))?;
    let (lines, errors) = golden::lines(access_units.iter().map(Vec::as_slice));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\tverified_by\ttrust", golden::COLUMNS.join("\t"))?;
    for line in lines.iter().flatten() {
        writeln!(out, "{}\t-\t-", line.join("\t"))?;
    }
    for (unit, error) in errors {
        eprintln!("access unit {unit}: {error}");
    }
    Ok(())
}
