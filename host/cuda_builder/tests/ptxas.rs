//! The text pass' output, seen by NVIDIA's assembler. Prints SKIPPED where there is none (`cargo xtask setup`).

use cuda_builder::{
    NvvmArch, marker,
    ptxas::Ptxas,
    text::{self, PathMap},
};
use std::{
    fmt::Display,
    io::{self, Write},
};

/// What LLVM writes, debug sections and all.
const RAW: &str = include_str!("llvm.s");

/// Past the harness, which would keep it to itself.
fn skipped(why: &dyn Display) {
    _ = writeln!(io::stderr(), "SKIPPED: {why}");
}

fn tools() -> Option<Ptxas> {
    Ptxas::find().inspect_err(|error| skipped(error)).ok()
}

fn rewritten(raw: &str) -> String {
    let paths = PathMap { prefixes: vec![("/src".to_owned(), String::new())] };
    text::rewrite(raw, &marker::read_all(raw).unwrap(), &paths).unwrap()
}

#[test]
fn rewritten_text_assembles_for_every_later_architecture() {
    let Some(tools) = tools() else { return };
    for arch in ["sm_80", "sm_89", "sm_90a", "sm_100a", "sm_120"] {
        let report = tools.assemble(&rewritten(RAW), arch.parse().unwrap()).unwrap();
        let resources = report.entries["scale_add"];
        assert!(resources.registers > 0 && resources.barriers == 1, "{resources:?}");
        assert_eq!((resources.spill_stores, resources.spill_loads, resources.stack), (0, 0, 0));
        assert_eq!(report.warnings, [""; 0]);
    }
}

#[test]
fn launch_bounds_reach_the_machine_code() {
    let Some(tools) = tools() else { return };
    // 2 blocks of 1024 threads must share 65,536 registers.
    let bounded = RAW.replace("maxntid=256 minnctapersm=2", "maxntid=1024 minnctapersm=2");
    let cubin = |raw: &str| tools.assemble_cubin(&rewritten(raw), NvvmArch::Compute80).unwrap().cubin;
    assert_ne!(cubin(&bounded), cubin(&RAW.replace("maxntid=256 minnctapersm=2", "")));
}

#[test]
fn machine_code_tells_its_rust_lines() {
    let Some(tools) = tools() else { return };
    let sass = match tools.sass(&rewritten(RAW), NvvmArch::Compute80) {
        Ok(sass) => sass,
        Err(error) => return skipped(&error),
    };
    let text = &sass["scale_add"];
    assert!(text.contains("BAR.SYNC") && text.contains("EXIT"), "{text}");
    assert!(text.contains("kern/src/body.rs\", line 5"), "{text}");
}

#[test]
fn refused_text_is_an_error_with_its_line() {
    let Some(tools) = tools() else { return };
    let broken = rewritten(RAW).replace("add.rn.f32", "add.no.f32");
    let message = tools.assemble(&broken, NvvmArch::Compute80).unwrap_err().to_string();
    assert!(message.starts_with("ptxas for sm_80: ptxas module.ptx, line "), "{message}");
}
