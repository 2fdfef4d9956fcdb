//! Where ptxas and nvdisasm may be.

use super::Ptxas;
use crate::toolchain;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest release that knows every architecture that PTX is made for here (sm_103a came with 12.9).
pub const MINIMUM: (u32, u32) = (12, 9);

/// No usable ptxas.
#[derive(Debug, thiserror::Error)]
#[error("no ptxas of release {}.{} or later{}: run `{}`", MINIMUM.0, MINIMUM.1, passed_over(.older), toolchain::SETUP)]
pub struct NotFound {
    /// What was found and passed over: program and release.
    pub older: Vec<(PathBuf, (u32, u32))>,
}

fn passed_over(older: &[(PathBuf, (u32, u32))]) -> String {
    older
        .iter()
        .map(|(path, (major, minor))| format!(" (passed over: {} of {major}.{minor})", path.display()))
        .collect()
}

pub(super) fn find() -> Result<Ptxas, NotFound> {
    let folders = folders();
    let mut older = Vec::new();
    for folder in &folders {
        let ptxas = folder.join("ptxas");
        let Some((release, version)) = versions(&ptxas) else { continue };
        if release < MINIMUM {
            older.push((ptxas, release));
            continue;
        }
        // Prefer the disassembler of the same installation.
        let nvdisasm = std::iter::once(folder).chain(&folders).map(|folder| folder.join("nvdisasm"));
        let nvdisasm = nvdisasm.into_iter().find(|nvdisasm| nvdisasm.is_file());
        return Ok(Ptxas { ptxas, nvdisasm, release, version, kept: None });
    }
    Err(NotFound { older })
}

/// The folders to look in, in order.
fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let homes = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].iter().filter_map(env::var_os).map(PathBuf::from);
    let homes = homes.chain(["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from));
    folders.extend(homes.map(|home| home.join("bin")));
    // A program that is run from elsewhere still lies in target/release.
    let starts = [env::current_dir(), env::current_exe()].into_iter().flatten();
    for private in starts.flat_map(|start| toolchain::private_folders(&start)) {
        folders.extend(wheel_folder(&private.join("nvidia")));
    }
    folders
}

/// The folder of the programs in a Python environment: `lib/python3.X/site-packages/nvidia/cuYZ/bin`.
pub fn wheel_folder(environment: &Path) -> Option<PathBuf> {
    let python = child(&environment.join("lib"), "python3")?;
    let cuda = child(&python.join("site-packages/nvidia"), "cu")?;
    Some(cuda.join("bin")).filter(|folder| folder.is_dir())
}

/// The last entry of a folder, by name, whose name begins so and that has the programs below it.
fn child(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let names = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let name = names.filter(|name| name.starts_with(prefix)).max()?;
    Some(folder.join(name))
}

/// What `ptxas --version` says: `release 13.0, V13.0.88`.
fn versions(ptxas: &Path) -> Option<((u32, u32), String)> {
    if !ptxas.is_file() {
        return None;
    }
    let output = Command::new(ptxas).arg("--version").output().ok()?;
    read_versions(&String::from_utf8_lossy(&output.stdout))
}

fn read_versions(said: &str) -> Option<((u32, u32), String)> {
    let after = |mark| said.split_once(mark)?.1.split([',', ' ', '\n']).next();
    let number = after("release ")?;
    let (major, minor) = number.split_once('.')?;
    let version = after(", V").unwrap_or(number).to_owned();
    Some(((major.parse().ok()?, minor.parse().ok()?), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let said = "ptxas: NVIDIA (R) Ptx optimizing assembler\nCuda compilation tools, release 13.0, V13.0.88\nBuild cuda_13.0\n";
        assert_eq!(read_versions(said), Some(((13, 0), "13.0.88".to_owned())));
        assert_eq!(read_versions("release 12.9\n"), Some(((12, 9), "12.9".to_owned())));
        assert_eq!(read_versions("usage: ptxas"), None);
    }
}
