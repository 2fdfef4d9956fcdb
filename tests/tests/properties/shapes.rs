//! Any shape, by every variant that says it can: M, N, K, the place of y, and tokens from elsewhere as they lie.
//!
//! Which variants there are the registry says. One that is not for a shape or a GPU refuses it, with its reason; each must
//! have run on some shape in the end.

use crate::gemm::{Out, tokens, weights};
use half::{bf16, f16};
use outerscale::{
    Activations, Bias, Error, Int8Matrix, Launch, Layout, Output, PackedCodes, PerChannel, PerToken, QuantizedTokens,
    Result, Scales,
    ops::{self, Choice, Product},
    registry,
};
use outerscale_tests::{
    data::{Codes, Kind, scales},
    harness::*,
    random::Random,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, process::Command, sync::Mutex};

/// Sizes beside the edges of tiles, chunks and k_blocks, and any other.
fn some_size() -> impl Strategy<Value = usize> {
    let edges = [1usize, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257];
    prop_oneof![3 => prop::sample::select(edges.to_vec()), 1 => 1usize..=300]
}

/// How tokens come to the product.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rows {
    /// Packed by `pack_rows`.
    Packed,
    /// As they lie: chunks of 16 bytes before the first and between them.
    AsTheyLie { before: u64, between: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Case {
    shape: (usize, usize, usize),
    rows: Rows,
    gap: usize,
    offset: usize,
    seed: u64,
}

fn some_case() -> impl Strategy<Value = Case> {
    let rows = prop_oneof![
        1 => Just(Rows::Packed),
        1 => (0u64..3, 0u64..4).prop_map(|(before, between)| Rows::AsTheyLie { before, between }),
    ];
    let place = (prop_oneof![1 => Just(0usize), 2 => 1usize..9], prop_oneof![1 => Just(0usize), 2 => 1usize..9]);
    ((some_size(), some_size(), some_size()), rows, place, any::<u64>())
        .prop_map(|(shape, rows, (gap, offset), seed)| Case { shape, rows, gap, offset, seed })
}

/// Variants that ran, by the names of their entries.
static RAN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether a variant ran; one that refuses the shape did not, and says why.
fn ran(what: &str, variant: Choice<'_>, launched: Result<Launch>) -> bool {
    match launched {
        Ok(launch) => {
            RAN.lock().unwrap().insert(launch.entry);
            true
        }
        Err(Error::Variant { reason, .. }) if variant != Choice::Auto => {
            assert!(!reason.is_empty() && !reason.contains('\n'), "{what}: {reason}");
            false
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

fn rows_as_they_lie(q: &[i8], (m, k): (usize, usize), before: u64, between: u64) -> PackedCodes {
    let stride = (k as u64).next_multiple_of(16) + 16 * between;
    let layout = Layout::contiguous(m as u64, k as u64).with_row_stride(stride).with_offset(16 * before);
    // The gaps are full of codes that must not count.
    PackedCodes::as_they_lie(&Int8Matrix::upload(gpu(), q, layout).unwrap()).unwrap()
}

/// Every variant of `gemm`, and the one that would be chosen.
fn check<T: Out>(case: Case) {
    let Case { shape: (m, n, k), seed, .. } = case;
    let (q_x, q_w) = (Codes::Uniform.matrix(m, k, seed), Codes::Uniform.matrix(n, k, !seed));
    let (s_x, s_w, bias) = (scales(m, seed), scales(n, !seed), scales(n, seed ^ 5));
    let acc = oracle::gemm_i32(&q_x, &q_w, m, n, k).unwrap();
    let want = T::dequant(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: Some(&bias) });
    let x: QuantizedTokens<PerToken> = match case.rows {
        Rows::Packed => tokens(gpu(), &q_x, k, &s_x),
        Rows::AsTheyLie { before, between } => {
            let rows = rows_as_they_lie(&q_x, (m, k), before, between);
            QuantizedTokens::from_packed(rows, Scales::upload(gpu(), &s_x).unwrap()).unwrap()
        }
    };
    let w = weights::<PerChannel>(gpu(), &q_w, k, &s_w);
    let bias = Bias::upload(gpu(), &bias).unwrap();
    let layout = Place { rows: m, cols: n, gap: case.gap, offset: case.offset }.layout();
    let mut workspace = workspace();
    for variant in variants("gemm").chain([Choice::Auto]) {
        let what = format!("gemm {variant:?} to {}", T::DTYPE);
        let mut y = Output::<T>::filled(gpu(), layout, 0xc3).unwrap();
        let product = Product { x: &x, w: &w, bias: Some(&bias) };
        if !ran(&what, variant, ops::gemm(gpu(), product, &mut y, &mut workspace, variant)) {
            continue;
        }
        assert_bits(&what, &y.download().unwrap(), &want, n);
        let fill = u32::from_ne_bytes([0xc3; 4]) >> (32 - 8 * T::DTYPE.bytes());
        let mut gaps = y.download_span().unwrap();
        // In reverse, so that the ranges that are left keep their place.
        layout.row_ranges().collect::<Vec<_>>().into_iter().rev().for_each(|row| drop(gaps.drain(row)));
        assert!(gaps.iter().all(|v| v.bits() == fill), "{what} wrote outside of y");
    }
    assert!(workspace.download().unwrap().iter().all(|byte| *byte == 0), "a workspace that is not left as it was");
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn any_to_f32(case in some_case()) {
        check::<f32>(case);
    }

    #[test]
    fn any_to_f16(case in some_case()) {
        check::<f16>(case);
    }

    #[test]
    fn any_to_bf16(case in some_case()) {
        check::<bf16>(case);
    }

    #[test]
    fn any_to_i32(case in some_case()) {
        check::<i32>(case);
    }
}

/// Whoever is made for one kind of shape alone meets it here, on this GPU.
#[test]
fn any_variant_runs_on_some_shape() {
    let place = |shape| Case { shape, rows: Rows::Packed, gap: 0, offset: 0, seed: 3 };
    for shape in [(1, 256, 256), (8, 128, 256), (17, 64, 128), (64, 256, 129), (257, 256, 256)] {
        check::<f32>(place(shape));
        check::<f16>(place(shape));
        check::<bf16>(place(shape));
        check::<i32>(place(shape));
    }
    let ran = RAN.lock().unwrap();
    let arch = gpu().arch();
    let table = registry::op("gemm").unwrap().table;
    let on_this_gpu = table.variants.iter().filter(|variant| arch.text(variant.module).is_some());
    let missing: Vec<String> =
        on_this_gpu.flat_map(|variant| variant.entries()).filter(|entry| !ran.contains(entry)).collect();
    assert!(missing.is_empty(), "on {} no shape here has them run: {missing:?}", arch.name);
}

/// The same for a GPU that has the portable kernels alone.
#[test]
fn the_same_on_sm_80() {
    if std::env::var_os("OUTERSCALE_TEST_ARCH").is_some() || backend() != outerscale::Backend::Sim {
        return assert!(!gpu().arch().name.is_empty());
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.arg("shapes::any_").env("OUTERSCALE_TEST_ARCH", "sm_80").output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("5 passed"), "on sm_80:\n{text}");
}

/// Rows that the products cannot read as they lie are copied, and the reason is told.
#[test]
fn rows_that_have_to_be_copied() {
    let (m, k) = (5usize, 40usize);
    let q: Vec<i8> = Codes::Uniform.matrix(m, k, 1);
    let at = |stride: u64, offset: u64| Layout::contiguous(5, 40).with_row_stride(stride).with_offset(offset);
    for (layout, reason) in
        [(at(48, 1), "16-byte boundary"), (at(40, 0), "no multiple of 16"), (at(56, 16), "56 bytes")]
    {
        let codes = Int8Matrix::upload(gpu(), &q, layout).unwrap();
        let error = PackedCodes::as_they_lie(&codes).err().unwrap();
        assert!(error.contains(reason), "{layout:?}: {error}");
        let (rows, launch) = ops::rows_for_product(gpu(), &codes).unwrap();
        assert!(launch.is_some_and(|launch| launch.entry == "pack_rows"));
        assert_eq!(rows.download_codes().unwrap(), q);
    }
    let codes = Int8Matrix::upload(gpu(), &q, at(48, 32)).unwrap();
    let (rows, launch) = ops::rows_for_product(gpu(), &codes).unwrap();
    assert!(launch.is_none(), "nothing is launched for rows that can be read");
    assert_eq!(rows.download_codes().unwrap(), q);
    assert_eq!(rows.download_padded().unwrap(), oracle::pack_rows(&q, m, k, k));
}

/// x, codes and y in memory of the caller's: nothing outside of it is read, which the simulator would tell.
#[test]
fn memory_of_the_callers() {
    let (m, n, k) = (9usize, 21usize, 130usize);
    let mut random = Random::new(4);
    let x: Vec<f16> = Kind::Uniform.matrix(m, k, 6);
    // Somebody else's allocation: x from its fourth element on, rows apart.
    let place = Place { rows: m, cols: k, gap: 3, offset: 4 }.layout();
    let theirs = Activations::upload(gpu(), &x, place).unwrap();
    // SAFETY: `theirs` outlives all that uses its memory.
    let borrowed = |bytes| unsafe { Activations::<f16>::borrow(gpu(), theirs.device_ptr(), bytes, place) };
    let error = borrowed(2 * place.span() - 1).err().unwrap().to_string();
    assert!(error.starts_with("borrow: x: ") && error.contains("there are"), "{error}");
    let (q, _) = ops::quantize_token(gpu(), &borrowed(2 * place.span()).unwrap(), Choice::Auto).unwrap();
    let (same, _) = ops::quantize_token(gpu(), &theirs, Choice::Auto).unwrap();
    assert_eq!(q.download_codes().unwrap(), same.download_codes().unwrap());
    // SAFETY: as above; it is refused before anything is read.
    let odd = unsafe { Activations::<f16>::borrow(gpu(), theirs.device_ptr() + 1, 999, Layout::contiguous(1, 1)) };
    assert!(odd.err().unwrap().to_string().contains("aligned to 2 bytes"));

    // Codes whose memory ends with the last of them: too early for a read in whole k_blocks.
    let codes: Vec<i8> = (0..m * k).map(|_| random.bits() as i8).collect();
    let flat = Layout::contiguous(1, (m * 144) as u64);
    let mut laid = vec![-1i8; m * 144];
    laid.chunks_mut(144).zip(codes.chunks(k)).for_each(|(to, from)| to[..k].copy_from_slice(from));
    let theirs = Int8Matrix::upload(gpu(), &laid, flat).unwrap();
    let rows = Layout::contiguous(m as u64, k as u64).with_row_stride(144);
    // SAFETY: as above.
    let borrowed = |bytes| unsafe { Int8Matrix::borrow(gpu(), theirs.device_ptr(), bytes, rows) }.unwrap();
    let readable = (m as u64 - 1) * 144 + contract::limits::readable_row_bytes(k as u64);
    assert!(PackedCodes::as_they_lie(&borrowed(readable - 1)).err().unwrap().contains("the memory ends"));
    let packed = PackedCodes::as_they_lie(&borrowed(readable)).unwrap();
    assert_eq!(packed.download_codes().unwrap(), codes);
    let s_x = scales(m, 1);
    let x = QuantizedTokens::<PerToken>::from_packed(packed, Scales::upload(gpu(), &s_x).unwrap()).unwrap();
    let (q_w, s_w) = (Codes::Uniform.matrix(n, k, 2), scales(n, 2));
    let w = weights::<PerChannel>(gpu(), &q_w, k, &s_w);
    let acc = oracle::gemm_i32(&codes, &q_w, m, n, k).unwrap();
    let want = oracle::dequant_f32(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: None });
    let y_layout = Layout::contiguous(m as u64, n as u64);
    let target = Output::<f32>::new(gpu(), y_layout).unwrap();
    for variant in variants("gemm") {
        // SAFETY: as above; the product alone writes there.
        let mut y =
            unsafe { Output::<f32>::borrow(gpu(), target.device_ptr(), 4 * y_layout.span(), y_layout) }.unwrap();
        let launched = ops::gemm(gpu(), Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace(), variant);
        if ran(&format!("gemm {variant:?}"), variant, launched) {
            assert_bits(&format!("gemm {variant:?}"), &target.download().unwrap(), &want, n);
        }
    }
}

/// One row may have any stride, more than TMA takes too: nothing goes on from it.
#[test]
fn one_row_of_any_stride() {
    let (n, k) = (21usize, 130usize);
    let (q, q_w) = (Codes::Uniform.matrix(1, k, 3), Codes::Uniform.matrix(n, k, 4));
    let far = |cols: usize| Layout::contiguous(1, cols as u64).with_row_stride(1 << 41);
    let row = PackedCodes::as_they_lie(&Int8Matrix::upload(gpu(), &q, far(k)).unwrap()).unwrap();
    let x = QuantizedTokens::<PerToken>::from_packed(row, Scales::upload(gpu(), &scales(1, 3)).unwrap()).unwrap();
    let w = weights::<PerChannel>(gpu(), &q_w, k, &scales(n, 4));
    let want = oracle::gemm_i32(&q, &q_w, 1, n, k).unwrap();
    for variant in variants("gemm").chain([Choice::Auto]) {
        let what = format!("gemm {variant:?}, one row");
        let mut y = Output::<i32>::new(gpu(), far(n)).unwrap();
        let launched = ops::gemm(gpu(), Product { x: &x, w: &w, bias: None }, &mut y, &mut workspace(), variant);
        if ran(&what, variant, launched) {
            assert_eq!(y.download().unwrap(), want, "{what}");
        }
    }
}

/// Rows so far apart that an element's number, and a byte's, need more than 32 bits, in x, codes and y. The simulator's
/// memory is sparse: what nobody writes costs nothing.
#[test]
fn past_two_to_the_31_elements() {
    let (m, n, k) = (3usize, 70usize, 130usize);
    let far = Layout::contiguous(m as u64, k as u64).with_row_stride((1 << 31) + 16);
    let far_y = Layout::contiguous(m as u64, n as u64).with_row_stride((1 << 31) + 5);
    let room = |elements: u64| Output::<i32>::new(gpu(), Layout::contiguous(1, elements)).unwrap();
    let (theirs, target) = (room(far.span()), room(far_y.span()));
    let (from, to) = (theirs.device_ptr(), target.device_ptr());
    // SAFETY: `theirs` outlives what is borrowed from it.
    let row_of =
        |at: u64, len: u64| unsafe { Activations::<f32>::borrow(gpu(), at, 4 * len, Layout::contiguous(1, len)) };
    let values: Vec<f32> = Kind::Uniform.matrix(m, k, 1);
    for (row, values) in (0..).zip(values.chunks(k)) {
        row_of(from + 4 * row * far.row_stride, k as u64).unwrap().write(values).unwrap();
    }
    // SAFETY: as above.
    let x = unsafe { Activations::<f32>::borrow(gpu(), from, 4 * far.span(), far) }.unwrap();
    let (codes, s_x) = oracle::quantize_token(&values, m, k);
    for variant in variants("quantize_token") {
        let (q, _) = ops::quantize_token(gpu(), &x, variant).unwrap();
        assert_bits(&format!("quantize_token {variant:?}"), &q.download_codes().unwrap(), &codes, k);
    }

    // The codes, where x was, as they lie far apart: nine chunks a row, the last with codes that must not count.
    for (row, codes) in (0..).zip(codes.chunks(k)) {
        let bytes: Vec<u8> = codes.iter().map(|code| *code as u8).chain([0x7f; 14]).collect();
        let words: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        row_of(from + row * far.row_stride, 36).unwrap().write(&words).unwrap();
    }
    // SAFETY: as above.
    let far_codes = unsafe { Int8Matrix::borrow(gpu(), from, 4 * far.span(), far) }.unwrap();
    let rows = PackedCodes::as_they_lie(&far_codes).unwrap();
    let x = QuantizedTokens::<PerToken>::from_packed(rows, Scales::upload(gpu(), &s_x).unwrap()).unwrap();
    let (q_w, s_w) = (Codes::Uniform.matrix(n, k, 2), scales(n, 2));
    let w = weights::<PerChannel>(gpu(), &q_w, k, &s_w);
    let acc = oracle::gemm_i32(&codes, &q_w, m, n, k).unwrap();
    let want = oracle::dequant_f32(&acc, m, n, &oracle::Dequant { s_x: &s_x, s_w: &s_w, bias: None });
    // SAFETY: `target` outlives what is borrowed from it.
    let y_at =
        |at: u64, layout: Layout| unsafe { Output::<f32>::borrow(gpu(), at, 4 * layout.span(), layout) }.unwrap();
    for variant in variants("gemm").chain([Choice::Auto]) {
        let what = format!("gemm {variant:?}, rows 2^31 apart");
        let product = Product { x: &x, w: &w, bias: None };
        if !ran(&what, variant, ops::gemm(gpu(), product, &mut y_at(to, far_y), &mut workspace(), variant)) {
            continue;
        }
        for (row, want) in (0..).zip(want.chunks(n)) {
            let got = y_at(to + 4 * row * far_y.row_stride, Layout::contiguous(1, n as u64)).download().unwrap();
            assert_bits(&format!("{what}, row {row}"), &got, want, n);
        }
    }
}

/// A K that no int32 can sum is one line, whatever the variant.
#[test]
fn too_long_a_sum_is_refused() {
    let k = 132_105;
    let ones = vec![1i8; k];
    let x = tokens::<PerToken>(gpu(), &ones, k, &[1.0]);
    let w = weights::<PerChannel>(gpu(), &ones, k, &[1.0]);
    let mut y = Output::<f32>::new(gpu(), Layout::contiguous(1, 1)).unwrap();
    for variant in variants("gemm").chain([Choice::Auto]) {
        let product = Product { x: &x, w: &w, bias: None };
        let error = ops::gemm(gpu(), product, &mut y, &mut workspace(), variant).err().unwrap().to_string();
        assert_eq!(error, "gemm: x: K must be 1 to 131071, where int32 cannot overflow, got 132105");
    }
}
