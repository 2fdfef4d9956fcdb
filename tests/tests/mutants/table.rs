//! What is done to which kernel. Left out are changes that are none: without the maximum with -127 a dynamic
//! scale still reaches no -128, as no x is larger than 127 scales.

use crate::edit::{Line, Mutant, at_sites, constant, dropped, instruction, passed, renamed, swap};
use std::cell::RefCell;

/// One way to make kernels wrong.
pub(crate) struct Mutation {
    /// What is done.
    pub(crate) what: &'static str,
    /// To which kernels.
    pub(crate) entries: &'static [&'static str],
    /// How: every mutant of a kernel's text.
    pub(crate) edit: fn(&str) -> Vec<Mutant>,
}

const GEMMS: &[&str] = &["gemm_t128x256_i32", "gemm_t64x64_f16", "gemm_t16x64_f32"];
const DEQUANTIZING: &[&str] = &["gemm_t128x128_bf16", "gemm_t64x64_f16", "gemm_t16x64_f32"];
const BLOCK_REDUCING: &[&str] =
    &["row_absmax_f32", "running_scale", "tensor_absmax_f16", "quantize_token_f32", "quantize_tensor_f16"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "swap two registers of A in an mma",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| swap(l, "mma.sync", 1)),
    },
    Mutation {
        what: "swap the registers of B in an mma",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| swap(l, "mma.sync", 2)),
    },
    Mutation {
        what: "swap two registers of the sum in an mma",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| swap(l, "mma.sync", 0)),
    },
    Mutation {
        what: "swap two matrices of an ldmatrix",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| swap(l, "ldmatrix", 0)),
    },
    Mutation { what: "drop a barrier", entries: GEMMS, edit: drop_barrier },
    Mutation { what: "drop the barrier of the reduction", entries: BLOCK_REDUCING, edit: drop_barrier },
    Mutation { what: "wait for one copy group less", entries: GEMMS, edit: |text| at_sites(text, wait_for_less) },
    Mutation {
        what: "drop a commit of copies",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| dropped(l, "cp.async.commit_group")),
    },
    Mutation {
        what: "drop a copy to shared memory",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| dropped(l, "cp.async.cg")),
    },
    Mutation { what: "copy what does not exist", entries: GEMMS, edit: |text| at_sites(text, copy_all) },
    Mutation {
        what: "swizzle another chunk",
        entries: GEMMS,
        edit: |text| at_sites(text, |l| constant(l, "xor.b32", "32", "64")),
    },
    Mutation {
        what: "round the product before the bias is added",
        entries: DEQUANTIZING,
        edit: |text| at_sites(text, split_fma),
    },
    Mutation { what: "s_x before s_w", entries: DEQUANTIZING, edit: scales_swapped },
    Mutation {
        what: "take the bits of an f16 bias for a number",
        entries: DEQUANTIZING,
        edit: |text| at_sites(text, |l| renamed(l, "cvt.f32.f16", "cvt.rn.f32.u16")),
    },
    Mutation {
        what: "lose the lowest bit of an accumulator",
        entries: DEQUANTIZING,
        edit: |text| at_sites(text, lowest_bit_lost),
    },
    Mutation {
        what: "y to f16 towards zero",
        entries: &["gemm_t64x64_f16"],
        edit: |text| at_sites(text, |l| renamed(l, "cvt.rn.f16.f32", "cvt.rz.f16.f32")),
    },
    Mutation {
        what: "another NaN in y",
        entries: &["gemm_t16x64_f32"],
        edit: |text| at_sites(text, |l| constant(l, "selp.b32", "2147483647", "2143289344")),
    },
    Mutation {
        what: "drop the maximum with -127",
        entries: &["quantize_static_f32", "quantize_static_f16"],
        edit: |text| at_sites(text, |l| passed(l, "max.s32", "-127")),
    },
    Mutation {
        what: "keep the sign in a maximum",
        entries: &["row_absmax_f32", "quantize_token_f32"],
        edit: |text| at_sites(text, |l| passed(l, "and.b32", "2147483647")),
    },
    Mutation {
        what: "exchange with a wrong lane",
        entries: &["row_absmax_f16", "quantize_token_f16", "quantize_token_f32"],
        edit: |text| at_sites(text, wrong_lane),
    },
    Mutation {
        what: "write padding that is not zero",
        entries: &["pack_rows", "quantize_token_f16", "quantize_static_f32"],
        edit: padded_with_one,
    },
    Mutation {
        what: "swap two words of a store",
        entries: &["pack_rows"],
        edit: |text| at_sites(text, |l| swap(l, "st.global.v4", 1)),
    },
    Mutation {
        what: "store one byte further",
        entries: &["pack_rows", "quantize_token_f16", "row_absmax_f32"],
        edit: |text| at_sites(text, store_further),
    },
    Mutation {
        what: "split the fma of the average",
        entries: &["running_scale"],
        edit: |text| at_sites(text, split_fma),
    },
    Mutation {
        what: "let a batch of NaN count, or none",
        entries: &["running_scale"],
        edit: |text| {
            at_sites(text, |l| {
                (l.mnemonic == "setp.gtu.f32")
                    .then(|| l.renamed("setp.gt.f32"))
                    .or_else(|| (l.mnemonic == "setp.le.f32").then(|| l.renamed("setp.leu.f32")))
            })
        },
    },
    Mutation {
        what: "take some of the partial maxima only",
        entries: &["running_scale"],
        edit: |text| at_sites(text, |l| constant(l, "add.s64", "256", "512")),
    },
    Mutation {
        what: "do not keep the state",
        entries: &["running_scale"],
        edit: |text| at_sites(text, |l| dropped(l, "st.global.v4")),
    },
    Mutation {
        what: "lose the sign of a zero point's product",
        entries: &["gemm_asym_t128x128_bf16", "gemm_asym_t64x64_f16", "gemm_asym_t16x64_f32"],
        edit: zero_point_added,
    },
    Mutation {
        what: "sum other bytes",
        entries: &["row_sums"],
        edit: |text| at_sites(text, |l| constant(l, "mov.b32", "16843009", "16842753")),
    },
    Mutation {
        what: "do not count what a scale does not fit",
        entries: &["quantize_static_f32", "quantize_static_bf16"],
        edit: |text| at_sites(text, |l| dropped(l, "red.")),
    },
];

/// acc + zp · sum for acc - zp · sum: the difference that takes the product made last.
fn zero_point_added(text: &str) -> Vec<Mutant> {
    let product = RefCell::new(String::new());
    at_sites(text, |line| {
        let p = line.parts();
        match line.mnemonic {
            "mul.lo.s32" => {
                product.replace(p[0].to_owned());
                None
            }
            "sub.s32" => (p[2] == *product.borrow()).then(|| instruction("add.s32", &p[..3])),
            _ => None,
        }
    })
}

pub(crate) fn drop_barrier(text: &str) -> Vec<Mutant> {
    at_sites(text, |line| dropped(line, "bar.sync"))
}

pub(crate) fn passed_first(line: &Line<'_>, mnemonic: &str) -> Option<String> {
    (line.mnemonic == mnemonic).then(|| instruction("mov.b32", &line.parts()[..2]))
}

fn wait_for_less(line: &Line<'_>) -> Option<String> {
    let pending: u32 = line.operands[0].parse().ok()?;
    (line.mnemonic == "cp.async.wait_group").then(|| line.with(0, &(pending + 1).to_string()))
}

fn lowest_bit_lost(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    (line.mnemonic == "cvt.rn.f32.s32")
        .then(|| [instruction("and.b32", &["%m0", p[1], "-2"]), line.with(1, "%m0")].join("\n"))
}

/// The store of a register that was just set to 0 stores 1.
fn padded_with_one(text: &str) -> Vec<Mutant> {
    let zero = RefCell::new(String::new());
    at_sites(text, |line| {
        let p = line.parts();
        if line.mnemonic == "mov.b16" && p[1] == "0" {
            zero.replace(p[0].to_owned());
        }
        let is_padding = line.mnemonic == "st.global.b8" && *zero.borrow() == p[1];
        is_padding.then(|| [instruction("mov.b16", &[p[1], "1"]), line.renamed(line.mnemonic)].join("\n"))
    })
}

/// A copy whose size is 0 past the end of rows, of panels or of K becomes one of 16 bytes.
fn copy_all(line: &Line<'_>) -> Option<String> {
    line.mnemonic
        .starts_with("cp.async.cg")
        .then(|| [instruction("mov.b32", &["%m0", "16"]), line.with(3, "%m0")].join("\n"))
}

pub(crate) fn split_fma(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    (line.mnemonic == "fma.rn.f32").then(|| {
        [instruction("mul.rn.f32", &["%m0", p[1], p[2]]), instruction("add.rn.f32", &[p[0], "%m0", p[3]])].join("\n")
    })
}

/// y = fma(s_w, s_x · acc, b) for fma(s_x, s_w · acc, b): the product before an fma takes the other scale.
fn scales_swapped(text: &str) -> Vec<Mutant> {
    // t = s_w · acc is kept in mind from its own line until the fma that takes it.
    let product = RefCell::new(None);
    at_sites(text, |line| {
        let p = line.parts();
        match line.mnemonic {
            "mul.rn.f32" => {
                *product.borrow_mut() = Some((p[0].to_owned(), p[1].to_owned(), p[2].to_owned()));
                None
            }
            "fma.rn.f32" => {
                let (t, s_w, acc) = product.take()?;
                (p[2] == t).then(|| {
                    let other = instruction("mul.rn.f32", &["%m0", p[1], &acc]);
                    [other, instruction("fma.rn.f32", &[p[0], &s_w, "%m0", p[3]])].join("\n")
                })
            }
            _ => None,
        }
    })
}

fn wrong_lane(line: &Line<'_>) -> Option<String> {
    let other = match line.operands.get(2)?.as_str() {
        "16" => "8",
        "4" => "2",
        "1" => "2",
        _ => return None,
    };
    line.mnemonic.starts_with("shfl.sync.bfly").then(|| line.with(2, other))
}

/// `[%rd1]` becomes `[%rd1+1]`.
fn store_further(line: &Line<'_>) -> Option<String> {
    let address = line.operands[0].strip_prefix('[')?.strip_suffix(']')?;
    (line.mnemonic.starts_with("st.global") && !address.contains('+')).then(|| line.with(0, &format!("[{address}+1]")))
}
