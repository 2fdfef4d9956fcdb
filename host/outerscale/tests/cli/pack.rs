//! `pack`, and what `linear` makes of its file.

use super::{Bench, assert_refused, outerscale, stderr, text};
use safetensors::{Dtype, SafeTensors};
use std::{fs, process::Output};

/// A bench whose layer is written, and the call that packs it to `w`.
fn packed(bench: &Bench, flags: &[&str]) -> Output {
    fs::write(bench.path("layer"), bench.bytes()).unwrap();
    let (layer, out) = (bench.path("layer"), bench.path("w"));
    outerscale(&[&["pack", text(&layer), "--out", text(&out)], flags].concat())
}

#[test]
fn packed_weights_give_the_same_bits() {
    let schemes: [&[&str]; 8] = [
        &["--scheme", "w8a8-token"],
        &["--scheme", "w8a8-tensor"],
        &["--scheme", "w8a8-static"],
        &["--scheme", "w8a8-running", "--every", "3"],
        &["--scheme", "w8a8-asym"],
        &["--scheme", "llm-int8", "--threshold", "0.7"],
        &["--scheme", "smooth-static", "--alpha", "0.5"],
        &["--scheme", "w8a8-token", "--preset", "bitsandbytes"],
    ];
    for scheme in schemes {
        let bench = Bench::new();
        let plain = bench.linear(scheme);
        assert!(plain.status.success(), "{}", stderr(&plain));
        let want = fs::read(bench.path("out")).unwrap();
        let done = packed(&bench, scheme);
        assert!(done.status.success(), "{}", stderr(&done));
        let weights = bench.path("w");
        let again = bench.linear(&["--weights", text(&weights)]);
        assert!(again.status.success(), "{scheme:?}: {}", stderr(&again));
        assert!(fs::read(bench.path("out")).unwrap() == want, "{scheme:?}");
    }
}

#[test]
fn the_file_says_what_it_is() {
    let bench = Bench::new();
    let done = packed(&bench, &["--scheme", "w8a8-static", "--json"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("one JSON object");
    assert_eq!((json["n"].as_u64(), json["k"].as_u64(), json["code_bytes"].as_u64()), (Some(4), Some(5), Some(8192)));
    let bytes = fs::read(bench.path("w")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let format = metadata.metadata().as_ref().unwrap()["format"].clone();
    assert_eq!(format, "outerscale-packed/1; layout=panels64x128; n=4; k=5; scheme=w8a8-static");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names, ["bias", "q_w", "s_w", "s_x"]);
    // The same call writes the same bytes.
    packed(&bench, &["--scheme", "w8a8-static"]);
    assert!(fs::read(bench.path("w")).unwrap() == bytes);
}

#[test]
fn wrong_calls_and_files_are_one_line() {
    let mut bench = Bench::new();
    packed(&bench, &[]);
    let weights = bench.path("w");
    // Flags that the file has decided.
    for flags in [["--scheme", "w8a8-token"], ["--alpha", "0.5"], ["--stats", "none"]] {
        let output = bench.linear(&[&["--weights", text(&weights)], &flags[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("cannot be used with"), "{}", stderr(&output));
    }
    let layer = bench.path("layer");
    assert_refused(&bench.linear(&["--weights", text(&layer)]), "layer: holds no packed layer; outerscale pack writes");
    bench.set_zeros("w", Dtype::F32, &[3, 5]);
    bench.remove("bias");
    assert_refused(&bench.linear(&["--weights", text(&weights)]), "tensor q_w: are [4, 5], the layer's w is [3, 5]");
    // A layer that cannot be packed leaves what was there.
    let old = fs::read(&weights).unwrap();
    let mut w = [0.25f32; 15];
    w[7] = f32::NAN;
    bench.set_f32("w", &[3, 5], &w);
    assert_refused(&packed(&bench, &[]), "pack: s_w: [1] a scale must lie in [2^-100, 2^100], got NaN");
    assert!(fs::read(&weights).unwrap() == old, "the old file was touched");
    assert_refused(&outerscale(&["pack", text(&layer), "--out", text(&layer)]), "is the input; give another --out");
}
