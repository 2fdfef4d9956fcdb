//! How long the oracle takes: it bounds how large the shapes of a test can be.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use outerscale_tests::data::{Codes, Kind};
use std::hint::black_box;

fn quantize_token(c: &mut Criterion) {
    let mut group = c.benchmark_group("oracle/quantize_token");
    group.sample_size(10);
    for (rows, cols) in [(64, 1024), (1024, 4096)] {
        let x: Vec<f32> = Kind::Outliers.matrix::<f16>(rows, cols, 1).iter().map(|v| v.to_f32()).collect();
        group.throughput(Throughput::Elements((rows * cols) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{rows}x{cols}")), |b| {
            b.iter(|| oracle::quantize_token(black_box(&x), rows, cols));
        });
    }
}

fn gemm(c: &mut Criterion) {
    let mut group = c.benchmark_group("oracle/gemm");
    group.sample_size(10);
    for (m, n, k) in [(64, 64, 64), (256, 256, 1024)] {
        let (x, w) = (Codes::Uniform.matrix(m, k, 1), Codes::Uniform.matrix(n, k, 2));
        group.throughput(Throughput::Elements((m * n * k) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{m}x{n}x{k}")), |b| {
            b.iter(|| oracle::gemm_i32(black_box(&x), &w, m, n, k).unwrap());
        });
    }
}

criterion_group!(benches, quantize_token, gemm);
criterion_main!(benches);
