//! What is refused, and what is valid although there is nothing to do.

use crate::gemm::{tokens, weights};
use outerscale::{
    Activations, Backend, Gpu, InputCounters, InputCounts, Int8Matrix, Layout, Output, PerChannel, PerTensor, PerToken,
    QuantizedTokens, RunningState, Scales, ops,
    ops::{Choice, Product, StaticScale, Window},
};
use outerscale_tests::harness::*;

#[test]
fn no_tokens_launch_nothing() {
    let k = 37;
    let x = Activations::<f32>::upload(gpu(), &[], Layout::contiguous(0, k)).unwrap();
    let (absmax, launch) = ops::row_absmax(gpu(), &x, Choice::Auto).unwrap();
    assert_eq!((absmax.download().unwrap().len(), launch.grid), (0, 0));
    let (partials, launch) = ops::tensor_absmax(gpu(), &x, Choice::Auto).unwrap();
    assert_eq!((oracle::tensor_absmax(&partials.download().unwrap()), launch.grid), (0.0, 0));
    let (q, launch) = ops::quantize_tensor(gpu(), &x, &partials, Choice::Auto).unwrap();
    // The scale of nothing is 1.
    assert_eq!((q.scales().download().unwrap(), launch.grid), (vec![1.0], 0));
    let (q, launch) = ops::quantize_token(gpu(), &x, Choice::Auto).unwrap();
    assert_eq!((q.download_codes().unwrap().len(), launch.grid), (0, 0));
    let (counters, scale) = (InputCounters::new(gpu()).unwrap(), Scales::upload(gpu(), &[1.0]).unwrap());
    let with = StaticScale { scale: &scale, counters: Some(&counters) };
    let (_, launch) = ops::quantize_static(gpu(), &x, with, Choice::Auto).unwrap();
    assert_eq!((counters.read().unwrap(), launch.grid), (InputCounts::default(), 0));
    let w = weights::<PerChannel>(gpu(), &[1; 3 * 37], 37, &[1.0; 3]);
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(0, 3)).unwrap();
    let launch =
        ops::gemm(gpu(), Product { x: &q, w: &w, bias: None }, &mut y, &mut workspace(), Choice::Auto).unwrap();
    assert_eq!((y.download().unwrap().len(), launch.grid), (0, 0));
}

/// The error's text, or a failure.
fn refused<T>(result: outerscale::Result<T>) -> String {
    match result {
        Ok(_) => panic!("should have been refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn k_over_the_limit_is_refused_by_every_op() {
    let k = contract::limits::MAX_K + 1;
    let x = Activations::<f32>::upload(gpu(), &vec![1.0; k as usize], Layout::contiguous(1, k)).unwrap();
    let codes = Int8Matrix::upload(gpu(), &vec![1; k as usize], Layout::contiguous(1, k)).unwrap();
    let fits = Activations::<f32>::upload(gpu(), &[1.0], Layout::contiguous(1, 1)).unwrap();
    let (partials, _) = ops::tensor_absmax(gpu(), &fits, Choice::Auto).unwrap();
    let scale = Scales::upload(gpu(), &[1.0]).unwrap();
    let messages = [
        refused(ops::row_absmax(gpu(), &x, Choice::Auto)),
        refused(ops::tensor_absmax(gpu(), &x, Choice::Auto)),
        refused(ops::quantize_token(gpu(), &x, Choice::Auto)),
        refused(ops::quantize_tensor(gpu(), &x, &partials, Choice::Auto)),
        refused(ops::quantize_static(gpu(), &x, StaticScale { scale: &scale, counters: None }, Choice::Auto)),
        refused(ops::pack_rows(gpu(), &codes, Choice::Auto)),
        refused(ops::outlier_columns(gpu(), &x, 6.0, Choice::Auto)),
        refused(ops::quantize_asym(gpu(), &x, Choice::Auto)),
        refused(ops::quantize_preset(gpu(), &x, ops::Preset::Vllm, Choice::Auto)),
    ];
    for message in messages {
        assert!(message.contains("133144") && message.contains("133145"), "{message}");
    }
}

/// Two streams of one device run in no order: what one writes, the other may read before, or write at once.
#[test]
fn operands_of_another_gpu_are_refused() {
    let other = Gpu::open(Backend::Sim).unwrap();
    let x = Activations::<f32>::upload(&other, &[1.0; 6], Layout::contiguous(2, 3)).unwrap();
    let message = refused(ops::quantize_token(gpu(), &x, Choice::Auto));
    assert!(message.starts_with("quantize_token: gpu: must be the one that all operands were made with"), "{message}");
    // A state that is its own, with maxima that are not.
    let (partials, _) = ops::tensor_absmax(&other, &x, Choice::Auto).unwrap();
    let state = RunningState::new(gpu(), None).unwrap();
    for gpu in [gpu(), &other] {
        let message = refused(ops::running_scale(gpu, &partials, &state, Window::DEFAULT, Choice::Auto));
        assert!(message.starts_with("running_scale: gpu: "), "{message}");
    }
}

/// Codes from elsewhere may be -128 on both sides, and then K = 131,072 would leave int32 by one.
#[test]
fn codes_from_elsewhere_have_a_lower_limit() {
    for (k, fits) in [(131_071usize, true), (131_072, false)] {
        let q = vec![-128i8; k];
        let (x, w) = (tokens::<PerTensor>(gpu(), &q, k, &[1.0]), weights::<PerTensor>(gpu(), &q, k, &[1.0]));
        let mut y = Output::<i32>::new(gpu(), Layout::contiguous(1, 1)).unwrap();
        let result = ops::gemm(gpu(), Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace(), Choice::Auto);
        if fits {
            result.unwrap();
            assert_eq!(y.download().unwrap(), [131_071 << 14]);
        } else {
            let message = refused(result);
            assert!(message.contains("131071") && message.contains("131072"), "{message}");
        }
    }
}

#[test]
fn scales_out_of_range_are_refused() {
    let (least, most) = (2f32.powi(-100), 2f32.powi(100));
    for scale in [0.0, -1.0, least.next_down(), most.next_up(), f32::INFINITY, f32::NAN] {
        let message = refused(Scales::<PerTensor>::upload(gpu(), &[scale]));
        assert!(message.contains("2^-100"), "{message}");
    }
    for scale in [least, most] {
        Scales::<PerTensor>::upload(gpu(), &[scale]).unwrap();
    }
}

#[test]
fn operands_that_do_not_fit_are_named() {
    let (x, w) =
        (tokens::<PerToken>(gpu(), &[1; 6], 3, &[1.0; 2]), weights::<PerChannel>(gpu(), &[1; 12], 3, &[1.0; 4]));
    let other_k = weights::<PerChannel>(gpu(), &[1; 8], 2, &[1.0; 4]);
    let product = |w, y: Layout, tile| {
        let mut y = Output::<f32>::new(gpu(), y).unwrap();
        ops::gemm(gpu(), Product { x: &x, w, bias: None }, &mut y, &mut workspace(), tile)
    };
    let (right, wrong) = (Layout::contiguous(2, 4), Layout::contiguous(4, 2));
    product(&w, right, Choice::Auto).unwrap();
    assert!(refused(product(&other_k, right, Choice::Auto)).contains("w: K must be"));
    assert!(refused(product(&w, wrong, Choice::Auto)).contains("y: must be [2, 4]"));
    let message = refused(product(&w, right, Choice::Named("t1x1")));
    assert!(message.contains("t1x1") && message.contains("t128x128"), "{message}");
    let short = outerscale::Bias::upload(gpu(), &[1f32; 3]).unwrap();
    let mut y = Output::<f32>::new(gpu(), right).unwrap();
    let message =
        refused(ops::gemm(gpu(), Product { x: &x, w: &w, bias: Some(&short) }, &mut y, &mut workspace(), Choice::Auto));
    assert!(message.contains("bias") && message.contains("N = 4"), "{message}");
    let packed = Int8Matrix::upload(gpu(), &[1; 6], Layout::contiguous(2, 3)).unwrap();
    let (packed, _) = ops::pack_rows(gpu(), &packed, Choice::Auto).unwrap();
    let message = refused(QuantizedTokens::<PerToken>::from_packed(packed, Scales::upload(gpu(), &[1.0; 3]).unwrap()));
    assert!(message.contains("2 per-token scales, got 3"), "{message}");
    let no_columns = Activations::<f32>::upload(gpu(), &[], Layout::contiguous(3, 0)).unwrap();
    assert!(refused(ops::quantize_token(gpu(), &no_columns, Choice::Auto)).contains("K must be at least 1"));
    assert!(
        refused(Activations::upload(gpu(), &[1.0f32; 5], Layout::contiguous(2, 3))).contains("needs 6 elements, got 5")
    );
}
