//! The command line as its users see it: exit statuses, messages, files.

mod bad_input;
mod calibrate;
mod choice;
mod drift;
mod pack;
mod runs;
mod serve;
mod study;

use safetensors::{Dtype, tensor::TensorView};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// Runs the program on the simulator, which every machine has.
fn outerscale(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outerscale"))
        .args(arguments)
        .env("OUTERSCALE_BACKEND", "sim")
        .env_remove("OUTERSCALE_LOG")
        .env_remove("RUST_LOG")
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

/// A directory with a layer that is right until a test makes it wrong.
struct Bench {
    directory: TempDir,
    tensors: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Bench {
    /// x [3, 5], w [4, 5], bias [4], calib_absmax [5], all f32.
    fn new() -> Self {
        let mut bench = Bench { directory: tempfile::tempdir().expect("a temporary directory"), tensors: Vec::new() };
        let wave = |n: usize| (0..n).map(|i| (i as f32 * 1.7).sin()).collect::<Vec<_>>();
        bench.set_f32("x", &[3, 5], &wave(15));
        bench.set_f32("w", &[4, 5], &wave(20));
        bench.set_f32("bias", &[4], &wave(4));
        bench.set_f32("calib_absmax", &[5], &[1.0; 5]);
        bench
    }

    fn set(&mut self, name: &'static str, dtype: Dtype, shape: &[usize], data: Vec<u8>) {
        self.remove(name);
        self.tensors.push((name, dtype, shape.to_vec(), data));
    }

    fn set_f32(&mut self, name: &'static str, shape: &[usize], values: &[f32]) {
        self.set(name, Dtype::F32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect());
    }

    fn set_i32(&mut self, name: &'static str, shape: &[usize], values: &[i32]) {
        self.set(name, Dtype::I32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect());
    }

    /// A tensor of zeros.
    fn set_zeros(&mut self, name: &'static str, dtype: Dtype, shape: &[usize]) {
        self.set(name, dtype, shape, vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8]);
    }

    fn remove(&mut self, name: &str) {
        self.tensors.retain(|tensor| tensor.0 != name);
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).expect("the test's tensor is sound"))
        });
        safetensors::serialize(views, None).expect("the test's file is sound")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the layer and runs `linear` on it.
    fn linear(&self, flags: &[&str]) -> Output {
        fs::write(self.path("layer"), self.bytes()).expect("the layer is written");
        self.linear_of("layer", flags)
    }

    /// Runs `linear` on a file of the directory, output to `out` there.
    fn linear_of(&self, file: &str, flags: &[&str]) -> Output {
        let (file, out) = (self.path(file), self.path("out"));
        let mut arguments = vec!["linear", text(&file)];
        if !flags.contains(&"--out") {
            arguments.extend(["--out", text(&out)]);
        }
        arguments.extend(flags);
        outerscale(&arguments)
    }

    /// The names of what is in the directory.
    fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("the directory can be listed");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Asserts exit status 2, one line on stderr that holds `what`, and nothing on stdout.
#[track_caller]
fn assert_refused(output: &Output, what: &str) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(message.contains(what), "want {what:?} in {message:?}");
    assert_eq!(stdout(output), "");
}
