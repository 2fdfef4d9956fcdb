//! Rubbish into the readers of layers, raw and packed: truncated files, lying headers, random bytes. An error of one line that
//! names the file, or a layer that keeps its promises; never a panic, never memory for what a header claims.

use outerscale::{
    files::{Layer, OutputFile},
    host::Values,
    linear::{OutlierWeights, PackedLayer, Scheme},
    ops::Window,
    smooth::Alpha,
};
use outerscale_tests::{harness::cases, random::Random};
use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use std::path::Path;

/// A right file: x [2, 3, 5] f16, w [4, 5] f32, bias [4] bf16, calib_absmax [5] f32.
fn good() -> Vec<u8> {
    let data = [0u8; 80];
    let view = |dtype: Dtype, shape: &[usize]| {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        TensorView::new(dtype, shape.to_vec(), &data[..bytes]).unwrap()
    };
    let views = [
        ("x", view(Dtype::F16, &[2, 3, 5])),
        ("w", view(Dtype::F32, &[4, 5])),
        ("bias", view(Dtype::BF16, &[4])),
        ("calib_absmax", view(Dtype::F32, &[5])),
    ];
    safetensors::serialize(views, None).unwrap()
}

/// Reads `bytes`, and holds whatever comes of it to its promises.
fn judge(bytes: &[u8]) -> Result<Layer, String> {
    match Layer::parse(Path::new("layer.safetensors"), bytes) {
        Ok(layer) => {
            for matrix in [&layer.x, &layer.w] {
                assert_eq!(matrix.values.len() as u64, matrix.rows * matrix.cols);
            }
            assert!(layer.x.cols == layer.w.cols && layer.x.cols >= 1 && layer.w.rows >= 1);
            assert!(layer.x.cols <= contract::limits::MAX_K);
            assert!(layer.bias.as_ref().is_none_or(|bias| bias.len() as u64 == layer.w.rows));
            assert!(layer.calib_absmax.as_ref().is_none_or(|calib| calib.len() as u64 == layer.x.cols));
            Ok(layer)
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("layer.safetensors: "), "does not name the file: {error}");
            assert!(!error.contains('\n'), "more than one line: {error}");
            Err(error)
        }
    }
}

/// `header` with its length before it, as a file begins, and `data` bytes after it.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn the_right_file_is_read() {
    let layer = judge(&good()).unwrap();
    assert_eq!((layer.x.rows, layer.x.cols, layer.w.rows), (6, 5, 4));
}

#[test]
fn every_truncation_is_an_error() {
    let good = good();
    for len in 0..good.len() {
        judge(&good[..len]).unwrap_err();
    }
    // And one byte too many: the header does not account for it.
    judge(&[&good[..], &[0]].concat()).unwrap_err();
}

#[test]
fn lying_headers_are_errors() {
    let tensor = |shape: &str, from: &str, to: &str| {
        format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let most = u64::MAX.to_string();
    for header in [
        tensor("[2,5]", "0", "39"),
        tensor("[2,5]", "4", "44"),
        tensor("[2,5]", "40", "0"),
        tensor("[2,5]", "0", &most),
        tensor("[2,5]", &most, "40"),
        tensor("[-2,-5]", "0", "40"),
        tensor("[2.5,4]", "0", "40"),
        tensor("[4611686018427387904,4]", "0", "0"),
        tensor("[4611686018427387904,16]", "0", "40"),
        tensor("[0,18446744073709551615]", "0", "0"),
        tensor("[18446744073709551615,0]", "0", "0"),
        tensor("\"many\"", "0", "40"),
        r#"{"x":{"dtype":"F99","shape":[2,5],"data_offsets":[0,40]}}"#.to_owned(),
        r#"{"x":{"shape":[2,5],"data_offsets":[0,40]}}"#.to_owned(),
        r#"{"__metadata__":{"x":1}}"#.to_owned(),
        "[".repeat(5000),
        "{}".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        for data in [0, 40] {
            judge(&with_header(&header, data)).unwrap_err();
        }
    }
    // The length of the header is a lie.
    for claimed in [0, 1, good().len() as u64, 100_000_001, u64::MAX, 1 << 63] {
        let mut bytes = good();
        bytes[..8].copy_from_slice(&claimed.to_le_bytes());
        judge(&bytes).unwrap_err();
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_bytes_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(judge(&bytes).is_err());
    }

    /// A right file with a few bytes changed: still right, or an error.
    #[test]
    fn damaged_files_do_not_panic(seed: u64, changes in 1usize..5) {
        let mut random = Random::new(seed);
        let mut bytes = good();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for _ in 0..changes {
            // Nearly all of it in the header, half of that a digit or a bracket more: numbers are where lies are told.
            let at = random.below(header as u64 + 4) as usize;
            bytes[at] = if random.below(2) == 0 { random.bits() as u8 } else { random.pick(b"0123456789[]{},:\"-") };
        }
        let _ = judge(&bytes);
    }
}

#[test]
fn what_is_no_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.safetensors");
    for path in [missing.as_path(), folder.path(), Path::new("/dev/null")] {
        let error = Layer::read(path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && !error.contains('\n'), "{error}");
    }
    let empty = folder.path().join("empty.safetensors");
    std::fs::write(&empty, []).unwrap();
    assert!(Layer::read(&empty).unwrap_err().to_string().contains("empty.safetensors"));
    let right = folder.path().join("right.safetensors");
    std::fs::write(&right, good()).unwrap();
    assert_eq!(Layer::read(&right).unwrap(), judge(&good()).unwrap());
}

/// A packed layer of w [3, 5] under llm-int8: every kind of tensor but the factors.
fn packed() -> PackedLayer {
    let codes: Vec<i8> = (0..15).map(|code| code * 9 - 60).collect();
    PackedLayer {
        rows: 3,
        cols: 5,
        scheme: Scheme::LLM_INT8,
        q_w: PackedLayer::packed(&codes, 3, 5),
        s_w: vec![0.5, 1.0, 2.0],
        bias: Some(Values::F32(vec![f32::NAN, 1.0, 2.0])),
        s_x: None,
        average: None,
        smooth: None,
        half_w: Some(vec![half::f16::ONE; 5 * 4]),
        absmax_w: None,
    }
}

/// The file that it makes.
fn packed_file(layer: &PackedLayer) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    layer.write(OutputFile::create(&path, None).unwrap()).unwrap();
    std::fs::read(path).unwrap()
}

/// Reads a packed layer, or the one line that refuses it.
fn judge_packed(bytes: &[u8]) -> Result<PackedLayer, String> {
    let read = PackedLayer::parse(Path::new("w.safetensors"), bytes).map_err(|error| error.to_string());
    match &read {
        Ok(layer) => assert_eq!(layer.check(), Ok(())),
        Err(error) => assert!(error.starts_with("w.safetensors: ") && !error.contains('\n'), "{error}"),
    }
    read
}

#[test]
fn packed_layers_that_break_a_rule_are_refused() {
    let good = packed();
    // A NaN in the bias is data, so that the two are compared by what they write.
    assert_eq!(packed_file(&judge_packed(&packed_file(&good)).unwrap()), packed_file(&good));
    type Spoil = fn(&mut PackedLayer);
    let cases: [(Spoil, &str); 16] = [
        (|l| l.q_w[5] = 1, "tensor q_w: has a code that is not 0 at (0, 5), beyond [3, 5]"),
        (|l| l.q_w[3 * 128] = 1, "tensor q_w: has a code that is not 0 at (3, "),
        (|l| l.s_w[1] = f32::NAN, "tensor s_w: [1] a scale must lie in"),
        (|l| l.s_w[2] = 0.0, "tensor s_w: [2] a scale must lie in"),
        (|l| l.s_w[0] = f32::INFINITY, "tensor s_w: [0] a scale must lie in"),
        (|l| l.half_w = None, "tensor w_f16: is missing, and part of the scheme llm-int8"),
        (|l| l.s_x = Some(1.0), "tensor s_x: is no part of the scheme llm-int8"),
        (|l| l.average = Some(1.0), "tensor average: is no part of the scheme llm-int8"),
        (|l| l.smooth = Some(vec![1.0; 5]), "tensor smooth: is no part of the scheme llm-int8"),
        (|l| l.absmax_w = Some(vec![1.0; 3]), "tensor absmax_w: is no part of the scheme llm-int8"),
        (
            |l| l.scheme = Scheme::LlmInt8 { threshold: -1.0, outlier_weights: OutlierWeights::F16 },
            "must be a number of at least 0",
        ),
        (|l| (l.scheme, l.half_w, l.s_x) = (Scheme::Static, None, Some(f32::NAN)), "tensor s_x: a scale must lie in"),
        (
            |l| {
                (l.scheme, l.half_w) = (Scheme::SmoothToken { alpha: Alpha::Fixed(0.5) }, None);
                l.smooth = Some(vec![1.0, 0.0, 1.0, 1.0, 1.0]);
            },
            "tensor smooth: ",
        ),
        (
            |l| (l.scheme, l.half_w) = (Scheme::SmoothToken { alpha: Alpha::Fixed(7.0) }, None),
            "alpha 7 is not in [0, 1]",
        ),
        (
            |l| (l.scheme, l.half_w) = (Scheme::Running(Window { every: 0, momentum: 0.5 }), None),
            "must be at least 1 sample",
        ),
        (|l| (l.scheme, l.half_w) = (Scheme::Hybrid, None), "w8a8-hybrid is a choice between two schemes"),
    ];
    for (spoil, what) in cases {
        let mut layer = good.clone();
        spoil(&mut layer);
        let error = judge_packed(&packed_file(&layer)).unwrap_err();
        assert!(error.contains(what), "want {what:?} in {error:?}");
        assert!(layer.check().is_err());
    }
}

/// `bytes` with the header's text changed, its length told anew.
fn with_text(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    assert!(header.contains(from), "no {from:?} in {header}");
    let header = header.replace(from, to);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

#[test]
fn packed_files_of_another_kind_are_refused() {
    let good = packed_file(&packed());
    for (from, to, what) in [
        ("outerscale-packed/1", "outerscale-packed/2", "has version \"2\" of the format, 1 is known"),
        ("outerscale-packed/1", "outerscale-statistics/1", "holds no packed layer"),
        ("panels64x128", "rows", "in the layout \"rows\""),
        ("n=3", "n=70", "tensor q_w: must be I8 [2, 1, 64, 128], is I8 [1, 1, 64, 128]"),
        ("k=5", "k=129", "tensor q_w: must be I8 [1, 2, 64, 128], is I8 [1, 1, 64, 128]"),
        ("n=3", "n=4", "tensor s_w: must be F32 [4], is F32 [3]"),
        ("k=5", "k=4", "tensor w_f16: must be F16 [4, 4], is F16 [5, 4]"),
        ("k=5", "k=0", "must be"),
        ("n=3", "n=18446744073709551615", "tensor q_w: "),
        ("n=3", "n=0", "tensor q_w: must be I8 [0, 1, 64, 128]"),
        ("k=5", "k=133145", "tensor q_w: must be"),
        ("\"s_w\"", "\"s_v\"", "tensor s_v: is no tensor of a packed layer"),
        ("\"bias\"", "\"s_x\"", "tensor s_x: must be F32 [1], is F32 [3]"),
        ("\"F32\"", "\"I32\"", "is I32 [3]"),
    ] {
        let error = judge_packed(&with_text(&good, from, to)).unwrap_err();
        assert!(error.contains(what), "{from} → {to}: want {what:?} in {error:?}");
    }
    for len in (0..good.len()).step_by(7) {
        judge_packed(&good[..len]).unwrap_err();
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// A packed layer's file with a few bytes changed: still right, or an error.
    #[test]
    fn damaged_packed_files_do_not_panic(seed: u64, changes in 1usize..5) {
        let mut random = Random::new(seed);
        let mut bytes = packed_file(&packed());
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for _ in 0..changes {
            let at = random.below(header as u64 + 4) as usize;
            bytes[at] = if random.below(2) == 0 { random.bits() as u8 } else { random.pick(b"0123456789[]{},:\"-=;") };
        }
        let _ = judge_packed(&bytes);
    }
}
