//! Rubbish into the reader of layers: truncated files, lying headers, random bytes. An error of one line that
//! names the file, or a layer that keeps its promises; never a panic, never memory for what a header claims.

use outerscale::files::Layer;
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
