//! NVIDIA's assembler and disassembler: what the GPU will really execute, seen without one.

mod find;
mod kept;
#[cfg(all(test, unix))]
mod kept_tests;
mod report;
pub mod sass;

pub use find::{MINIMUM, NotFound, wheel_folder};
pub use report::{Report, Resources};

use crate::NvvmArch;
use kept::{Answer, Kept};
use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
};

/// ptxas, and nvdisasm where it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ptxas {
    /// The assembler.
    pub ptxas: PathBuf,
    /// The disassembler.
    pub nvdisasm: Option<PathBuf>,
    /// The assembler's release: `(13, 0)`.
    pub release: (u32, u32),
    /// The same to the last digit: `13.0.88`.
    pub version: String,
    /// What was said before, where it is kept.
    kept: Option<Kept>,
}

/// Arguments of ptxas, besides the architecture and the files.
const ASSEMBLE: [&str; 2] = ["-v", "-lineinfo"];

/// Arguments of nvdisasm, besides the file.
const DISASSEMBLE: [&str; 2] = ["-c", "-g"];

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PtxasError {
    /// The assembler or the disassembler refused its input.
    #[error("{tool} for {arch}: {said}")]
    Refused {
        /// `ptxas` or `nvdisasm`.
        tool: &'static str,
        /// The architecture.
        arch: NvvmArch,
        /// What it said: `module.ptx, line 7; error : ..`
        said: String,
    },
    /// There is no nvdisasm beside or instead of ptxas.
    #[error("nvdisasm is in none of the places that ptxas is looked for in: run `{}`", crate::toolchain::SETUP)]
    NoDisassembler,
    /// A file or program could not be used.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
}

/// An assembled module.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The machine code, an ELF file.
    pub cubin: Vec<u8>,
    /// What `ptxas -v` said of it.
    pub report: Report,
}

impl Ptxas {
    /// Finds the tools: on `PATH`; under `CUDA_HOME`, `CUDA_PATH`, `CUDA_ROOT` and the usual folders; in the private
    /// folder that `cargo xtask setup` makes. A ptxas older than [`MINIMUM`] is passed over.
    ///
    /// # Errors
    /// No usable ptxas: says the command that mends it.
    pub fn find() -> Result<Ptxas, NotFound> {
        find::find()
    }

    /// The same tools, which keep in `folder` what they say of a text, and are not asked again: for who asks of many texts time
    /// and again. Refusals are not kept. What nobody asked for in two weeks is removed.
    ///
    /// # Errors
    /// The folder cannot be made, or a tool is gone.
    pub fn keeping_in(self, folder: &Path) -> Result<Ptxas, PtxasError> {
        let kept = Kept::new(folder, &self)?;
        Ok(Ptxas { kept: Some(kept), ..self })
    }

    /// The resources that each entry of a PTX text takes on an architecture, and ptxas' warnings.
    ///
    /// # Errors
    /// ptxas refuses the text, or cannot be run.
    pub fn assemble(&self, ptx: &str, arch: NvvmArch) -> Result<Report, PtxasError> {
        match self.before(Answer::Report, ptx, arch)? {
            Some(said) => Ok(Report::read(&said)),
            None => self.assemble_cubin(ptx, arch).map(|assembled| assembled.report),
        }
    }

    /// As [`Ptxas::assemble`], for a file.
    ///
    /// # Errors
    /// As there; also a file that cannot be read.
    pub fn assemble_file(&self, ptx: &Path, arch: NvvmArch) -> Result<Report, PtxasError> {
        let text = fs::read_to_string(ptx).map_err(io_error(format!("cannot read {}", ptx.display())))?;
        self.assemble(&text, arch)
    }

    /// As [`Ptxas::assemble`], with the machine code.
    ///
    /// # Errors
    /// As there.
    pub fn assemble_cubin(&self, ptx: &str, arch: NvvmArch) -> Result<Assembled, PtxasError> {
        let scratch = Scratch::new()?;
        scratch.write("module.ptx", ptx.as_bytes())?;
        // Run within the folder: messages then name module.ptx and no path.
        let mut command = Command::new(&self.ptxas);
        command.args(ASSEMBLE).args([&format!("-arch={arch}"), "module.ptx", "-o", "module.cubin"]);
        let output = scratch.run(command, "ptxas", arch)?;
        let said = String::from_utf8_lossy(&output.stderr);
        self.keep(Answer::Report, ptx, arch, &said)?;
        Ok(Assembled { cubin: scratch.read("module.cubin")?, report: Report::read(&said) })
    }

    /// The machine code of each entry as text, with the Rust source lines as comments.
    ///
    /// # Errors
    /// As [`Ptxas::assemble`]; also when there is no nvdisasm.
    pub fn sass(&self, ptx: &str, arch: NvvmArch) -> Result<BTreeMap<String, String>, PtxasError> {
        // Asked for first: without it there is no need to assemble anything.
        let nvdisasm = self.nvdisasm.as_ref().ok_or(PtxasError::NoDisassembler)?;
        if let Some(said) = self.before(Answer::Code, ptx, arch)? {
            return Ok(report::sass_by_entry(&said));
        }
        let scratch = Scratch::new()?;
        scratch.write("module.cubin", &self.assemble_cubin(ptx, arch)?.cubin)?;
        let mut command = Command::new(nvdisasm);
        command.args(DISASSEMBLE).arg("module.cubin");
        let output = scratch.run(command, "nvdisasm", arch)?;
        let said = String::from_utf8_lossy(&output.stdout);
        self.keep(Answer::Code, ptx, arch, &said)?;
        Ok(report::sass_by_entry(&said))
    }

    /// What a tool said of the text before.
    fn before(&self, answer: Answer, ptx: &str, arch: NvvmArch) -> Result<Option<String>, PtxasError> {
        self.kept.as_ref().map_or(Ok(None), |kept| kept.get(answer, ptx, arch))
    }

    fn keep(&self, answer: Answer, ptx: &str, arch: NvvmArch, said: &str) -> Result<(), PtxasError> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.put(answer, ptx, arch, said))
    }
}

fn io_error(what: String) -> impl FnOnce(io::Error) -> PtxasError {
    move |error| PtxasError::Io { what, error }
}

/// A folder of its own for one run, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, PtxasError> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("cuda_builder-{}-{number}", std::process::id()));
        // Not create_dir_all: somebody else's folder of that name would be an error here, never used.
        fs::create_dir(&folder).map_err(io_error(format!("cannot create {}", folder.display())))?;
        Ok(Scratch(folder))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), PtxasError> {
        fs::write(self.0.join(name), content).map_err(io_error(format!("cannot write {name}")))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, PtxasError> {
        fs::read(self.0.join(name)).map_err(io_error(format!("cannot read {name}")))
    }

    fn run(&self, mut command: Command, tool: &'static str, arch: NvvmArch) -> Result<Output, PtxasError> {
        let output = command.current_dir(&self.0).output();
        let output = output.map_err(io_error(format!("cannot run {}", command.get_program().display())))?;
        if output.status.success() {
            return Ok(output);
        }
        let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        Err(PtxasError::Refused { tool, arch, said: said.trim().to_owned() })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in a folder for temporary files harms nobody.
        _ = fs::remove_dir_all(&self.0);
    }
}
