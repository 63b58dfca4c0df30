//! Measures motion decoding: `motion_bench [--rounds N] FILE...`. Access units are in memory, one thread decodes. Prints
//! a line a file: name, pictures and median CPU seconds of the rounds, tab-separated. With `--memory` in front, the most
//! memory that was ever resident, access units included, goes to standard error.

// The module itself instead of the crate, which brings libtorch along: 100 MB that are not the decoder's.
#[path = "../src/h264/mod.rs"]
#[allow(dead_code, unused_imports)]
mod h264;
mod packets;

use std::path::Path;

use anyhow::{Context, Result, bail};
use h264::MotionDecoder;

/// CPU seconds of this thread so far.
fn cpu_seconds() -> Result<f64> {
    // Its first number is the thread's time on a CPU, in nanoseconds.
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").context("reading schedstat")?;
    let nanoseconds: f64 = statistics
        .split(' ')
        .next()
        .unwrap_or_default()
        .parse()
        .context("parsing schedstat")?;
    Ok(nanoseconds * 1e-9)
}

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let memory = arguments.first().is_some_and(|a| a == "--memory");
    if memory {
        arguments.remove(0);
    }
    let mut rounds = 5;
    if arguments.first().is_some_and(|a| a == "--rounds") && arguments.len() > 1 {
        rounds = arguments[1].parse().context("--rounds takes a number")?;
        arguments.drain(..2);
    }
    if arguments.is_empty() || rounds == 0 {
        bail!("usage: motion_bench [--memory] [--rounds N] FILE...");
    }
    for file in arguments {
        let path = Path::new(&file);
        let access_units = packets::read(path)?;
        let mut seconds = Vec::with_capacity(rounds);
        let mut pictures = 0;
        for _ in 0..rounds {
            let begin = cpu_seconds()?;
            let mut decoder = MotionDecoder::new();
            pictures = 0;
            for access_unit in &access_units {
                // Damaged streams are measured too; what the errors are is not the question here.
                if let Err(error) = decoder.decode(access_unit, &mut |_| pictures += 1) {
                    std::hint::black_box(error);
                }
            }
            seconds.push(cpu_seconds()? - begin);
        }
        seconds.sort_by(f64::total_cmp);
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        println!("{name}\t{pictures}\t{:.6}", seconds[rounds / 2]);
    }
    if memory {
        let status = std::fs::read_to_string("/proc/self/status").context("reading status")?;
        let most = status.lines().find(|line| line.starts_with("VmHWM"));
        eprintln!("{}", most.context("the system does not tell VmHWM")?);
    }
    Ok(())
}
