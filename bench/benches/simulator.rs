//! How long the simulator takes for the kernels: what a test costs. Each result is checked before it is timed.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use outerscale::{
    Layout, Output, Workspace, ops,
    ops::{Choice, Product},
};
use outerscale_bench::{Products, activations, operands, simulator};
use outerscale_tests::{data::Kind, freivalds::check_product};
use std::time::Duration;

fn quantize_token(c: &mut Criterion) {
    let gpu = simulator();
    let mut group = c.benchmark_group("simulator/quantize_token f16");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (rows, cols) in [(64, 1024), (512, 4096), (4096, 4096)] {
        let x = activations(&gpu, rows, cols);
        let (q, _) = ops::quantize_token(&gpu, &x, Choice::Auto).unwrap();
        // A few rows by the oracle: the tests look at all of them.
        let few = rows.min(64);
        let wide: Vec<f32> =
            Kind::Outliers.matrix::<f16>(rows, cols, 1)[..few * cols].iter().map(|v| v.to_f32()).collect();
        assert!(q.download_codes().unwrap()[..few * cols] == oracle::quantize_token(&wide, few, cols).0);
        group.throughput(Throughput::Elements((rows * cols) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{rows}x{cols}")), |b| {
            b.iter(|| {
                ops::quantize_token(&gpu, &x, Choice::Auto).unwrap();
                gpu.synchronize().unwrap();
            });
        });
    }
}

fn gemm(c: &mut Criterion) {
    let gpu = simulator();
    let mut group = c.benchmark_group("simulator/gemm i32");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (m, n, k) in [(1, 256, 1024), (256, 256, 256), (1024, 1024, 1024)] {
        let o = operands(&gpu, m, n, k);
        let mut y = Output::<i32>::new(&gpu, Layout::contiguous(m as u64, n as u64)).unwrap();
        let run = |y: &mut Output<i32>| {
            ops::gemm(&gpu, Product { x: &o.x, w: &o.w, bias: None }, y, &mut Workspace::none(), Choice::Auto).unwrap();
            gpu.synchronize().unwrap();
        };
        run(&mut y);
        check_product(&y.download().unwrap(), &o.codes_x, &o.codes_w, k, 3).unwrap();
        group.throughput(Throughput::Elements((m * n * k) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{m}x{n}x{k}")), |b| b.iter(|| run(&mut y)));
    }
}

/// The instructions alone, on one core: what bounds every larger product.
fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulator/products of int8");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (kind, text, total) in [
        ("mma", include_str!("../ptx/mma.ptx"), 64 * 16 * 16384 * 32),
        ("wgmma", include_str!("../ptx/wgmma.ptx"), 2048 * 32 * 32 * 384),
    ] {
        let products = Products::load(text, kind);
        let macs = products.run().unwrap_or_else(|fault| panic!("{fault}")).counters.macs;
        assert_eq!(products.total(), total, "{kind}");
        group.throughput(Throughput::Elements(macs));
        group.bench_function(kind, |b| b.iter(|| products.run().unwrap_or_else(|fault| panic!("{fault}"))));
    }
}

criterion_group!(benches, quantize_token, gemm, products);
criterion_main!(benches);
