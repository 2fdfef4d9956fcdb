//! Whole linears captured in CUDA graphs: on other inputs in the same memory they give what the plain run gives.

use half::{bf16, f16};
use outerscale::{
    Activations, Error, Float, Layout, Output, OutputElement, Workspace,
    host::{HostMatrix, Values},
    linear::{Calibration, OutlierWeights, PresetScale, QuantizedLinear, Scheme},
    ops::{Choice, Preset, Window},
    ptx::Module,
    registry,
    smooth::Alpha,
};
use outerscale_tests::{
    data::{Kind, Value},
    harness::*,
};

const SHAPE: (u64, u64, u64) = (20, 33, 150);

/// Every scheme, and what of a scheme takes another way.
pub(crate) fn schemes() -> Vec<Scheme> {
    let alpha = Alpha::Fixed(0.5);
    let mut all: Vec<Scheme> = Scheme::ALL.iter().map(|scheme| scheme.with_alpha(alpha)).collect();
    // An update every batch, so that each finds another state.
    all.push(Scheme::Running(Window { every: 1, momentum: 0.5 }));
    all.push(Scheme::LlmInt8 { threshold: 6.0, outlier_weights: OutlierWeights::Int8 });
    all.push(Scheme::Preset(Preset::Bitsandbytes, PresetScale::Token));
    all.push(Scheme::Preset(Preset::Vllm, PresetScale::Static));
    all
}

/// The columns that have one, batch by batch.
const OUTLIERS: [&[u32]; 4] = [&[3], &[0, 31, 32, 99, 149], &[], &[70]];

/// Batches with outliers in other columns, larger and smaller than those before, NaN in the last.
fn batches<T: Value>() -> Vec<Vec<T>> {
    let (m, _, k) = SHAPE;
    OUTLIERS
        .iter()
        .enumerate()
        .map(|(batch, columns)| {
            let mut x: Vec<T> = Kind::Uniform.matrix(m as usize, k as usize, batch as u64);
            for (row, col) in columns.iter().enumerate() {
                x[row * k as usize + *col as usize] = T::narrow([-9.0, 40.0, 7.0, f32::NAN][batch]);
            }
            x
        })
        .collect()
}

fn layer(scheme: Scheme, spread: f64) -> QuantizedLinear {
    let (_, n, k) = SHAPE;
    let w: Vec<f32> = Kind::Uniform.matrix(n as usize, k as usize, 77);
    let bias: Vec<f32> = (0..n).map(|i| i as f32 - 9.5).collect();
    let w = HostMatrix { rows: n, cols: k, values: Values::F32(w) };
    let absmax = (0..k).map(|i| 0.5 + (i % 7) as f32).collect();
    let calibration = Calibration { spread: Some(spread), ..Calibration::from_channel_absmax(absmax) };
    QuantizedLinear::new(gpu(), &w, Some(&bias), scheme, Some(&calibration)).unwrap()
}

/// One graph against as many plain runs of a second layer as there are batches.
fn replays<T: Value + Float, O: OutputElement>(scheme: Scheme, spread: f64) {
    let (m, n, k) = SHAPE;
    let (captured, plain) = (layer(scheme, spread), layer(scheme, spread));
    let batches = batches::<T>();
    let mut x = Activations::upload(gpu(), &batches[1], Layout::contiguous(m, k)).unwrap();
    // Room for more than there is, and rows of y apart from each other.
    let mut buffers = captured.buffers(gpu(), m + 13).unwrap();
    let mut y = Output::<O>::filled(gpu(), Layout::contiguous(m, n).with_row_stride(n + 5), 0x5a).unwrap();
    let graph = gpu().capture(|| captured.forward_into(gpu(), &x, &mut buffers, &mut y)).unwrap();
    let fill = u32::from_ne_bytes([0x5a; 4]) >> (32 - 8 * O::DTYPE.bytes());
    assert!(y.download_span().unwrap().iter().all(|v| v.bits() == fill), "{scheme:?}: capturing ran something");
    for (batch, values) in batches.iter().enumerate() {
        x.write(values).unwrap();
        graph.launch().unwrap();
        let other = Activations::upload(gpu(), values, Layout::contiguous(m, k)).unwrap();
        let want = plain.forward::<T, O>(gpu(), &other).unwrap().download().unwrap();
        assert_bits(&format!("{scheme:?}, batch {batch}"), &y.download().unwrap(), &want, n as usize);
        if let (Scheme::LlmInt8 { .. }, 0..=2) = (scheme, batch) {
            let columns = buffers.tokens().codes.download_outlier_columns().unwrap().unwrap();
            assert_eq!(columns, OUTLIERS[batch], "{scheme:?}, batch {batch}");
        }
    }
    let state = |layer: &QuantizedLinear| layer.running_state().map(|state| state.read().unwrap());
    assert_eq!(state(&captured), state(&plain), "{scheme:?}");
}

#[test]
fn a_captured_linear_follows_its_inputs() {
    for scheme in schemes() {
        replays::<f32, f32>(scheme, 5.0);
    }
}

#[test]
fn in_sixteen_bits_too() {
    for scheme in schemes() {
        replays::<bf16, f16>(scheme, 5.0);
    }
    // Where the spread is small, the hybrid scheme is the static one.
    replays::<f16, bf16>(Scheme::Hybrid, 1.0);
}

/// Few tokens and a long sum: what splits it over blocks meets in the buffers' workspace, launch after launch.
#[test]
fn a_captured_decode_step() {
    let (n, k) = (130u64, 2100u64);
    let w = HostMatrix { rows: n, cols: k, values: Values::F32(Kind::Uniform.matrix(n as usize, k as usize, 5)) };
    for scheme in [Scheme::Token, Scheme::Asym] {
        let layer = QuantizedLinear::new(gpu(), &w, None, scheme, None).unwrap();
        for rows in [1u64, 4, 16] {
            let batch = |seed| Kind::Uniform.matrix::<bf16>(rows as usize, k as usize, seed);
            let mut x = Activations::upload(gpu(), &batch(0), Layout::contiguous(rows, k)).unwrap();
            let mut buffers = layer.buffers(gpu(), 16).unwrap();
            let mut y = Output::<bf16>::new(gpu(), Layout::contiguous(rows, n)).unwrap();
            let graph = gpu().capture(|| layer.forward_into(gpu(), &x, &mut buffers, &mut y)).unwrap();
            for seed in 1..4 {
                x.write(&batch(seed)).unwrap();
                graph.launch().unwrap();
                graph.launch().unwrap();
                // The plain run by another variant, which does not split.
                let tokens = layer.quantize(gpu(), &x).unwrap();
                let mut want = Output::<bf16>::new(gpu(), Layout::contiguous(rows, n)).unwrap();
                let other = Choice::Named("t16x64");
                layer.multiply(gpu(), &tokens, &mut want, &mut Workspace::none(), other).unwrap();
                let what = format!("{scheme:?}, {rows} tokens by {:?}", graph.kernels());
                assert_bits(&what, &y.download().unwrap(), &want.download().unwrap(), n as usize);
            }
        }
    }
}

/// Blocks in pairs: the graph's launches are of clusters too, and the maps of x and y in their arguments point to what x and
/// y are then.
#[test]
fn a_captured_product_in_clusters() {
    if gpu().arch().own(Module::GemmSm90).is_none() {
        let why = format!("{} has no clusters", gpu().arch().name);
        return skipped("clusters in a graph", &why, "OUTERSCALE_REQUIRE_HOPPER");
    }
    // More tiles than a pair of blocks has at a time, and edges.
    let (m, n, k) = (250u64, 504u64, 300u64);
    let w = HostMatrix { rows: n, cols: k, values: Values::F32(Kind::Uniform.matrix(n as usize, k as usize, 5)) };
    let layer = QuantizedLinear::new(gpu(), &w, None, Scheme::Token, None).unwrap();
    let batch = |seed| Kind::Uniform.matrix::<bf16>(m as usize, k as usize, seed);
    let variants = registry::op("gemm").unwrap().table.variants.iter();
    let in_clusters: Vec<_> = variants.filter(|variant| variant.cluster > 1).map(|variant| variant.name).collect();
    assert!(!in_clusters.is_empty());
    for variant in in_clusters {
        let choice = Choice::Limited { variant, blocks: 2 };
        let mut x = Activations::upload(gpu(), &batch(0), Layout::contiguous(m, k)).unwrap();
        let mut tokens = layer.room(gpu(), m).unwrap();
        let mut y = Output::<f16>::filled(gpu(), Layout::contiguous(m, n), 0x5a).unwrap();
        let mut workspace = workspace();
        let mut cluster = 0;
        let graph = gpu()
            .capture(|| {
                layer.quantize_into(gpu(), &x, &mut tokens)?;
                cluster = layer.multiply(gpu(), &tokens, &mut y, &mut workspace, choice)?.cluster;
                Ok(())
            })
            .unwrap();
        assert_eq!(cluster, 2, "{variant}");
        assert!(y.download_span().unwrap().iter().all(|v| v.to_bits() == 0x5a5a), "{variant}: capturing ran it");
        for seed in 1..3 {
            x.write(&batch(seed)).unwrap();
            graph.launch().unwrap();
            // The plain run by another variant, whose blocks are alone.
            let tokens = layer.quantize(gpu(), &x).unwrap();
            let mut want = Output::<f16>::new(gpu(), Layout::contiguous(m, n)).unwrap();
            let other = Choice::Named("t128x128");
            layer.multiply(gpu(), &tokens, &mut want, &mut Workspace::none(), other).unwrap();
            let what = format!("{variant}, batch {seed}");
            assert_bits(&what, &y.download().unwrap(), &want.download().unwrap(), n as usize);
        }
    }
}

#[test]
fn buffers_serve_batches_of_any_size_up_to_theirs() {
    let (_, n, k) = SHAPE;
    for scheme in schemes() {
        let (reused, plain) = (layer(scheme, 5.0), layer(scheme, 5.0));
        let mut buffers = reused.buffers(gpu(), 40).unwrap();
        for rows in [40u64, 1, 0, 17] {
            let x: Vec<f32> = Kind::Outliers.matrix(rows as usize, k as usize, rows);
            let x = Activations::upload(gpu(), &x, Layout::contiguous(rows, k)).unwrap();
            let mut y = Output::<f32>::new(gpu(), Layout::contiguous(rows, n)).unwrap();
            reused.forward_into(gpu(), &x, &mut buffers, &mut y).unwrap();
            let want = plain.forward::<f32, f32>(gpu(), &x).unwrap().download().unwrap();
            assert_bits(&format!("{scheme:?}, {rows} tokens"), &y.download().unwrap(), &want, n as usize);
            let codes = plain.quantize(gpu(), &x).unwrap();
            if reused.running_state().is_none() {
                let codes = codes.codes.download_codes().unwrap();
                assert_eq!(buffers.tokens().codes.download_codes().unwrap(), codes, "{scheme:?}, {rows} tokens");
            } else {
                // The plain layer has met the batch twice now; so must the other.
                reused.quantize_into(gpu(), &x, &mut reused.room(gpu(), rows).unwrap()).unwrap();
            }
        }
        let x = Activations::upload(gpu(), &vec![1f32; 41 * k as usize], Layout::contiguous(41, k)).unwrap();
        let mut y = Output::<f32>::new(gpu(), Layout::contiguous(41, n)).unwrap();
        let error = reused.forward_into(gpu(), &x, &mut buffers, &mut y).unwrap_err().to_string();
        assert!(error.contains("room for"), "{scheme:?}: {error}");
    }
}

/// What a capture cannot hold is refused by its name, and the Gpu works on.
#[test]
fn only_launches_can_be_captured() {
    let (m, n, k) = SHAPE;
    let layer = layer(Scheme::Token, 5.0);
    let x: Vec<f32> = Kind::Uniform.matrix(m as usize, k as usize, 1);
    let x = Activations::upload(gpu(), &x, Layout::contiguous(m, k)).unwrap();
    let mut buffers = layer.buffers(gpu(), m).unwrap();
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(m, n)).unwrap();
    type Work<'a> = &'a dyn Fn() -> Result<(), Error>;
    let illegal: [(&str, Work<'_>); 4] = [
        ("cuMemAlloc", &|| layer.forward::<f32, f32>(gpu(), &x).map(drop)),
        ("cuStreamSynchronize", &|| gpu().synchronize()),
        ("cuStreamSynchronize", &|| layer.weights().scales().download().map(drop)),
        ("capture", &|| gpu().capture(|| Ok(())).map(drop)),
    ];
    for (call, work) in illegal {
        let error = gpu().capture(work).err().unwrap_or_else(|| panic!("{call} was captured")).to_string();
        assert!(error.starts_with(call) && !error.contains('\n'), "{error}");
    }
    // What a call broke stays broken, though its error was dropped.
    let error = gpu().capture(|| {
        let _ = gpu().synchronize();
        Ok(())
    });
    assert!(error.err().unwrap().to_string().starts_with("cuStreamEndCapture"));
    layer.forward_into(gpu(), &x, &mut buffers, &mut y).unwrap();
    let want = layer.forward::<f32, f32>(gpu(), &x).unwrap().download().unwrap();
    assert_bits("after the captures", &y.download().unwrap(), &want, n as usize);
}

/// A graph owns what it needs: nothing that goes before it, during the capture or after, is missed.
#[test]
fn a_graph_outlives_its_operands() {
    let (m, n, k) = SHAPE;
    let values: Vec<f32> = Kind::Uniform.matrix(m as usize, k as usize, 1);
    let upload = || Activations::upload(gpu(), &values, Layout::contiguous(m, k)).unwrap();
    let layer = layer(Scheme::LLM_INT8, 5.0);
    let want = layer.forward::<f32, f32>(gpu(), &upload()).unwrap().download().unwrap();
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(m, n)).unwrap();
    let mut buffers = Some(layer.buffers(gpu(), m).unwrap());
    // The x of the batch before goes when the next takes its place, inside the capture.
    layer.forward_into(gpu(), &upload(), buffers.as_mut().unwrap(), &mut y).unwrap();
    let mut x = Some(upload());
    let graph = gpu()
        .capture(|| {
            let done = layer.forward_into(gpu(), x.as_ref().unwrap(), buffers.as_mut().unwrap(), &mut y);
            (x, buffers) = (None, None);
            done
        })
        .unwrap();
    drop(layer);
    assert_eq!(graph.kernels().len(), 4, "{:?}", graph.kernels());
    for _ in 0..2 {
        graph.launch().unwrap();
        assert_bits("y", &y.download().unwrap(), &want, n as usize);
    }
}
