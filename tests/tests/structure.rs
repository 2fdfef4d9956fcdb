//! The four edits that make a kernel: device file, variant row, oracle function, registry row; and the bench
//! row that goes by the registry. Needs no GPU, and names whatever is missing.

use outerscale::{
    ptx::{ARCHS, Module},
    registry::{OPS, Op},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// `problems` one a line, or nothing.
#[track_caller]
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} missing edit(s):\n{}", problems.len(), problems.join("\n"));
}

/// Whether a source file defines the function `name`, generic or not, however visible.
fn defines(source: &str, name: &str) -> bool {
    [format!("fn {name}("), format!("fn {name}<")].iter().any(|start| source.contains(start))
}

#[test]
fn every_entry_of_the_ptx_is_a_variants_and_the_reverse() {
    let mut problems = Vec::new();
    for arch in ARCHS {
        for module in Module::ALL {
            let compiled: BTreeSet<String> = arch.entries(module).map(str::to_owned).collect();
            if arch.own(module).is_none() {
                continue;
            }
            let listed: BTreeSet<String> = OPS.iter().flat_map(|op| op.entries_in(module)).collect();
            let module = module.name();
            for entry in compiled.difference(&listed) {
                problems.push(format!(
                    "host/outerscale/src/ops: no variant row launches {entry} (module {module}, {})",
                    arch.name
                ));
            }
            for entry in listed.difference(&compiled) {
                problems.push(format!(
                    "kernels-gpu/kernels/{module}: no kernel {entry} ({}) for its variant row",
                    arch.name
                ));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_op_has_its_files_by_its_name() {
    let mut problems = Vec::new();
    for Op { name, oracle, .. } in OPS {
        let module = OPS.iter().find(|op| op.name == *name).unwrap().modules().next().unwrap().name();
        let files = [
            ("device file", format!("kernels-gpu/kernels/{module}/src/{name}.rs")),
            ("host op", format!("host/outerscale/src/ops/{name}.rs")),
            ("oracle function", format!("host/oracle/src/{oracle}.rs")),
        ];
        for (what, file) in files {
            match fs::read_to_string(root().join(&file)) {
                Err(_) => problems.push(format!("{name}: no {what} {file}")),
                // The oracle's gemm is two functions, the product and its epilogue.
                Ok(text) if ![*name, "gemm_i32"].iter().any(|function| defines(&text, function)) => {
                    problems.push(format!("{name}: {what} {file} has no function {name}"));
                }
                Ok(_) => {}
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_oracle_function_is_some_ops() {
    let registered: BTreeSet<&str> = OPS.iter().map(|op| op.oracle).collect();
    let defined: BTreeSet<&str> = oracle::OPS.iter().copied().collect();
    let problems: Vec<String> = registered
        .symmetric_difference(&defined)
        .map(|name| match defined.contains(name) {
            true => format!("host/outerscale/src/registry.rs: no row for the oracle's {name}"),
            false => format!("host/oracle/src/lib.rs: {name} is not in OPS"),
        })
        .collect();
    assert_none(&problems);
}

#[test]
fn every_variant_row_is_in_the_registry() {
    // A table that no registry row names would never be verified.
    let listed: BTreeSet<&str> = OPS.iter().map(|op| op.name).collect();
    let helpers = ["mod", "team", "variant", "decode", "hopper", "stream_k"];
    let problems: Vec<String> = fs::read_dir(root().join("host/outerscale/src/ops"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|stem| !helpers.contains(&stem.as_str()) && !listed.contains(stem.as_str()))
        .map(|stem| format!("host/outerscale/src/registry.rs: no row for ops/{stem}.rs"))
        .collect();
    assert_none(&problems);
}

#[test]
fn names_are_given_once() {
    let mut seen = BTreeMap::new();
    for op in OPS {
        assert_eq!((op.name, op.name), (op.table.op, op.bench), "one name everywhere");
        for entry in op.entries() {
            if let Some(other) = seen.insert(entry.clone(), op.name) {
                panic!("{entry} belongs to {other} and to {}", op.name);
            }
        }
    }
}
