//! The program `ptx-sim`: what goes in, what comes out, what it ends with, what it leaves behind.

mod counts;
mod readme;
mod specs;

use std::path::PathBuf;
use std::process::{Command, Output};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// A directory of its own to run the program in.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// A kernel `k` with these parameters and body.
    fn kernel(&self, params: &str, body: &str) {
        self.write(
            "k.ptx",
            format!(
                ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k({params})\n{{\n.reg .pred %p<4>;\n\
                 .reg .b16 %h<8>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<16>;\n{body}\nret;\n}}\n"
            ),
        );
    }

    fn tensors(&self, name: &str, tensors: &[(&str, Dtype, &[usize], &[u8])]) {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap()));
        self.write(name, safetensors::serialize(views, None).unwrap());
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ptx-sim")).args(args).current_dir(self.0.path()).output().unwrap()
    }

    /// What a run prints that has to end with `code`.
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}{err}");
        // Reasons not to run are one line; reports go to standard output.
        assert_eq!(err.lines().count(), usize::from(code == 2), "{err}");
        if code == 2 { err } else { out }
    }

    /// One tensor of a saved file.
    fn saved(&self, file: &str, tensor: &str) -> (Dtype, Vec<usize>, Vec<u8>) {
        let bytes = std::fs::read(self.path(file)).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let view = tensors.tensor(tensor).unwrap();
        (view.dtype(), view.shape().to_vec(), view.data().to_vec())
    }

    /// How many files there are.
    fn files(&self) -> usize {
        std::fs::read_dir(self.0.path()).unwrap().count()
    }
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// The flags for one thread of `k.ptx`, and more.
fn one<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    ["k.ptx", "--grid", "1", "--block", "1"].iter().chain(rest).copied().collect()
}

fn data(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_tensor_goes_in_and_a_result_comes_out() {
    let place = Place::new();
    place.tensors("x.safetensors", &[("x", Dtype::F32, &[250], &floats((0..250).map(|i| i as f32)))]);
    let file = data("scale.ptx");
    let args = [&file, "--kernel", "scale", "--grid", "2", "--block", "128", "--arg", "in:x.safetensors#x"];
    let rest = ["--arg", "out:y=F32[250]", "--arg", "f32:0.5", "--arg", "u32:250", "--save", "y.safetensors"];
    let text = place.ends(0, &[&args[..], &rest[..], &["--schedules", "4"]].concat());
    assert!(text.contains("schedules late, eager, random:0, random:1\nclean"), "{text}");
    let (dtype, shape, bytes) = place.saved("y.safetensors", "y");
    assert_eq!((dtype, shape), (Dtype::F32, vec![250]));
    assert!(bytes == floats((0..250).map(|i| 0.5 * i as f32)));
    // The tensor that went in has no name to be saved under.
    let saved = std::fs::read(place.path("y.safetensors")).unwrap();
    assert_eq!(SafeTensors::deserialize(&saved).unwrap().names(), ["y"]);
    assert_eq!(place.files(), 2, "nothing else was left behind");
}

#[test]
fn findings_end_with_1_and_leave_no_partial_output() {
    let place = Place::new();
    place.kernel(".param .u64 y", "ld.param.u64 %rd1, [y];\nst.global.u32 [%rd1], 1;\nst.global.u32 [%rd1+4], 2;");
    let args = one(&["--arg", "out:y=u32[1]", "--save", "y.safetensors"]);
    let text = place.ends(1, &args);
    let parts =
        ["error: out-of-bounds access", "line 12", "st.global.u32 [%rd1+4], 2;", "thread (0, 0, 0)", "buffer y"];
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!place.path("y.safetensors").exists());
    // What had the name before stays.
    place.write("y.safetensors", "before");
    place.ends(1, &args);
    assert_eq!(std::fs::read(place.path("y.safetensors")).unwrap(), b"before");
    assert_eq!(place.files(), 2);

    let json: Value = serde_json::from_str(&place.ends(1, &[&args[..], &["--json"]].concat())).unwrap();
    assert_eq!(json["clean"], false);
    let finding = &json["findings"][0];
    assert_eq!((finding["kind"].as_str(), finding["line"].as_u64()), (Some("out-of-bounds access"), Some(12)));
    assert_eq!((finding["thread"][0].as_u64(), finding["bytes"].as_u64()), (Some(0), Some(4)));
    assert!(json["metrics"].is_null());

    place.kernel("", "AGAIN:\nbra AGAIN;");
    let text = place.ends(1, &one(&["--max-instructions", "1000"]));
    assert!(text.contains("error: instruction limit"), "{text}");
}

#[test]
fn findings_fit_in_120_columns_and_tell_what_is_alike_once() {
    let place = Place::new();
    // Every warp of eight waits at a barrier for sixteen, but the last, which exits.
    place.kernel(
        ".param .u64 x",
        "mov.u32 %r1, %tid.x;\nsetp.ge.u32 %p1, %r1, 224;\n@%p1 bra OUT;\nbarrier.sync 1, 512;\nOUT:",
    );
    let launch = ["k.ptx", "--grid", "1", "--block", "256"];
    let text = place.ends(1, &[&launch[..], &["--arg", "scratch:u32[1]"]].concat());
    assert!(text.contains("warps 0 to 6 wait at barrier 1 for 512 threads (line 13): 7 of 16 warps"), "{text}");
    assert!(text.contains("; warp 7 has\n      exited\n"), "it goes on in a second line: {text}");
    assert!(text.ends_with("\n1 finding\nno counts: the launch stopped there\n"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 120), "{text}");

    // A buffer without a name is that of its parameter, and one byte is one.
    place.kernel(".param .u64 x", "ld.param.u64 %rd1, [x];\nld.global.u8 %r1, [%rd1+4];");
    let text = place.ends(1, &one(&["--arg", "scratch:u32[1]"]));
    assert!(text.contains(", 1 byte at 0x"), "{text}");
    assert!(text.contains("\n  near buffer of parameter x U32[1] at 0x"), "{text}");
}

#[test]
fn results_that_depend_on_the_schedule_are_a_finding() {
    let place = Place::new();
    // The last of the two warps to add one to the counter finds it at one.
    let body = "ld.param.u64 %rd1, [y];\nld.param.u64 %rd2, [c];\nmov.u32 %r1, %tid.x;\nand.b32 %r2, %r1, 31;\n\
                setp.ne.u32 %p1, %r2, 0;\n@%p1 bra DONE;\natom.global.add.u32 %r3, [%rd2], 1;\nshr.u32 %r4, %r1, 3;\n\
                cvt.u64.u32 %rd3, %r4;\nadd.u64 %rd4, %rd1, %rd3;\nst.global.u32 [%rd4], %r3;\nDONE:";
    place.kernel(".param .u64 y, .param .u64 c", body);
    let args = ["k.ptx", "--grid", "1", "--block", "64", "--arg", "out:y=u32[2]", "--arg", "zero:c=u32[1]"];
    place.ends(0, &args);
    let text = place.ends(1, &[&args[..], &["--schedules", "12", "--save", "y"]].concat());
    assert!(text.contains("result depends on the schedule") && text.contains("of buffer y U32[2]"), "{text}");
    assert!(!place.path("y").exists());
    let json = place.ends(1, &[&args[..], &["--schedules", "12", "--json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["findings"][0]["kind"], "result depends on the schedule");
    assert_eq!(json["findings"][0]["bytes"].as_array().unwrap().len(), 2);
}

#[test]
fn checks_can_be_left_out() {
    let place = Place::new();
    place.kernel(".param .u64 y", "ld.param.u64 %rd1, [y];\nst.global.u32 [%rd1], 1;");
    for check in ["memory", "races", "init", "sync", "async", "memory,races,init,sync,async"] {
        place.ends(0, &one(&["--arg", "out:y=u32[1]", "--off", check]));
    }
}

/// Indexes beyond 2^31 and 2^32 elements with a few blocks of a grid that would take days.
#[test]
fn chosen_blocks_of_a_huge_problem_run_in_little_memory() {
    let place = Place::new();
    let body = |product: &str| {
        format!(
            "ld.param.u64 %rd1, [y];\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n{product}\n\
             add.u64 %rd3, %rd1, %rd2;\ncvt.u16.u32 %h1, %r3;\nst.global.u8 [%rd3], %h1;"
        )
    };
    let wide = "mul.wide.u32 %rd2, %r1, %r2;\ncvt.u64.u32 %rd4, %r3;\nadd.u64 %rd2, %rd2, %rd4;";
    // The sum does not fit 31 bits: a bug that only shows far out.
    let narrow = "mad.lo.u32 %r4, %r1, %r2, %r3;\ncvt.s64.s32 %rd2, %r4;";
    let blocks = (6_u64 << 30) / 256;
    let (grid, last) = (blocks.to_string(), format!("0,{}-{}", blocks - 2, blocks - 1));
    let buffer = format!("scratch:U8[{}]", 6_u64 << 30);
    let run = |chosen: &str, code: i32| {
        let args = ["k.ptx", "--grid", &grid, "--block", "256", "--blocks", chosen, "--arg", &buffer];
        place.ends(code, &[&args[..], &["--json"]].concat())
    };
    place.kernel(".param .u64 y", &body(wide));
    let json: Value = serde_json::from_str(&run(&last, 0)).unwrap();
    assert_eq!(json["metrics"]["ptx__blocks"], 3);
    place.kernel(".param .u64 y", &body(narrow));
    run("0", 0);
    let json: Value = serde_json::from_str(&run(&(blocks / 2).to_string(), 1)).unwrap();
    assert_eq!(json["findings"][0]["kind"], "out-of-bounds access");
    assert_eq!(json["findings"][0]["block"][0], blocks / 2);
}
