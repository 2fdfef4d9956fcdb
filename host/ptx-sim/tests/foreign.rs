//! PTX written by nvcc and Triton runs and equals NumPy (tests/foreign/README.md).

use std::path::PathBuf;

use half::f16;
use ptx_sim::{Launch, Memory, Module, Report, Severity, launch};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// A launch of `cases.json`.
#[derive(Deserialize)]
struct Case {
    file: String,
    kernel: String,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    args: Vec<String>,
    tolerance: f64,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("cases.json")).unwrap()).unwrap()
}

fn tensor(file: &str, name: &str) -> (Dtype, Vec<u8>) {
    let bytes = std::fs::read(folder().join(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    (view.dtype(), view.data().to_vec())
}

/// `DTYPE[SHAPE]` in bytes.
fn bytes_of(shape: &str) -> u64 {
    let (dtype, dims) = shape.trim_end_matches(']').split_once('[').unwrap();
    let element = match dtype {
        "u8" | "i8" => 1,
        "f16" => 2,
        _ => 4,
    };
    dims.split(',').map(|dim| dim.parse::<u64>().unwrap()).product::<u64>() * element
}

/// A buffer that the kernel writes: address, bytes, and the file and tensor that it has to equal.
struct Output {
    at: u64,
    len: u64,
    expected: Option<(String, String)>,
}

/// The value of an argument, which puts a buffer into `memory` where it names one.
fn argument(spec: &str, memory: &Memory, outputs: &mut Vec<Output>) -> Vec<u8> {
    let (kind, rest) = spec.split_once(':').unwrap();
    match kind {
        "u32" => rest.parse::<u32>().unwrap().to_le_bytes().to_vec(),
        "u64" => rest.parse::<u64>().unwrap().to_le_bytes().to_vec(),
        "f32" => rest.parse::<f32>().unwrap().to_le_bytes().to_vec(),
        "in" => {
            let (file, name) = rest.split_once('#').unwrap();
            let (_, data) = tensor(file, name);
            let at = memory.alloc(data.len() as u64).unwrap();
            memory.write(at, &data).unwrap();
            at.to_le_bytes().to_vec()
        }
        "out" => {
            let (name, shape) = rest.split_once('=').unwrap();
            let len = bytes_of(shape);
            let at = memory.alloc(len).unwrap();
            let expected = name.split_once('.').map(|(file, name)| (file.to_owned(), name.to_owned()));
            outputs.push(Output { at, len, expected });
            at.to_le_bytes().to_vec()
        }
        _ => panic!("{spec}: this kind of argument is not known"),
    }
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    let words = |width| bytes.chunks_exact(width);
    match dtype {
        Dtype::F16 => words(2).map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f64()).collect(),
        Dtype::F32 => words(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
        Dtype::I32 => words(4).map(|b| f64::from(i32::from_le_bytes(b.try_into().unwrap()))).collect(),
        _ => panic!("{dtype:?} is no result"),
    }
}

fn run(case: &Case) -> Report {
    let name = format!("{} of {}", case.kernel, case.file);
    let text = std::fs::read_to_string(folder().join(&case.file)).unwrap();
    let module = Module::load(&text, &case.file).unwrap_or_else(|error| panic!("{error}"));
    let kernel = module.kernel(&case.kernel).unwrap();
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let mut outputs = Vec::new();
    let mut params = vec![0; kernel.param_bytes() as usize];
    assert_eq!(case.args.len(), kernel.params().len(), "{name}");
    for (spec, param) in case.args.iter().zip(kernel.params()) {
        let value = argument(spec, &memory, &mut outputs);
        params[param.offset as usize..][..param.size as usize].copy_from_slice(&value);
    }
    let request = Launch::new(kernel, case.grid, case.block, &params).with_dynamic_shared(case.shared);
    let report = launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let mut compared = 0;
    for output in outputs {
        let Some((file, tensor_name)) = output.expected else { continue };
        let (dtype, expected) = tensor(&format!("data/{file}.safetensors"), &tensor_name);
        let mut found = vec![0; output.len as usize];
        memory.read(output.at, &mut found).unwrap();
        if case.tolerance == 0.0 {
            assert_eq!(found, expected, "{name}");
        }
        let (found, expected) = (numbers(dtype, &found), numbers(dtype, &expected));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let bound = case.tolerance * expected.abs().max(1.0);
            assert!((found - expected).abs() <= bound, "{name}, element {at}: {found}, NumPy has {expected}");
        }
        compared += expected.len();
    }
    assert!(compared > 0, "{name}: nothing was compared");
    report
}

/// Runs the cases whose file starts with `prefix`; there must be `count`.
fn run_all(prefix: &str, count: usize) {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.file.starts_with(prefix)).collect();
    assert_eq!(cases.len(), count, "{prefix}");
    for case in &cases {
        let report = run(case);
        // Triton's reductions store one value from several lanes, which is told and does no harm.
        let doubtful = report.notes.iter().find(|note| note.severity != Severity::Info);
        assert!(doubtful.is_none(), "{} of {}: {doubtful:?}", case.kernel, case.file);
        assert!(report.counters.warp_instructions > 0);
    }
}

#[test]
fn nvcc_for_ampere_and_hopper() {
    run_all("ptx/nvcc_sm80", 4);
    run_all("ptx/nvcc_sm90", 4);
}

#[test]
fn triton_elementwise_and_rows() {
    for kernel in ["vector_add", "softmax", "layer_norm"] {
        run_all(&format!("ptx/triton_{kernel}_"), 2);
    }
}

#[test]
fn triton_int8_gemm_through_mma() {
    run_all("ptx/triton_int8_gemm_sm80", 1);
}
