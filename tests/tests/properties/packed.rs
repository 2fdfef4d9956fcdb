//! Packed layers: through a file and back they are the layer, under every scheme.

use crate::graphs::schemes;
use half::{bf16, f16};
use outerscale::{
    Activations, Bias, Int8Matrix, Layout, Output, PerChannel, PerToken, Scales,
    files::OutputFile,
    host::{HostMatrix, Values},
    linear::{Calibration, PackedLayer, QuantizedLinear, Scheme},
    ops::{self, Choice, Product},
};
use outerscale_tests::{
    data::{Codes, Kind, scales},
    harness::*,
};

const SHAPE: (u64, u64) = (67, 150);

fn layer(scheme: Scheme, spread: f64) -> QuantizedLinear {
    let (n, k) = SHAPE;
    let w = HostMatrix { rows: n, cols: k, values: Values::F16(Kind::Uniform.matrix(n as usize, k as usize, 7)) };
    let bias: Vec<f32> = (0..n).map(|i| i as f32 / 3.0 - 9.5).collect();
    let absmax = (0..k).map(|i| 0.5 + (i % 7) as f32).collect();
    let calibration = Calibration { spread: Some(spread), ..Calibration::from_channel_absmax(absmax) };
    QuantizedLinear::new(gpu(), &w, Some(&bias), scheme, Some(&calibration)).unwrap()
}

/// Written to a file, read again and made ready.
fn through_a_file(layer: &QuantizedLinear) -> (PackedLayer, QuantizedLinear) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("w.safetensors");
    let packed = layer.pack().unwrap();
    packed.write(OutputFile::create(&file, None).unwrap()).unwrap();
    let read = PackedLayer::read(&file).unwrap();
    assert_eq!(read, packed);
    let ready = QuantizedLinear::from_packed(gpu(), &read).unwrap();
    (packed, ready)
}

#[test]
fn a_layer_comes_back_as_it_was() {
    let (n, k) = SHAPE;
    for (scheme, spread) in schemes().into_iter().map(|scheme| (scheme, 5.0)).chain([(Scheme::Hybrid, 1.0)]) {
        let original = layer(scheme, spread);
        let (packed, again) = through_a_file(&original);
        assert_eq!((packed.scheme, again.scheme()), (original.scheme(), original.scheme()));
        for batch in 0..3u64 {
            let x: Vec<bf16> = Kind::Outliers.matrix(9, k as usize, batch);
            let x = Activations::upload(gpu(), &x, Layout::contiguous(9, k)).unwrap();
            let want = original.forward::<bf16, f16>(gpu(), &x).unwrap().download().unwrap();
            let got = again.forward::<bf16, f16>(gpu(), &x).unwrap().download().unwrap();
            assert_bits(&format!("{scheme:?}, batch {batch}"), &got, &want, n as usize);
        }
        // Once more: what a file says does not change by being read.
        assert_eq!(PackedLayer { average: None, ..again.pack().unwrap() }, PackedLayer { average: None, ..packed });
    }
}

/// A running scale goes on from the average that it had.
#[test]
fn a_running_scale_is_kept() {
    let (_, k) = SHAPE;
    let scheme = Scheme::Running(ops::Window { every: 1, momentum: 0.5 });
    let original = layer(scheme, 5.0);
    let x: Vec<f32> = Kind::Uniform.matrix(9, k as usize, 1);
    let x = Activations::upload(gpu(), &x, Layout::contiguous(9, k)).unwrap();
    original.quantize(gpu(), &x).unwrap();
    let average = original.running_state().unwrap().read().unwrap().average;
    let (packed, again) = through_a_file(&original);
    assert_eq!(packed.average, Some(average));
    assert_eq!(again.running_state().unwrap().read().unwrap().average, average);
}

/// Codes that another program made, -128 among them, with a bias in f16.
#[test]
fn codes_from_elsewhere_become_a_layer() {
    let (n, k) = (70usize, 130usize);
    let mut q_w = Codes::Uniform.matrix(n, k, 3);
    q_w[k - 1] = -128;
    let (s_w, bias) = (scales(n, 4), scales(n, 5).iter().map(|b| f16::from_f32(*b)).collect::<Vec<_>>());
    let packed = PackedLayer {
        rows: n as u64,
        cols: k as u64,
        scheme: Scheme::Token,
        q_w: PackedLayer::packed(&q_w, n as u64, k as u64),
        s_w: s_w.clone(),
        bias: Some(Values::F16(bias.clone())),
        s_x: None,
        average: None,
        smooth: None,
        half_w: None,
        absmax_w: None,
    };
    let ready = QuantizedLinear::from_packed(gpu(), &packed).unwrap();
    let (again, _) = through_a_file(&ready);
    assert_eq!(again, packed, "the bias keeps its type");
    let x: Vec<f32> = Kind::Uniform.matrix(5, k, 6);
    let x = Activations::upload(gpu(), &x, Layout::contiguous(5, k as u64)).unwrap();
    let got = ready.forward::<f32, f32>(gpu(), &x).unwrap().download().unwrap();
    // The kernel that packs on the device gives the same bytes.
    let on_gpu = Int8Matrix::upload(gpu(), &q_w, Layout::contiguous(n as u64, k as u64)).unwrap();
    let (on_gpu, _) = ops::pack_weights(gpu(), &on_gpu, Choice::Auto).unwrap();
    assert_eq!(on_gpu.download_packed().unwrap(), packed.q_w);
    let scales = Scales::<PerChannel>::upload(gpu(), &s_w).unwrap();
    let w = outerscale::QuantizedWeights::from_packed(on_gpu, scales).unwrap();
    let (x, _): (outerscale::QuantizedTokens<PerToken>, _) = ops::quantize_token(gpu(), &x, Choice::Auto).unwrap();
    let bias = Bias::upload(gpu(), &bias).unwrap();
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(5, n as u64)).unwrap();
    ops::gemm(gpu(), Product { x: &x, w: &w, bias: Some(&bias) }, &mut y, &mut workspace(), Choice::Auto).unwrap();
    assert_bits("y", &got, &y.download().unwrap(), n);
}

/// A scale that could not be given is not kept either: a file of it would be refused.
#[test]
fn a_row_of_nan_is_not_packed() {
    let mut w: Vec<f32> = Kind::Uniform.matrix(3, 20, 7);
    w[25] = f32::NAN;
    let w = HostMatrix { rows: 3, cols: 20, values: Values::F32(w) };
    let layer = QuantizedLinear::new(gpu(), &w, None, Scheme::Token, None).unwrap();
    let error = layer.pack().unwrap_err().to_string();
    assert_eq!(error, "pack: s_w: [1] a scale must lie in [2^-100, 2^100], got NaN");
}
