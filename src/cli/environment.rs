//! What the C libraries read from the environment when they are loaded. That is before `main`: to set it, the program has to be
//! started anew, once. Whoever sets one of these variables decides alone.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// OpenMP's threads spin for milliseconds while they wait for the slowest of them. On a machine whose cores have other work, the
/// spinning takes the slowest thread's own core away, and small steps become slower; sleeping costs microseconds. (Two
/// cores, `micro`, other programs with a load of 130: in 100 s not four steps spinning, eight sleeping, twice each.)
const WAITING: [&str; 3] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"];

/// glibc's malloc makes up to eight arenas a core, and each keeps what its threads once needed: with streams that come and go memory
/// creeps up for hours. With two it is level after ten minutes (docs/reliability.md).
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Every step takes hundreds of MB and lets them go. glibc's malloc gives a free end of its heap of more than 64 MiB back to the
/// kernel, which clears each page again for the next step: 1 to 20 % of the CPU time of 60 steps, in four pairs of runs. It
/// keeps 512 MiB now; blocks of 32 MiB and more, the limit that it arrives at by itself, are given back as ever.
const HEAP: [(&str, &str); 2] = [
    ("MALLOC_TRIM_THRESHOLD_", "536870912"),
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
];

/// For programs that compute: threads that sleep while they wait, and a heap that is kept for the next step, unless the environment
/// says otherwise.
pub(super) fn for_computing() {
    start_anew_with(&computing());
}

/// For a run that goes on for weeks: memory that does not creep up, too.
pub(super) fn for_a_long_run() {
    let mut variables = computing();
    if !is_set(ARENAS) {
        variables.push((ARENAS, "2"));
    }
    start_anew_with(&variables);
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

fn computing() -> Vec<(&'static str, &'static str)> {
    let mut variables = Vec::new();
    if !WAITING.iter().any(|name| is_set(name)) {
        variables.push((WAITING[0], "passive"));
    }
    // Either alone means another thing.
    if !HEAP.iter().any(|(name, _)| is_set(name)) {
        variables.extend(HEAP);
    }
    variables
}

/// Starts the program anew in the same process with these variables. Goes on as it is where that fails: slower and larger, but right.
fn start_anew_with(variables: &[(&str, &str)]) {
    if variables.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut again = Command::new(program);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Comes back only if it failed.
    let error = again.args(arguments).envs(variables.iter().copied()).exec();
    let wanted: Vec<_> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    super::complain(format_args!(
        "cannot start anew with {} ({error}); training is slower beside other work, memory may creep up",
        wanted.join(" ")
    ));
}
