//! NVIDIA's assembler and disassembler from the Python package index, without a CUDA toolkit.

use crate::{
    process::{exists, output, program},
    setup::Folder,
};
use anyhow::{Context, Result, bail};
use cuda_builder::ptxas::wheel_folder;

/// The packages of ptxas and of nvdisasm. They unpack into one folder of the environment.
const WHEELS: [&str; 2] = ["nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-nvdisasm==13.5.37"];

/// Installs the packages into an environment of their own at `nvidia` in the folder.
pub(crate) fn install(folder: &Folder) -> Result<()> {
    if !exists("python3") {
        bail!("there is no python3 to fetch it with: install it (on Debian `sudo apt install python3-venv`)");
    }
    let part = folder.part("nvidia")?;
    println!("setup: fetching {} (about 40 MB)", WHEELS.join(" "));
    output(program("python3")?.args(["-m", "venv"]).arg(&part))
        .context("python3 cannot make an environment: on Debian run `sudo apt install python3-venv`")?;
    let python = part.join("bin/python");
    // --no-deps: the compiler's headers and libraries, eight times the size, are not needed to assemble.
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"];
    output(program(&python.to_string_lossy())?.args(pip).args(["--only-binary", ":all:"]).args(WHEELS))?;
    let programs = wheel_folder(&part).context("the packages have no folder of programs")?;
    for name in ["ptxas", "nvdisasm"] {
        // They must start on this machine, before they are put where they will be found.
        output(program(&programs.join(name).to_string_lossy())?.arg("--version"))?;
    }
    folder.put(&part, "nvidia")
}
