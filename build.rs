//! Tells the linker where libtorch lives at run time, so that `cargo run` and `cargo test` need no variable.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=build.rs");
    let Some(libtorch) = std::env::var_os("LIBTORCH").map(PathBuf::from) else {
        println!("cargo:warning=LIBTORCH is not set; run scripts/setup first");
        return;
    };
    match libtorch.join("lib").canonicalize() {
        Ok(lib) => println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display()),
        Err(error) => println!(
            "cargo:warning={}/lib: {error}; run scripts/setup, which installs libtorch there",
            libtorch.display()
        ),
    }
}
