//! Compiles a small device workspace and looks at the PTX. Needs a device compiler (`cargo xtask setup`), no network and
//! no GPU.

use cuda_builder::{BuildOutput, CudaBuilder, CudaBuilderError, NvvmArch, toolchain};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A private copy of the fixture. All share one target directory, hence one build of `core`.
struct Fixture {
    root: PathBuf,
}

impl Fixture {
    /// `None`, said aloud, where no device compiler is.
    fn new() -> Option<Fixture> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        if let Err(error) = toolchain::find(Path::new(env!("CARGO_MANIFEST_DIR"))) {
            // Past the harness, which would keep it to itself.
            _ = writeln!(io::stderr(), "SKIPPED: {error}");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fixture-{}-{number}", std::process::id()));
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture"), &root);
        let fixture = Fixture { root };
        // Cargo tells packages apart by their name and place in the workspace, not by the workspace's own.
        fixture.edit("kern/Cargo.toml", "name = \"kern\"", &format!("name = \"kern{number}\""));
        fixture.edit("kern/Cargo.toml", "helper = {", &format!("helper = {{ package = \"helper{number}\","));
        fixture.edit("helper/Cargo.toml", "name = \"helper\"", &format!("name = \"helper{number}\""));
        Some(fixture)
    }

    fn builder(&self) -> CudaBuilder {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("device");
        CudaBuilder::new(self.root.join("kern")).target_dir(shared)
    }

    /// Replaces text in a file; it must be there.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.root);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn text(output: &BuildOutput) -> String {
    fs::read_to_string(&output.ptx).unwrap()
}

#[test]
fn ptx_is_rewritten_and_names_no_machine_path() {
    let Some(fixture) = Fixture::new() else { return };
    let copied = fixture.root.join("copy.ptx");
    let output = fixture.builder().copy_to(&copied).build().unwrap();
    let ptx = text(&output);
    assert_eq!(fs::read_to_string(copied).unwrap(), ptx);
    assert!(ptx.contains(".target sm_80\n"), "{ptx}");
    assert!(ptx.contains(")\n.maxntid 256, 1, 1\n.minnctapersm 2\n{"), "{ptx}");
    assert!(ptx.contains(".param .align 64 .b8 ratio_param_1[128]"), "{ptx}");
    assert!(!ptx.contains(".func") && !ptx.contains(".section"), "{ptx}");
    // Exactly rounded and uncontracted unless asked for otherwise.
    assert!(ptx.contains("mul.rn.f32") && ptx.contains("div.rn.f32") && ptx.contains("sqrt.rn.f32"), "{ptx}");
    let folder = fixture.root.file_name().unwrap().to_str().unwrap();
    let files: Vec<&str> = ptx.lines().filter(|line| line.trim_start().starts_with(".file")).collect();
    assert!(files.iter().any(|line| line.contains(&format!("\"{folder}/kern/src/body.rs\""))), "{files:?}");
    assert!(files.iter().any(|line| line.contains(&format!("\"{folder}/helper/src/lib.rs\""))), "{files:?}");
    assert!(files.iter().all(|line| !line.contains("\"/")), "{files:?}");
}

#[test]
fn a_second_folder_gives_the_same_ptx() {
    let (Some(one), Some(two)) = (Fixture::new(), Fixture::new()) else { return };
    let first = text(&one.builder().build().unwrap()).replace(one.root.file_name().unwrap().to_str().unwrap(), "");
    let second = text(&two.builder().build().unwrap()).replace(two.root.file_name().unwrap().to_str().unwrap(), "");
    assert_eq!(first, second);
}

#[test]
fn exactly_what_changed_is_compiled() {
    let Some(fixture) = Fixture::new() else { return };
    let first = fixture.builder().build().unwrap();
    assert!(first.compiled);
    assert!(!fixture.builder().build().unwrap().compiled, "nothing changed");
    let root = fixture.root.canonicalize().unwrap();
    for name in ["kern/src/lib.rs", "kern/src/body.rs", "helper/src/lib.rs", "kern/Cargo.toml", "helper/Cargo.toml"] {
        assert!(first.sources.contains(&root.join(name)), "{name} in {:?}", first.sources);
    }
    assert!(first.sources.contains(&root.join("Cargo.toml")) && first.sources.contains(&root.join("Cargo.lock")));
    assert!(first.sources.iter().all(|file| file.starts_with(&root)), "{:?}", first.sources);

    // A dependency's constant reaches the PTX.
    assert!(text(&first).contains("0f40400000"));
    fixture.edit("helper/src/lib.rs", "3.0", "5.0");
    let second = fixture.builder().build().unwrap();
    assert!(second.compiled && second.ptx == first.ptx && text(&second).contains("0f40A00000"));

    // Another architecture has its own file, and leaves this one fresh.
    let other = fixture.builder().arch(NvvmArch::Compute90a).build().unwrap();
    assert!(other.compiled && text(&other).contains(".target sm_90a\n"));
    let again = fixture.builder().build().unwrap();
    assert!(!again.compiled && text(&again) == text(&second));

    // Cargo would call the unit fresh although what it emitted is gone.
    let raw = again.ptx.with_extension("raw.s");
    fs::remove_file(&again.ptx).unwrap();
    fs::remove_file(&raw).unwrap();
    let restored = fixture.builder().build().unwrap();
    assert!(restored.compiled && text(&restored) == text(&second));
}

#[test]
fn options_reach_the_compiler() {
    let Some(fixture) = Fixture::new() else { return };
    let fast = fixture.builder().fast_div(true).fast_sqrt(true).fma_contraction(true).generate_line_info(false);
    let ptx = text(&fast.build().unwrap());
    assert!(ptx.contains("div.approx.f32") && ptx.contains("sqrt.approx") && ptx.contains("fma.rn.f32"), "{ptx}");
    assert!(!ptx.contains(".loc") && !ptx.contains(".file"), "{ptx}");

    let module = fixture.root.join("module.ll");
    let output = fixture.builder().emit_llvm_ir(true).final_module_path(&module).build().unwrap();
    let ir = fs::read_to_string(output.emitted.unwrap()).unwrap();
    assert!(ir.contains("define ptx_kernel void @scale_add(") && ir == fs::read_to_string(module).unwrap());
}

#[test]
fn builds_at_once_wait_for_each_other() {
    let Some(fixture) = Fixture::new() else { return };
    let archs = [NvvmArch::Compute80, NvvmArch::Compute89, NvvmArch::Compute80, NvvmArch::Compute120];
    let fixture = &fixture;
    let texts = std::thread::scope(|scope| {
        let builds = archs.map(|arch| scope.spawn(move || text(&fixture.builder().arch(arch).build().unwrap())));
        builds.map(|build| build.join().unwrap())
    });
    for (arch, ptx) in archs.iter().zip(&texts) {
        assert!(ptx.contains(&format!(".target {arch}\n")), "{arch}: {ptx}");
    }
    assert_eq!(texts[0], texts[2]);
}

#[test]
fn a_kernel_that_may_panic_is_refused_by_name() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.edit("kern/src/lib.rs", "map.0[3]", "map.0[*y as usize]");
    let error = fixture.builder().build().unwrap_err();
    assert!(matches!(&error, CudaBuilderError::Lint { findings, .. } if findings.iter().all(|f| f.entry == "ratio")));
    let message = error.to_string();
    assert!(message.contains("entry `ratio`: calls `") && message.contains("uses local memory"), "{message}");
}

#[test]
fn another_count_of_barriers_is_refused() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.edit("kern/src/lib.rs", "bar.sync:1", "bar.sync:2");
    let message = fixture.builder().build().unwrap_err().to_string();
    assert!(message.contains("entry `scale_add`: has 1 bar.sync and declares 2"), "{message}");
}

#[test]
fn a_compile_error_is_shown() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.edit("kern/src/body.rs", "x: f32", "x: NoSuchType");
    let message = fixture.builder().build().unwrap_err().to_string();
    assert!(message.contains("for sm_80 failed") && message.contains("NoSuchType"), "{message}");
    // Mended, the same builder's path works again.
    fixture.edit("kern/src/body.rs", "x: NoSuchType", "x: f32");
    assert!(fixture.builder().build().is_ok());
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let builder = || CudaBuilder::new(env!("CARGO_MANIFEST_DIR"));
    let refused = [
        (builder().release(false), "release(false)"),
        (builder().nvvm_opts(false), "nvvm_opts(false)"),
        (builder().ftz(true), "ftz(true)"),
        (builder().optix(true), "optix(true)"),
        (builder().override_libm(true), "override_libm(true)"),
        (builder().use_constant_memory_space(true), "use_constant_memory_space(true)"),
    ];
    for (builder, option) in refused {
        let message = builder.build().unwrap_err().to_string();
        assert!(message.contains(&format!("CudaBuilder::{option} cannot be honoured")), "{message}");
    }
    let message = CudaBuilder::new("no/such/crate").build().unwrap_err().to_string();
    assert!(message.contains("no/such/crate is not a crate"), "{message}");
}
