//! Lets the trainer's binaries and tests find libtorch without `LD_LIBRARY_PATH`, and keeps its CUDA half.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Set by torch-sys (`links = "tch"`) to the folder that it linked against.
    let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    println!("cargo:rerun-if-changed={}", folder.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    // For the build scripts of crates that use this one: a link argument does not reach their programs.
    println!("cargo:libtorch_lib={}", folder.display());
    // Nothing calls into libtorch_cuda by name: it registers its kernels when it is loaded. A linker that drops
    // libraries without a referenced symbol would leave a program that sees no GPU.
    if folder.join("libtorch_cuda.so").exists() {
        println!("cargo:rustc-link-arg=-Wl,--push-state,--no-as-needed,-ltorch_cuda,--pop-state");
    }
}
