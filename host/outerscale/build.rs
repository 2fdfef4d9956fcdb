//! Compiles the kernels to PTX and writes the table that `src/ptx.rs` embeds.

use cuda_builder::{CudaBuilder, NvvmArch};
use std::{env, error::Error, fmt::Write, fs, path::Path, process::ExitCode};

/// The architectures that PTX is embedded for, oldest first: one line each.
const ARCHS: &[NvvmArch] = &[
    NvvmArch::Compute80, // mma.sync for int8, cp.async; runs on every later GPU
];

/// The device crates, in the order of `ptx::Module::ALL`.
const MODULES: [&str; 3] = ["reduce", "quantize", "gemm"];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What cargo shows of a failed build script is its output.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let out = env::var("OUT_DIR")?;
    let kernels = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../kernels-gpu/kernels");
    let mut table = String::from("&[");
    for arch in ARCHS {
        write!(table, "Arch {{ name: {:?}, texts: [", arch.sm())?;
        for module in MODULES {
            let file = format!("{module}.{}.ptx", arch.sm());
            CudaBuilder::new(kernels.join(module)).arch(*arch).copy_to(Path::new(&out).join(&file)).build()?;
            write!(table, "include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\")), ")?;
        }
        table.push_str("] }, ");
    }
    table.push(']');
    fs::write(Path::new(&out).join("archs.rs"), table)?;
    Ok(())
}
