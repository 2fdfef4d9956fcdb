//! PTX written by nvcc and Triton runs and equals NumPy (tests/foreign/README.md).

use std::path::PathBuf;

use half::f16;
use ptx_sim::{Launch, Memory, Module, Report, Severity, Swizzle, TensorElement, TensorMap, launch};
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
    /// Words of the one warning that the kernel deserves.
    finding: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("cases.json")).unwrap()).unwrap()
}

fn tensor(file: &str, name: &str) -> (Dtype, Vec<u64>, Vec<u8>) {
    let bytes = std::fs::read(folder().join(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    (view.dtype(), view.shape().iter().map(|side| *side as u64).collect(), view.data().to_vec())
}

/// The type and the sides of `DTYPE[SHAPE]`.
fn form(text: &str) -> (Dtype, Vec<u64>) {
    let (name, dims) = text.trim_end_matches(']').split_once('[').unwrap();
    let dtype = match name {
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "I32" => Dtype::I32,
        "U8" => Dtype::U8,
        _ => panic!("{name} is no type of these tests"),
    };
    (dtype, dims.split(',').map(|dim| dim.parse().unwrap()).collect())
}

/// A buffer that the kernel writes: address, bytes, and the file and tensor that it has to equal.
struct Output {
    at: u64,
    len: u64,
    expected: (String, String),
}

/// Puts the buffer of `spec` into `memory`; its address, type and sides.
fn buffer(spec: &str, memory: &Memory, outputs: &mut Vec<Output>) -> (u64, Dtype, Vec<u64>) {
    let (kind, rest) = spec.split_once(':').unwrap();
    if kind == "in" {
        let (file, name) = rest.split_once('#').unwrap();
        let (dtype, shape, data) = tensor(file, name);
        let at = memory.alloc(data.len() as u64).unwrap();
        memory.write(at, &data).unwrap();
        return (at, dtype, shape);
    }
    let (name, shape) = rest.split_once('=').unwrap_or(("", rest));
    let (dtype, shape) = form(shape);
    let len = shape.iter().product::<u64>() * dtype.bitsize() as u64 / 8;
    let at = memory.alloc(len).unwrap();
    if kind == "out" {
        let (file, name) = name.split_once('.').unwrap();
        outputs.push(Output { at, len, expected: (file.to_owned(), name.to_owned()) });
    } else {
        assert_eq!(kind, "scratch", "{spec}");
    }
    (at, dtype, shape)
}

/// The value of an argument, in the notation of the program `ptx-sim`.
fn argument(spec: &str, memory: &Memory, outputs: &mut Vec<Output>) -> Vec<u8> {
    let (kind, rest) = spec.split_once(':').unwrap();
    match kind {
        "u32" => rest.parse::<u32>().unwrap().to_le_bytes().to_vec(),
        "u64" => rest.parse::<u64>().unwrap().to_le_bytes().to_vec(),
        "f32" => rest.parse::<f32>().unwrap().to_le_bytes().to_vec(),
        "tmap" => {
            let (of, settings) = rest.split_once(",box=").unwrap();
            let (sides, swizzle) = settings.split_once(",swizzle=").unwrap();
            assert_eq!(swizzle, "128", "{spec}");
            let (at, dtype, shape) = buffer(of, memory, outputs);
            assert_eq!(dtype, Dtype::F16, "{spec}");
            // The innermost dimension comes first in a tensor map.
            let dims: Vec<u64> = shape.into_iter().rev().collect();
            let sides: Vec<u32> = sides.split('x').rev().map(|side| side.parse().unwrap()).collect();
            let map = TensorMap::packed(TensorElement::F16, at, &dims, &sides).unwrap();
            map.with_swizzle(Swizzle::B128).encode().unwrap().to_vec()
        }
        _ => buffer(spec, memory, outputs).0.to_le_bytes().to_vec(),
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
        let (file, tensor_name) = output.expected;
        let (dtype, _, expected) = tensor(&format!("data/{file}.safetensors"), &tensor_name);
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
        for note in &report.notes {
            // Triton's reductions store one value from several lanes, which is told and does no harm.
            let expected = case.finding.as_ref().is_some_and(|words| note.explanation.contains(words));
            let known = note.severity == Severity::Info || (note.severity == Severity::Warning && expected);
            assert!(known, "{} of {}: {note}", case.kernel, case.file);
        }
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

#[test]
fn triton_int8_gemm_through_wgmma() {
    run_all("ptx/triton_int8_gemm_sm90", 1);
}

#[test]
fn triton_gemms_through_tensor_maps_of_host_and_device() {
    run_all("ptx/triton_tma_gemm_host_sm90", 1);
    run_all("ptx/triton_tma_gemm_device_sm90", 1);
}

#[test]
fn every_case_is_run_by_one_of_these_tests() {
    // Eight of nvcc, and of Triton six by element and row, two int8 GEMMs and two through tensor maps.
    assert_eq!(cases().len(), 8 + 6 + 2 + 2);
}
