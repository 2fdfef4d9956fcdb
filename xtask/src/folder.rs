//! A folder in which what is fetched appears whole or not at all.

use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// A folder for what tasks fetch, held by one task at a time.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder for this task; waits while another has it.
    pub(crate) fn open(path: &Path) -> Result<Folder> {
        let cannot = || format!("cannot use {}", path.display());
        fs::create_dir_all(path).with_context(cannot)?;
        let lock = File::create(path.join(".lock")).with_context(cannot)?;
        lock.lock().with_context(cannot)?;
        // What an interrupted task left.
        for entry in fs::read_dir(path).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            if entry.file_name().to_string_lossy().ends_with(".part") {
                fs::remove_dir_all(entry.path()).with_context(cannot)?;
            }
        }
        Ok(Folder { path: path.to_owned(), _lock: lock })
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
