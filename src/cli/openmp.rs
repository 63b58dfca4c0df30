//! How libtorch's threads wait for each other.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// OpenMP's threads spin for milliseconds while they wait for the slowest of them. On a machine whose cores have other work, the
/// spinning takes the slowest thread's own core away, and small steps become slower; sleeping costs microseconds. (Two
/// cores, `micro`, other programs with a load of 130: in 100 s not four steps spinning, eight sleeping, twice each.)
///
/// libgomp reads this when it is loaded, which is before `main`: the program has to be started anew, once, with it set. Whoever
/// sets any of these variables decides alone.
const DECIDES: [&str; 3] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"];

/// Starts the program anew with threads that sleep while they wait, in the same process, unless the environment says how they
/// shall. Goes on as it is where that fails: slower, but right.
pub(super) fn let_waiting_threads_sleep() {
    if DECIDES.iter().any(|name| std::env::var_os(name).is_some()) {
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
    let error = again.args(arguments).env(DECIDES[0], "passive").exec();
    super::complain(format_args!(
        "cannot start anew with {}=passive ({error}); training is slower beside other work",
        DECIDES[0]
    ));
}
