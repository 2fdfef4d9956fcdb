//! [`CudaBuilder`]: its options, and the order of the work.

use crate::{
    CudaBuilderError, NvvmArch, lint, marker,
    nested::Nested,
    sources, text,
    text::PathMap,
    toolchain::{self, Toolchain},
};
use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

/// How much debug information the PTX holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugInfo {
    /// None.
    None,
    /// Source lines: what Nsight Compute's source view and `nvdisasm -g` read. The machine code is unchanged.
    LineTables,
}

/// What to emit beside the PTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitOption {
    /// LLVM IR as text.
    LlvmIr,
    /// LLVM IR as bitcode.
    Bitcode,
}

/// Compiles a crate to PTX. Methods as in Rust-CUDA; what this back end cannot honour, [`CudaBuilder::build`] refuses.
#[derive(Clone, Debug)]
#[must_use = "nothing is compiled before build()"]
pub struct CudaBuilder {
    crate_dir: PathBuf,
    release: bool,
    copy_to: Option<PathBuf>,
    debug: DebugInfo,
    nvvm_opts: bool,
    arch: NvvmArch,
    ftz: bool,
    fast_sqrt: bool,
    fast_div: bool,
    fma_contraction: bool,
    emit: Option<EmitOption>,
    optix: bool,
    override_libm: bool,
    use_constant_memory_space: bool,
    build_args: Vec<String>,
    final_module_path: Option<PathBuf>,
    target_dir: Option<PathBuf>,
}

/// A compiled module.
#[derive(Clone, Debug)]
pub struct BuildOutput {
    /// The PTX, rewritten and checked.
    pub ptx: PathBuf,
    /// The LLVM IR or bitcode, when it was asked for.
    pub emitted: Option<PathBuf>,
    /// Every file that the module was made of, but the compiler's.
    pub sources: Vec<PathBuf>,
    /// Whether the compiler ran; `false` when all was in place.
    pub compiled: bool,
    /// The device compiler: `rustc 1.96.0 (LLVM 22.1.8)`.
    pub compiler: String,
}

impl CudaBuilder {
    /// A builder for the crate in a folder, relative to the working directory (in a build script: its package).
    ///
    /// Defaults: `sm_80`, release, line information, and IEEE arithmetic without contraction: the last differs from
    /// Rust-CUDA, whose default contracts, since results are promised bit for bit.
    pub fn new(path_to_crate_root: impl AsRef<Path>) -> Self {
        CudaBuilder {
            crate_dir: path_to_crate_root.as_ref().to_owned(),
            release: true,
            copy_to: None,
            debug: DebugInfo::LineTables,
            nvvm_opts: true,
            arch: NvvmArch::Compute80,
            ftz: false,
            fast_sqrt: false,
            fast_div: false,
            fma_contraction: false,
            emit: None,
            optix: false,
            override_libm: false,
            use_constant_memory_space: false,
            build_args: Vec::new(),
            final_module_path: None,
            target_dir: None,
        }
    }

    /// Further arguments of the nested `cargo rustc`.
    pub fn build_args(mut self, args: &[impl AsRef<str>]) -> Self {
        self.build_args.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// How much debug information to generate; the same switch as [`CudaBuilder::generate_line_info`].
    pub fn debug(mut self, debug: DebugInfo) -> Self {
        self.debug = debug;
        self
    }

    /// Optimised (`true`, the default). `false` is refused: unoptimised kernels are full of calls and local memory.
    pub fn release(mut self, release: bool) -> Self {
        self.release = release;
        self.nvvm_opts = release;
        self
    }

    /// Whether the PTX tells the source line of each instruction (default: yes).
    pub fn generate_line_info(mut self, generate_line_info: bool) -> Self {
        self.debug = if generate_line_info { DebugInfo::LineTables } else { DebugInfo::None };
        self
    }

    /// Whether the back end optimises (default: yes); `false` is refused, as in [`CudaBuilder::release`].
    pub fn nvvm_opts(mut self, nvvm_opts: bool) -> Self {
        self.nvvm_opts = nvvm_opts;
        self
    }

    /// The architecture (default: `sm_80`).
    pub fn arch(mut self, arch: NvvmArch) -> Self {
        self.arch = arch;
        self
    }

    /// Flush f32 subnormals to zero; `true` is refused: rustc has no way to say it.
    pub fn ftz(mut self, ftz: bool) -> Self {
        self.ftz = ftz;
        self
    }

    /// `sqrt.approx` for f32 (default: correctly rounded).
    pub fn fast_sqrt(mut self, fast_sqrt: bool) -> Self {
        self.fast_sqrt = fast_sqrt;
        self
    }

    /// `div.approx` for f32 (default: correctly rounded).
    pub fn fast_div(mut self, fast_div: bool) -> Self {
        self.fast_div = fast_div;
        self
    }

    /// Whether a multiplication and an addition may become one fma (default: no).
    pub fn fma_contraction(mut self, fma_contraction: bool) -> Self {
        self.fma_contraction = fma_contraction;
        self
    }

    /// Emit LLVM IR beside the PTX.
    pub fn emit_llvm_ir(mut self, emit_llvm_ir: bool) -> Self {
        self.emit = emit_llvm_ir.then_some(EmitOption::LlvmIr);
        self
    }

    /// Emit LLVM bitcode beside the PTX.
    pub fn emit_llvm_bitcode(mut self, emit_llvm_bitcode: bool) -> Self {
        self.emit = emit_llvm_bitcode.then_some(EmitOption::Bitcode);
        self
    }

    /// Copy the PTX to a file; left untouched when it already has that content.
    pub fn copy_to(mut self, path: impl AsRef<Path>) -> Self {
        self.copy_to = Some(path.as_ref().to_owned());
        self
    }

    /// Compile for OptiX; `true` is refused.
    pub fn optix(mut self, optix: bool) -> Self {
        self.optix = optix;
        self
    }

    /// Replace libm's functions by libdevice's; `true` is refused (default: no).
    pub fn override_libm(mut self, override_libm: bool) -> Self {
        self.override_libm = override_libm;
        self
    }

    /// Place statics in constant memory; `true` is refused.
    pub fn use_constant_memory_space(mut self, use_constant_memory_space: bool) -> Self {
        self.use_constant_memory_space = use_constant_memory_space;
        self
    }

    /// Write the module's final LLVM IR to a file.
    pub fn final_module_path(mut self, path: impl AsRef<Path>) -> Self {
        self.final_module_path = Some(path.as_ref().to_owned());
        self
    }

    /// The device target directory. Default: the folder `device` in the outer build's target directory, so that one
    /// build of `core` serves every module and architecture.
    pub fn target_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.target_dir = Some(path.as_ref().to_owned());
        self
    }

    /// Compiles, rewrites, checks. In a build script it also tells cargo which files to watch.
    ///
    /// Builds that share a target directory wait for each other.
    ///
    /// # Errors
    /// An option that cannot be honoured, no device compiler, a failed compilation, or PTX that the lint refuses.
    pub fn build(self) -> Result<BuildOutput, CudaBuilderError> {
        self.refuse_unsupported()?;
        let crate_dir = self
            .crate_dir
            .canonicalize()
            .ok()
            .filter(|folder| folder.join("Cargo.toml").is_file())
            .ok_or_else(|| CudaBuilderError::CratePathDoesntExist(self.crate_dir.clone()))?;
        let manifest = crate_dir.join("Cargo.toml");
        let manifest_text = fs::read_to_string(&manifest).map_err(CudaBuilderError::io("cannot read", &manifest))?;
        let package = sources::package_name(&manifest_text)
            .ok_or_else(|| CudaBuilderError::Manifest { path: manifest, why: "no name in [package]".to_owned() })?;
        let workspace = sources::workspace_of(&crate_dir);
        if is_build_script() {
            // Before anything can fail: a mended environment must be seen.
            println!("cargo:rerun-if-env-changed={}", toolchain::RUSTC_VARIABLE);
        }
        let toolchain = toolchain::find(&crate_dir)?;
        let target_dir = self.target_dir.clone().unwrap_or_else(|| default_target_dir(&workspace));
        let folder = target_dir.join("ptx");
        fs::create_dir_all(&folder).map_err(CudaBuilderError::io("cannot create", &folder))?;
        let _lock = lock(&target_dir)?;

        let arch = self.arch.sm();
        let flags = self.flags();
        let stem = folder.join(format!("{package}.{arch}.{:016x}", self.configuration(&toolchain, &crate_dir, &flags)));
        let path = |extension: &str| PathBuf::from(format!("{}.{extension}", stem.display()));
        let (raw_path, ptx_path) = (path("raw.s"), path("ptx"));
        let ir_path = match self.emit {
            Some(EmitOption::Bitcode) => Some(("llvm-bc", path("bc"))),
            Some(EmitOption::LlvmIr) => Some(("llvm-ir", path("ll"))),
            None => self.final_module_path.as_ref().map(|_| ("llvm-ir", path("ll"))),
        };
        let emits: Vec<_> = [Some(("asm", raw_path.clone())), ir_path.clone()].into_iter().flatten().collect();
        let nested = Nested {
            toolchain: &toolchain,
            crate_dir: &crate_dir,
            package: &package,
            arch: &arch,
            target_dir: &target_dir,
            flags: &flags,
            build_args: &self.build_args,
            emits: &emits,
        };
        let built = nested.run()?;
        let found = sources::of(&built.dep_info, &workspace, &toolchain.sysroot);
        let mut watched = found.map_err(CudaBuilderError::io("cannot read", &built.dep_info))?;
        watched.push(toolchain.rustc.clone());
        if is_build_script() {
            watched.iter().for_each(|file| println!("cargo:rerun-if-changed={}", file.display()));
        }
        watched.pop();

        let raw = fs::read_to_string(&raw_path).map_err(|_| CudaBuilderError::NothingEmitted {
            krate: package.clone(),
            arch: arch.clone(),
            path: raw_path.clone(),
            target_dir: target_dir.clone(),
        })?;
        let markers =
            marker::read_all(&raw).map_err(|error| CudaBuilderError::Marker { krate: package.clone(), error })?;
        let ptx = text::rewrite(&raw, &markers, &path_map(&workspace, &toolchain))
            .map_err(|error| CudaBuilderError::Text { krate: package.clone(), error })?;
        write_if_changed(&ptx_path, ptx.as_bytes()).map_err(CudaBuilderError::io("cannot write", &ptx_path))?;
        let findings = lint::check(&ptx, &markers);
        if !findings.is_empty() {
            return Err(CudaBuilderError::Lint { krate: package, arch, path: ptx_path, findings });
        }
        if let Some(path) = &self.copy_to {
            write_if_changed(path, ptx.as_bytes())
                .map_err(|error| CudaBuilderError::FailedToCopyPtxFile { path: path.clone(), error })?;
        }
        if let (Some(path), Some((_, ir))) = (&self.final_module_path, &ir_path) {
            fs::copy(ir, path).map_err(CudaBuilderError::io("cannot write", path))?;
        }
        let emitted = self.emit.and(ir_path).map(|(_, path)| path);
        let (compiled, compiler) = (!built.was_fresh, toolchain.to_string());
        Ok(BuildOutput { ptx: ptx_path, emitted, sources: watched, compiled, compiler })
    }

    fn refuse_unsupported(&self) -> Result<(), CudaBuilderError> {
        let optimised = "unoptimised kernels keep calls and local memory, which the lint refuses";
        let refused = [
            (!self.release, "release(false)", optimised),
            (!self.nvvm_opts, "nvvm_opts(false)", optimised),
            (self.ftz, "ftz(true)", "rustc has no switch for flushing subnormals: use instructions with .ftz"),
            (self.optix, "optix(true)", "OptiX needs Rust-CUDA's libNVVM back end"),
            (self.override_libm, "override_libm(true)", "libdevice needs libNVVM: call cuda_std's functions"),
            (
                self.use_constant_memory_space,
                "use_constant_memory_space(true)",
                "rustc places statics in global memory",
            ),
            (
                self.final_module_path.is_some() && self.emit == Some(EmitOption::Bitcode),
                "final_module_path with emit_llvm_bitcode(true)",
                "the final module is text: ask for one of the two",
            ),
        ];
        match refused.into_iter().find(|(is_asked, ..)| *is_asked) {
            Some((_, option, why)) => Err(CudaBuilderError::Unsupported { option: option.to_owned(), why }),
            None => Ok(()),
        }
    }

    /// The compiler flags that the options ask for.
    fn flags(&self) -> Vec<String> {
        let flags = [
            (self.debug == DebugInfo::LineTables, "-Cdebuginfo=line-tables-only"),
            (self.fast_sqrt, "-Cllvm-args=-nvptx-prec-sqrtf32=0"),
            (self.fast_div, "-Cllvm-args=-nvptx-prec-divf32=0"),
            (self.fma_contraction, "-Cllvm-args=-nvptx-fma-level=2"),
        ];
        flags.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, flag)| flag.to_owned()).collect()
    }

    /// A mark of everything that decides what is emitted besides the sources: another mark, another file.
    fn configuration(&self, toolchain: &Toolchain, crate_dir: &Path, flags: &[String]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (crate_dir, flags, &self.build_args, self.arch, self.emit.map(|emit| emit as u8)).hash(&mut hasher);
        (self.final_module_path.is_some(), &toolchain.rustc, &toolchain.release, &toolchain.commit).hash(&mut hasher);
        hasher.finish()
    }
}

fn is_build_script() -> bool {
    ["OUT_DIR", "TARGET", "HOST", "NUM_JOBS"].iter().all(|name| env::var_os(name).is_some())
}

/// The folder `device` in the outer build's target directory, or in the workspace's own; one for each workspace.
fn default_target_dir(workspace: &Path) -> PathBuf {
    // OUT_DIR is TARGET_DIR/[TRIPLE/]PROFILE/build/PACKAGE-HASH/out; cargo marks TARGET_DIR as a cache.
    let out_dir = env::var_os("OUT_DIR").filter(|_| is_build_script()).map(PathBuf::from);
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let outer = out_dir.as_deref().and_then(|out_dir| out_dir.ancestors().find(marked)).map(Path::to_owned);
    let outer = outer.or_else(|| env::var_os("CARGO_TARGET_DIR").map(PathBuf::from));
    let outer = outer.unwrap_or_else(|| workspace.join("target"));
    let repository = workspace.parent().unwrap_or(workspace);
    if outer.starts_with(repository) {
        return outer.join("device");
    }
    // Cargo tells crates apart by their path within the workspace: two clones that share a target directory would get
    // each other's crates.
    let mut hasher = DefaultHasher::new();
    workspace.hash(&mut hasher);
    outer.join(format!("device-{:016x}", hasher.finish()))
}

/// One build at a time in a target directory: build scripts, IDEs and tests run at once. Held until dropped.
fn lock(target_dir: &Path) -> Result<File, CudaBuilderError> {
    let path = target_dir.join(".cuda_builder.lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(CudaBuilderError::io("cannot open", &path))?;
    file.lock().map_err(CudaBuilderError::io("cannot lock", &path))?;
    Ok(file)
}

/// Sources as seen from the folder that holds the device workspace; `core`'s as `core/..`.
fn path_map(workspace: &Path, toolchain: &Toolchain) -> PathMap {
    let library = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    let mut from = vec![library.clone()];
    from.extend(library.canonicalize());
    from.extend(workspace.parent().map(Path::to_owned));
    let prefixes = from.into_iter().map(|from| (from.display().to_string(), String::new())).collect();
    PathMap { prefixes }
}

/// Writes through a temporary sibling, and only what changed: a reader never sees half a file, and who watches the file
/// is not woken for nothing.
fn write_if_changed(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let mut sibling = path.as_os_str().to_owned();
    sibling.push(format!(".{}.tmp", std::process::id()));
    fs::write(&sibling, content)?;
    fs::rename(&sibling, path)
}
