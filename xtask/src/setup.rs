//! Finds what the kernels need, or fetches it into target/toolchain. One line a step; nothing when all is there.

use crate::{debian, process, wheels};
use anyhow::{Context, Result};
use cuda_builder::{
    ptxas::Ptxas,
    toolchain::{self, Origin, Toolchain},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

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
            let folder = Folder::open(&root)?;
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
            wheels::install(&Folder::open(&process::root()?)?).context("NVIDIA's assembler could not be set up")?;
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

fn place(found: &Toolchain) -> &'static str {
    match found.origin {
        Origin::Environment => toolchain::RUSTC_VARIABLE,
        Origin::Active => "the active toolchain",
        Origin::Private => "target/toolchain/rustc",
    }
}

/// `target/toolchain`, held by one task at a time.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn open(root: &Path) -> Result<Folder> {
        let path = root.join("target/toolchain");
        let cannot = || format!("cannot use {}", path.display());
        fs::create_dir_all(&path).with_context(cannot)?;
        let lock = File::create(path.join(".lock")).with_context(cannot)?;
        lock.lock().with_context(cannot)?;
        // What an interrupted task left.
        for entry in fs::read_dir(&path).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            if entry.file_name().to_string_lossy().ends_with(".part") {
                fs::remove_dir_all(entry.path()).with_context(cannot)?;
            }
        }
        Ok(Folder { path, _lock: lock })
    }

    /// Where something will be.
    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// An empty folder beside it, in which to make it.
    pub(crate) fn part(&self, name: &str) -> Result<PathBuf> {
        let part = self.path.join(format!("{name}.part"));
        fs::create_dir(&part).with_context(|| format!("cannot create {}", part.display()))?;
        Ok(part)
    }

    /// Puts what was made in its place, whole or not at all.
    pub(crate) fn put(&self, part: &Path, name: &str) -> Result<()> {
        let place = self.of(name);
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot replace {}", place.display()))?;
        }
        fs::rename(part, &place).with_context(|| format!("cannot move to {}", place.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_appears_whole_and_leftovers_go() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let part = folder.part("tool").unwrap();
        fs::write(part.join("file"), "1").unwrap();
        assert!(!folder.of("tool").exists());
        folder.put(&part, "tool").unwrap();
        assert_eq!(fs::read_to_string(folder.of("tool").join("file")).unwrap(), "1");
        let left = folder.part("tool").unwrap();
        drop(folder);
        let folder = Folder::open(root.path()).unwrap();
        assert!(!left.exists() && folder.of("tool").exists());
        // A second time, it replaces.
        let part = folder.part("tool").unwrap();
        folder.put(&part, "tool").unwrap();
        assert_eq!(fs::read_dir(folder.of("tool")).unwrap().count(), 0);
    }
}
