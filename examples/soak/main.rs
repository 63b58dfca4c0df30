//! Runs the real program on a hundred RTSP cameras of which thirty flap, and watches what must not grow: resident memory,
//! threads, file descriptors, pipelines left behind. `scripts/soak` builds and runs it.
//!
//! The cameras are one small RTSP server in this process; each flapping one is behind a relay of its own that is cut, refuses
//! or freezes at random. Every scrape is checked: each stream's account must close.

#![allow(
    clippy::unwrap_used,
    reason = "an example: a machine that cannot run it ends it"
)]

mod program;
#[path = "../../tests/media/relay.rs"]
mod relay;
#[path = "../../tests/media/rtsp.rs"]
mod rtsp;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use program::{Figures, Program};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use relay::{Mode, Relay};
use rtsp::Server;

/// Small pictures, so that a hundred of them cost little.
const CAMERA: &str = "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=64,height=64,framerate=2/1 \
     ! x264enc tune=zerolatency key-int-max=4 threads=1 ! rtph264pay name=pay0 pt=96 )";

#[derive(Parser)]
struct Args {
    /// The program.
    #[arg(long, default_value = "target/debug/comove")]
    comove: PathBuf,
    /// How long to watch.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// So many of them flap.
    #[arg(long, default_value_t = 30)]
    flapping: usize,
    /// `ingest.memory`.
    #[arg(long, default_value = "64 MiB")]
    memory: String,
    /// `replay.capacity`.
    #[arg(long, default_value = "64 MiB")]
    replay: String,
    /// Training pauses from the start: memory fills up to its bounds, the worst that can happen to it.
    #[arg(long)]
    stopped_trainer: bool,
    /// Endless synthetic streams in place of cameras: as fast as the program takes them, so that every queue is full.
    #[arg(long)]
    synthetic: bool,
    /// Seconds between two scrapes.
    #[arg(long, default_value_t = 10.0)]
    every: f64,
}

fn main() {
    let mut args = Args::parse();
    if args.synthetic {
        // They are no cameras, and lie behind no relay.
        args.flapping = 0;
    }
    let server = Server::start(None, CAMERA, None);
    let relays: Vec<_> = (0..args.flapping).map(|_| Relay::to(server.port)).collect();
    let streams = (0..args.streams).map(|number| match (args.synthetic, relays.get(number)) {
        (true, _) => format!(
            "[[stream]]\nname = \"s{number:03}\"\nsynthetic = {{ width = 64, height = 64, seed = {number} }}\n"
        ),
        (false, relay) => format!(
            "[[stream]]\nname = \"{}{number:03}\"\nuri = \"rtsp://127.0.0.1:{}/live\"\n",
            if relay.is_some() { "flapping" } else { "steady" },
            relay.map_or(server.port, |relay| relay.port),
        ),
    });
    let config = format!(
        "[ingest]\nmemory = \"{}\"\nstall_timeout = \"15s\"\nbackoff_longest = \"10s\"\n\
         [decode]\nthreads = 1\n\
         [replay]\ncapacity = \"{}\"\nmin_samples = 16\nsamples_per_insert = 0.2\n\
         [train]\npreset = \"micro\"\ndevice = \"cpu\"\nbatch_size = 4\nthreads = 1\nreport_every = 100\n\
         [checkpoint]\nevery = \"5m\"\nkeep = 2\n\
         [server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"plain\"\nfilter = \"error\"\n{}",
        args.memory,
        args.replay,
        streams.collect::<String>()
    );
    let mut program = Program::start(&args.comove, &config);
    if args.stopped_trainer {
        program.pause_training();
    }
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(args.minutes * 60.0);
    let mut next_flap = begun + Duration::from_secs(20);
    let mut next_scrape = begun + Duration::from_secs(5);
    let mut seen: Vec<(f64, Figures)> = Vec::new();
    let mut flaps = 0_u64;
    println!("{:>8} {}", "s", Figures::HEAD);
    while Instant::now() < end {
        let now = Instant::now();
        if now >= next_flap && !relays.is_empty() {
            next_flap = now + Duration::from_millis(random.random_range(200..2000));
            let mode = [Mode::Up, Mode::Up, Mode::Frozen, Mode::Refusing][random.random_range(0..4)];
            relays[random.random_range(0..relays.len())].set(mode);
            flaps += 1;
        }
        if now >= next_scrape {
            next_scrape = now + Duration::from_secs_f64(args.every);
            let at = begun.elapsed().as_secs_f64();
            let figures = program.figures();
            println!("{at:>8.0} {figures}");
            seen.push((at, figures));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for relay in &relays {
        relay.set(Mode::Up);
    }
    // The longest back-off and a little more: every camera must be watched again.
    let back = Instant::now() + Duration::from_secs(60);
    let states = loop {
        let states = program.states();
        if states.get("running") == Some(&args.streams) || Instant::now() > back {
            break states;
        }
        std::thread::sleep(Duration::from_secs(1));
    };
    report(&args, &seen, flaps, &states);
    program.stop();
}

/// One of the figures.
type Figure = fn(&Figures) -> f64;

/// What the figures were when the start was over, and how they have changed since.
fn report(
    args: &Args,
    seen: &[(f64, Figures)],
    flaps: u64,
    states: &std::collections::BTreeMap<String, usize>,
) {
    let settled = &seen[seen.len() / 3..];
    let slope = |of: Figure| -> f64 {
        let count = settled.len() as f64;
        let mean = |values: &dyn Fn(&(f64, Figures)) -> f64| settled.iter().map(values).sum::<f64>() / count;
        let (at, value) = (mean(&|row| row.0), mean(&|row| of(&row.1)));
        let over: f64 = settled
            .iter()
            .map(|row| (row.0 - at) * (of(&row.1) - value))
            .sum();
        let under: f64 = settled.iter().map(|row| (row.0 - at).powi(2)).sum();
        over / under * 60.0
    };
    let range = |of: Figure| {
        let values = settled.iter().map(|row| of(&row.1));
        values.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    println!(
        "\n{} streams, {} of them flapping ({flaps} changes), {:.0} minutes; the first third is not looked at",
        args.streams, args.flapping, args.minutes
    );
    println!("| figure | lowest | highest | a minute |\n| --- | --- | --- | --- |");
    let rows: [(&str, Figure); 5] = [
        ("resident memory, MB", |figures| figures.resident_bytes / 1e6),
        ("threads", |figures| figures.threads),
        ("file descriptors", |figures| figures.descriptors),
        ("byte budget in use, MB", |figures| figures.budget_bytes / 1e6),
        ("pipelines that hang", |figures| figures.hanging_pipelines),
    ];
    for (name, of) in rows {
        let (low, high) = range(of);
        println!("| {name} | {low:.1} | {high:.1} | {:+.3} |", slope(of));
    }
    let last = &settled[settled.len() - 1].1;
    println!(
        "pipelines left behind {}, restarts {}, access units {}, of them lost {}; scrapes {}, every stream's account closed \
         in each; at the end {states:?}",
        last.left_pipelines,
        last.restarts,
        last.received,
        last.dropped,
        seen.len()
    );
}
