//! Compiles the crate in a folder and prints where its PTX is: `cargo run -p cuda_builder --example ptx -- FOLDER [ARCH]`.

use cuda_builder::{CudaBuilder, NvvmArch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: ptx FOLDER [ARCH]")?;
    let arch: NvvmArch = arguments.next().as_deref().unwrap_or("sm_80").parse()?;
    println!("{}", CudaBuilder::new(folder).arch(arch).build()?.ptx.display());
    Ok(())
}
