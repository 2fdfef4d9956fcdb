//! What the documents promise is what the tests test: each promise of the README names its tests, and the
//! numbers of NUMERICS.md are those of the code, its figures of speed those that are recorded.

use outerscale_tests::figures::recorded;
use std::{fs, path::Path};

/// The beginning of each promise in the README, and the tests that hold it.
const PROMISES: [(&str, &[&str]); 4] = [
    ("a token's result does not depend on the other tokens", &["batch_invariance", "permutation"]),
    (
        "nor on the tile shape that was chosen, on the row stride or alignment of the operands, on the device",
        &[
            "tile_invariance",
            "stride_and_alignment_invariance",
            "the_same_on_a_gpu",
            "shipped_kernels_pass_in_every_way",
        ],
    ),
    (
        "every code is `clamp(rne(x / s), -127, 127)` of the true binary32 quotient",
        &["token_f32", "static_f16", "to_f32", "to_i32", "equals_the_oracle", "long_sums_of_large_codes"],
    ),
    ("a NaN or Inf spoils its own token's row, and no other", &["nan_stays_where_it_is", "per_tensor_nan_spoils_all"]),
];

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// `text` with line breaks and indents as single spaces.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of all test sources.
fn tests() -> String {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

#[test]
fn every_promise_of_the_readme_has_its_tests() {
    let readme = read("README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("What is promised")).unwrap();
    let promises: Vec<String> = section.split("\n- ").skip(1).map(unwrapped).collect();
    let tests = tests();
    for promise in &promises {
        let (_, names) = PROMISES
            .iter()
            .find(|(beginning, _)| promise.starts_with(beginning))
            .unwrap_or_else(|| panic!("the README promises {promise:?}: which test holds it?"));
        for name in *names {
            // A test is written as a function, or as an argument of the macro that makes one for each type.
            let written = [format!("fn {name}("), format!(" {name} "), format!(" {name},"), format!(" {name})")];
            assert!(written.iter().any(|w| tests.contains(w)), "no test {name} for the promise {promise:?}");
        }
    }
    assert_eq!(promises.len(), PROMISES.len(), "a promise was taken out of the README");
}

#[test]
fn the_limits_are_those_of_the_contract() {
    use contract::limits;
    let numerics = unwrapped(&read("NUMERICS.md"));
    assert_eq!(limits::MAX_K, oracle::MAX_K as u64);
    assert!(numerics.contains("K > 133,144 is refused") && limits::MAX_K == 133_144);
    assert!(numerics.contains("A scale that is given must lie in [2^-100, 2^100]"));
    assert_eq!((limits::SCALE_MIN, limits::SCALE_MAX), (oracle::scale::SCALE_MIN, oracle::scale::SCALE_MAX));
    assert_eq!((limits::SCALE_MIN, limits::SCALE_MAX), (2f32.powi(-100), 2f32.powi(100)));
    assert!(numerics.contains("0x7FFFFFFF in f32, 0x7FFF in f16 and bf16"));
    assert_eq!((limits::NAN_F32, limits::NAN_16), (oracle::float::NAN_F32, oracle::float::NAN_16));
    assert_eq!((limits::NAN_F32, limits::NAN_16), (0x7fff_ffff, 0x7fff));
    assert_eq!(limits::ROW_ALIGN_BYTES, oracle::ROW_ALIGN as u64);
}

/// What is recorded of a kernel in a file: the row whose first cells are `key`.
fn row(file: &str, key: &[&str]) -> Vec<String> {
    // A row of registers may be of several types of elements: `gemm_t128x128_{bf16,f16}`.
    let names = |cell: &str, key: &str| match cell.trim_matches('`').split_once('{') {
        Some((stem, types)) => types.trim_end_matches('}').split(',').any(|last| key == format!("{stem}{last}")),
        None => cell.trim_matches('`') == key,
    };
    let found = recorded(file).into_iter().find(|row| key.iter().zip(row).all(|(key, cell)| names(cell, key)));
    found.unwrap_or_else(|| panic!("bench/figures/{file} has no row {key:?}"))
}

/// The README's row of a kernel with this loop.
fn speed(entry: &str, registers: &str, main_loop: &str) -> String {
    let traffic = row("traffic.md", &[entry]);
    let [ratio, sectors, wavefronts] = [5, 6, 7].map(|i| traffic[i].as_str());
    format!("| `{entry}` | {registers} | 0 | {main_loop} | {ratio} | {sectors}, {wavefronts} |")
}

#[test]
fn the_readmes_figures_of_speed_are_those_that_are_recorded() {
    let mut rows = Vec::new();
    // The first column of registers is the architecture that a module is compiled for.
    let registers = |entry: &str| row("registers.md", &[entry])[1].clone();
    for tile in ["h128x256", "h256x128", "h128x128", "d128x8", "d128x64"] {
        let entry = format!("gemm_{tile}_bf16");
        let main_loop = row("hopper.md", &[&entry]);
        let main_loop = format!("{} instructions for {} wgmma", main_loop[2], main_loop[1]);
        rows.push(speed(&entry, &registers(&entry), &main_loop));
    }
    for tile in ["t128x256", "t160x192", "t128x128"] {
        let entry = format!("gemm_{tile}_bf16");
        let main_loop = row("portable.md", &[tile, "A100"]);
        let main_loop = format!("{} instructions for {} IMMA", main_loop[3], main_loop[2]);
        rows.push(speed(&entry, &registers(&entry), &main_loop));
    }
    for entry in ["gemm_stream8_bf16", "gemm_stream16_bf16", "quantize_token_bf16"] {
        let [.., registers, _, _, kib, instructions, _, _, _] = &row("memory.md", &[entry, "H200"])[..] else {
            panic!("memory.md has other columns")
        };
        rows.push(speed(
            entry,
            registers,
            &format!("{instructions} instructions for 16 bytes, {kib} KiB on their way"),
        ));
    }
    let readme = read("README.md");
    let missing: Vec<_> = rows.iter().filter(|row| !readme.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "the README's section Speed lacks the recorded rows:\n{}", rows.join("\n"));
}
