//! A compiler with its own source of `core` from Debian's packages, unpacked privately.
//!
//! The packages are not installed: they conflict with Debian's rustc and with rustup's package, and would remove a user's
//! compiler. `apt-get download` and `dpkg -x` need no root and touch nothing outside the folder they are given.

use crate::{
    folder::Folder,
    process::{exists, output, program},
};
use anyhow::{Context, Result, bail, ensure};
use cuda_builder::toolchain::{self, Origin};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What to do where Debian's packages cannot be had.
const OTHERWISE: &str = "with rustup, run `rustup component add rust-src` in this folder; else name a rustc that has its \
                         source in OUTERSCALE_DEVICE_RUSTC";

/// Fetches, unpacks and checks the compiler, and puts it at `rustc` in the folder.
pub(crate) fn unpack_compiler(folder: &Folder) -> Result<()> {
    if !(exists("apt-get") && exists("dpkg-deb")) {
        bail!("this is no Debian: {OTHERWISE}");
    }
    let part = folder.part("rustc")?;
    let downloads = part.join("downloads");
    fs::create_dir(&downloads)?;
    let result = download(&part, &downloads).with_context(|| format!("Debian's packages cannot be had ({OTHERWISE})"));
    let files = result?;
    println!("setup: unpacking {} packages into {}", files.len(), folder.of("rustc").display());
    for file in &files {
        output(program("dpkg-deb")?.arg("--extract").arg(file).arg(&part))?;
    }
    fs::remove_dir_all(&downloads)?;
    fs::remove_dir_all(part.join("apt")).or_else(ignore_missing)?;
    trim(&part)?;
    let found = toolchain::inspect(&part.join("usr/bin/rustc"), Origin::Private, &part);
    let found = found.map_err(anyhow::Error::msg).context("Debian's packages do not fit together")?;
    ensure!(!found.release.is_empty(), "Debian's rustc does not tell its version");
    folder.put(&part, "rustc")
}

/// Downloads the packages: by the system's package lists, or by private ones where those are missing, unreadable or
/// older than what the server still has.
fn download(part: &Path, downloads: &Path) -> Result<Vec<PathBuf>> {
    if let Ok(files) = fetch(&Apt { lists: None }, downloads) {
        return Ok(files);
    }
    println!("setup: reading Debian's package lists");
    let apt = Apt { lists: Some(part.join("apt")) };
    fs::create_dir_all(part.join("apt/lists/partial"))?;
    fs::create_dir_all(part.join("apt/cache/archives/partial"))?;
    output(apt.command("apt-get")?.args(["--quiet", "update"]))?;
    fetch(&apt, downloads)
}

fn fetch(apt: &Apt, downloads: &Path) -> Result<Vec<PathBuf>> {
    let packages = apt.packages()?;
    println!("setup: fetching {} (about 140 MB)", packages.join(" "));
    output(apt.command("apt-get")?.args(["--quiet", "download"]).args(&packages).current_dir(downloads))?;
    let entries = fs::read_dir(downloads)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let files: Vec<PathBuf> =
        entries.into_iter().filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
    ensure!(files.len() == packages.len(), "{} of {} packages came", files.len(), packages.len());
    Ok(files)
}

/// apt with the system's package lists, or with private ones.
struct Apt {
    lists: Option<PathBuf>,
}

impl Apt {
    fn command(&self, name: &str) -> Result<std::process::Command> {
        let mut command = program(name)?;
        // As root, apt would download as a user that cannot write here. As anybody else this says nothing.
        command.arg("-oAPT::Sandbox::User=root");
        if let Some(folder) = &self.lists {
            command.arg(format!("-oDir::State::Lists={}", folder.join("lists").display()));
            command.arg(format!("-oDir::Cache={}", folder.join("cache").display()));
        }
        Ok(command)
    }

    /// The packages by their present names: those of the libraries change with each version.
    fn packages(&self) -> Result<Vec<String>> {
        let depends = |package: &str, on: &str| -> Result<String> {
            let text = output(self.command("apt-cache")?.args(["depends", "--important", package]))?;
            dependency(&text, on).with_context(|| format!("{package} depends on no {on}"))
        };
        let library = depends("libstd-rust-web-dev", "libstd-rust-web-")?;
        let llvm = depends(&library, "libllvm")?;
        let fixed = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"].map(str::to_owned);
        Ok(fixed.into_iter().chain([library, llvm]).collect())
    }
}

/// The package in `apt-cache depends`' answer whose name begins so.
fn dependency(answer: &str, prefix: &str) -> Option<String> {
    let mut names = answer.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.find(|name| name.starts_with(prefix)).map(str::to_owned)
}

/// Deletes what neither rustc nor `-Zbuild-std` reads: most of the source, the documentation.
fn trim(part: &Path) -> Result<()> {
    for source in fs::read_dir(part.join("usr/src"))? {
        for entry in fs::read_dir(source?.path())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            if name == "library" || name == "COPYRIGHT" {
                continue;
            }
            if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
    }
    for unused in ["usr/share/man", "usr/share/lintian"] {
        fs::remove_dir_all(part.join(unused)).or_else(ignore_missing)?;
    }
    fs::remove_file(part.join("usr/bin/rustdoc")).or_else(ignore_missing)?;
    Ok(())
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_by_prefix() {
        let answer = "libstd-rust-web-dev\n  Depends: libstd-rust-web-1.96\n  Conflicts: <libstd-rust-web-x>\n";
        assert_eq!(dependency(answer, "libstd-rust-web-").as_deref(), Some("libstd-rust-web-1.96"));
        assert_eq!(dependency(answer, "libllvm"), None);
    }

    #[test]
    fn only_what_the_build_reads_stays() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("usr/src/rustc-1.2.3");
        for folder in ["library/core", "compiler/x", "src/tools"] {
            fs::create_dir_all(source.join(folder)).unwrap();
        }
        fs::create_dir_all(root.path().join("usr/share/man")).unwrap();
        fs::write(source.join("x.py"), "").unwrap();
        trim(root.path()).unwrap();
        let left: Vec<_> = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["library"]);
        assert!(!root.path().join("usr/share/man").exists());
    }
}
