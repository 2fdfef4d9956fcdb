//! Compiles the kernels to PTX and writes the table that `src/ptx.rs` embeds.

use cuda_builder::{CudaBuilder, NvvmArch};
use std::{env, error::Error, fmt::Write, fs, path::Path, process::ExitCode};

/// Compiled for sm_80 (mma.sync for int8, cp.async), runs on every later GPU.
const PORTABLE: &[NvvmArch] = &[NvvmArch::Compute80];

/// Compiled for sm_90a, for wgmma: runs there only.
const HOPPER: &[NvvmArch] = &[NvvmArch::Compute90a];

/// The device crates, in the order of `ptx::Module::ALL`, and the architectures that each is compiled for.
const MODULES: &[(&str, &[NvvmArch])] =
    &[("reduce", PORTABLE), ("quantize", PORTABLE), ("gemm", PORTABLE), ("gemm_sm90", HOPPER)];

/// Every architecture of [`MODULES`], oldest first.
const ARCHS: &[NvvmArch] = &[NvvmArch::Compute80, NvvmArch::Compute90a];

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
    let (mut table, mut compiler) = (String::from("&["), String::new());
    for arch in ARCHS {
        write!(table, "Arch {{ name: {:?}, texts: [", arch.sm())?;
        for (module, archs) in MODULES {
            if !archs.contains(arch) {
                table.push_str("None, ");
                continue;
            }
            let file = format!("{module}.{}.ptx", arch.sm());
            let builder = CudaBuilder::new(kernels.join(module)).arch(*arch).copy_to(Path::new(&out).join(&file));
            compiler = builder.build()?.compiler;
            write!(table, "Some(include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))), ")?;
        }
        table.push_str("] }, ");
    }
    table.push(']');
    fs::write(Path::new(&out).join("archs.rs"), table)?;
    fs::write(Path::new(&out).join("tuned.rs"), tuned()?)?;
    // One compiler makes all of them: figures of the machine code are told with it.
    println!("cargo::rustc-env=OUTERSCALE_DEVICE_COMPILER={compiler}");
    Ok(())
}

/// The tables that were measured on GPUs (`tuned/*.json`), as an array of their texts.
fn tuned() -> Result<String, Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("tuned");
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    let mut files: Vec<_> =
        entries.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let texts: String = files.iter().map(|file| format!("include_str!({:?}), ", file.display().to_string())).collect();
    Ok(format!("&[{texts}]"))
}
