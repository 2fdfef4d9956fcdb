//! Writing a report of several files: each is complete or absent.

use super::output::{io_reason, temporary};
use crate::{Error, Result};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A folder that files are to be written to.
pub struct OutputFolder {
    path: PathBuf,
}

impl OutputFolder {
    /// Makes sure, before any work, that files can be written to the folder `path`; one that does not exist is made
    /// when there is something to write.
    ///
    /// # Errors
    /// [`Error::Output`] where it is a file, or it or the folder that it will be made in cannot be written.
    pub fn create(path: &Path) -> Result<OutputFolder> {
        let refuse = |rule: String| Error::Output { file: path.into(), rule };
        if path.as_os_str().is_empty() {
            return Err(refuse("is no name of a folder".to_owned()));
        }
        // The nearest folder that exists: the others will be made in it.
        let existing = path.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
        let existing = existing.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !existing.is_dir() {
            return Err(refuse(format!("{} is no folder; give another --out", existing.display())));
        }
        temporary(&existing.join("report")).map_err(|e| refuse(format!("cannot be written: {}", io_reason(&e))))?;
        Ok(OutputFolder { path: path.into() })
    }

    /// Writes the files, by name and content, and gives them their names when all of them are complete; files that had
    /// those names are replaced, others stay.
    ///
    /// # Errors
    /// [`Error::Output`]; nothing is left behind then.
    pub fn finish(self, files: &[(&str, &[u8])]) -> Result<()> {
        let made = self.path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made: Vec<PathBuf> = made.map(Path::to_owned).collect();
        let written = self.write(files);
        if written.is_err() {
            // From the innermost out; one that is not empty is someone else's by now and stays.
            for folder in made {
                _ = std::fs::remove_dir(folder);
            }
        }
        written
    }

    fn write(&self, files: &[(&str, &[u8])]) -> Result<()> {
        let refuse = |file: &Path, e: &std::io::Error| Error::Output {
            file: file.into(),
            rule: format!("cannot be written: {}", io_reason(e)),
        };
        std::fs::create_dir_all(&self.path).map_err(|e| refuse(&self.path, &e))?;
        let mut complete = Vec::new();
        for (name, content) in files {
            let target = self.path.join(name);
            let mut file = temporary(&target).map_err(|e| refuse(&target, &e))?;
            file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(|e| refuse(&target, &e))?;
            // A folder of that name would stop the second file when the first has its name already.
            if target.is_dir() {
                return Err(Error::Output { file: target, rule: "is a folder; move it away".to_owned() });
            }
            complete.push((file, target));
        }
        for (file, target) in complete {
            file.persist(&target).map_err(|e| refuse(&target, &e.error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_come_together_or_not_at_all() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b");
        let folder = OutputFolder::create(&path).unwrap();
        assert_eq!(listing(base.path()), [""; 0], "nothing is made before there is something to write");
        folder.finish(&[("x.html", b"one"), ("x.json", b"two")]).unwrap();
        assert_eq!(listing(&path), ["x.html", "x.json"]);
        std::fs::write(path.join("mine"), "stays").unwrap();
        OutputFolder::create(&path).unwrap().finish(&[("x.html", b"new"), ("x.json", b"new")]).unwrap();
        assert_eq!((listing(&path).len(), std::fs::read(path.join("x.html")).unwrap()), (3, b"new".to_vec()));
        std::fs::create_dir(path.join("y.json")).unwrap();
        let error = OutputFolder::create(&path).unwrap().finish(&[("y.html", b"1"), ("y.json", b"2")]).unwrap_err();
        assert!(error.to_string().ends_with("y.json: is a folder; move it away"), "{error}");
        assert_eq!(listing(&path), ["mine", "x.html", "x.json", "y.json"]);
    }

    #[test]
    fn what_was_made_for_nothing_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let folder = OutputFolder::create(&base.path().join("a/b")).unwrap();
        // A second file that cannot be written, as on a disk that is full by then.
        assert!(folder.finish(&[("x.html", b"one"), ("none/x.json", b"two")]).is_err());
        assert_eq!(listing(base.path()), [""; 0]);
    }

    #[test]
    fn folders_that_cannot_be_are_refused_at_once() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = |path: &Path| OutputFolder::create(path).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refused(&file).contains("file is no folder"), "{}", refused(&file));
        assert!(refused(&file.join("below")).contains("file is no folder"));
        assert!(refused(Path::new("")).contains("no name"));
        assert!(refused(Path::new("/proc/none")).contains("cannot be written"), "{}", refused(Path::new("/proc/none")));
    }
}
