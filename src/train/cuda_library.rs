//! Opens libtorch's CUDA part at run time.
//!
//! The program links libtorch_cpu.so only, so that one binary runs with and without CUDA. libtorch_cuda.so registers its
//! kernels and its hooks when it is loaded; that must happen before libtorch first asks for them, hence before the first tensor.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};

const CPU_LIBRARY: &str = "libtorch_cpu.so";
const CUDA_LIBRARY: &str = "libtorch_cuda.so";
const DRIVER_LIBRARY: &str = "libcuda.so.1";

/// Where libtorch_cuda.so is, if it is: beside the libtorch_cpu.so of this process.
pub(super) fn path() -> Result<PathBuf, String> {
    let maps =
        std::fs::read_to_string("/proc/self/maps").map_err(|error| format!("/proc/self/maps: {error}"))?;
    let beside = |line: &str| {
        // A line's sixth field is the path; it may hold spaces.
        let path = Path::new(&line[line.find('/')?..]).to_owned();
        (path.file_name()? == CPU_LIBRARY).then(|| path.with_file_name(CUDA_LIBRARY))
    };
    maps.lines()
        .find_map(beside)
        .ok_or_else(|| "/proc/self/maps does not list it".to_owned())
}

/// The driver's library can be loaded.
pub(super) fn driver() -> Result<(), String> {
    load(Path::new(DRIVER_LIBRARY), RTLD_LAZY | RTLD_LOCAL).map(drop)
}

/// Loads libtorch's CUDA part, once and for the life of the process.
pub(super) fn open(library: &Path) -> Result<(), String> {
    static OPENED: OnceLock<Result<Library, String>> = OnceLock::new();
    match OPENED.get_or_init(|| load(library, RTLD_NOW | RTLD_GLOBAL)) {
        Ok(_) => Ok(()),
        Err(reason) => Err(reason.clone()),
    }
}

#[allow(
    unsafe_code,
    reason = "loading a library runs its initialisers. These are libtorch's own, of the very build that is linked (it lies \
              beside it), and the NVIDIA driver's, which CUDA would load anyway"
)]
fn load(library: &Path, flags: i32) -> Result<Library, String> {
    unsafe { Library::open(Some(library), flags) }.map_err(|error| error.to_string())
}
