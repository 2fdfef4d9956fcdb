//! What the tools said, kept in a folder by all that it depends on: the tools, the architecture and the PTX.
//!
//! Assembling every module for every architecture takes minutes, and most changes touch no kernel.

use super::{Ptxas, PtxasError, io_error};
use crate::NvvmArch;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

/// An answer that nobody asked for so long is of a kernel that has changed since.
const UNUSED: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The folder, and the tools whose answers are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    folder: PathBuf,
    tools: String,
}

/// Which answer.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// The standard error of ptxas.
    Report,
    /// The standard output of nvdisasm.
    Code,
}

impl Kept {
    pub(super) fn new(folder: &Path, ptxas: &Ptxas) -> Result<Kept, PtxasError> {
        fs::create_dir_all(folder).map_err(io_error(format!("cannot create {}", folder.display())))?;
        let mut tools = format!("{}\n", ptxas.version);
        for tool in std::iter::once(&ptxas.ptxas).chain(&ptxas.nvdisasm) {
            // Versions are not asked of every tool: another file in its place has another length or time.
            let found = fs::metadata(tool).and_then(|found| Ok((found.len(), found.modified()?)));
            let found = found.map_err(io_error(format!("cannot look at {}", tool.display())))?;
            tools += &format!("{} {found:?}\n", tool.display());
        }
        let kept = Kept { folder: folder.to_owned(), tools };
        kept.sweep();
        Ok(kept)
    }

    /// What was kept, if anything.
    pub(super) fn get(&self, answer: Answer, ptx: &str, arch: NvvmArch) -> Result<Option<String>, PtxasError> {
        let file = self.file(answer, ptx, arch);
        match fs::read_to_string(&file) {
            Ok(text) => {
                // Used again; that this cannot be noted only means that it may be made once more.
                _ = fs::File::open(&file).and_then(|file| file.set_modified(SystemTime::now()));
                Ok(Some(text))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(format!("cannot read {}", file.display()))(error)),
        }
    }

    /// Keeps an answer: under its name it is complete or absent.
    pub(super) fn put(&self, answer: Answer, ptx: &str, arch: NvvmArch, text: &str) -> Result<(), PtxasError> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let file = self.file(answer, ptx, arch);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.folder.join(format!("unfinished-{}-{number}", process::id()));
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, &file))
            .map_err(io_error(format!("cannot write {}", file.display())))
    }

    fn file(&self, answer: Answer, ptx: &str, arch: NvvmArch) -> PathBuf {
        let end = match answer {
            Answer::Report => "report",
            Answer::Code => "sass",
        };
        // The arguments of the tools are constants of this program, which may change: they count as well.
        let what = format!("{}{:?}{:?}{arch}\n{ptx}", self.tools, super::ASSEMBLE, super::DISASSEMBLE);
        let digest: String = Sha256::digest(what).iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{digest}.{end}"))
    }

    /// Removes what nobody asked for in a long time, and what an interrupted run left.
    fn sweep(&self) {
        let old = |file: &fs::DirEntry| {
            let modified = file.metadata().ok()?.modified().ok()?;
            Some(modified.elapsed().ok()? > UNUSED)
        };
        // Somebody else may sweep meanwhile: what is gone is gone.
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if old(&file) == Some(true) {
                _ = fs::remove_file(file.path());
            }
        }
    }
}
