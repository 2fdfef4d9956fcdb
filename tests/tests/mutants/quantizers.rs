//! What is done to the arithmetic of the quantizers: maxima, scales, division, rounding.

use crate::edit::{Line, Mutant, at_sites, constant, instruction, renamed};
use crate::table::{Mutation, passed_first};
use std::cell::RefCell;

const QUANTIZERS: &[&str] =
    &["quantize_token_f16", "quantize_token_f32", "quantize_tensor_bf16", "quantize_static_f32"];
const DYNAMIC: &[&str] = &["quantize_token_f16", "quantize_token_f32", "quantize_tensor_bf16"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation { what: "round towards zero", entries: QUANTIZERS, edit: |text| at_sites(text, |l| rounded(l, "z")) },
    Mutation { what: "round down", entries: QUANTIZERS, edit: |text| at_sites(text, |l| rounded(l, "m")) },
    Mutation { what: "round up", entries: QUANTIZERS, edit: |text| at_sites(text, |l| rounded(l, "p")) },
    Mutation { what: "round half away from zero", entries: QUANTIZERS, edit: |text| at_sites(text, half_away) },
    Mutation {
        what: "drop the clamp of the estimate from above",
        entries: &["quantize_static_f32"],
        edit: |text| at_sites(text, |l| passed_first(l, "min.f32")),
    },
    Mutation {
        what: "drop the clamp of the estimate from below",
        entries: &["quantize_static_f32"],
        edit: |text| at_sites(text, |l| passed_first(l, "max.f32")),
    },
    Mutation {
        what: "multiply by the reciprocal only", // In bf16 the two differ so rarely that one scale a tensor does not meet it.
        entries: &["quantize_token_f32", "quantize_tensor_f32", "quantize_static_f32"],
        edit: uncorrected,
    },
    Mutation {
        what: "multiply by the reciprocal without its rest",
        entries: &["quantize_token_f16", "quantize_token_bf16"],
        edit: without_rest,
    },
    Mutation {
        what: "leave the codes of a row of NaN as they come",
        entries: DYNAMIC,
        edit: |text| at_sites(text, |l| constant(l, "selp.b32", "251", "64")),
    },
    Mutation {
        what: "drop NaN from a maximum of two halves",
        entries: &["quantize_token_f16", "quantize_token_bf16", "row_absmax_f16"],
        // The first: others are of an element alone, whose window is 0 but for it.
        edit: |text| {
            let without =
                |l: &Line<'_>| l.mnemonic.starts_with("max.NaN").then(|| l.renamed(&l.mnemonic.replace(".NaN", "")));
            at_sites(text, without).into_iter().take(1).collect()
        },
    },
    Mutation {
        what: "exchange least and greatest of two halves",
        entries: &["quantize_asym_f16", "quantize_asym_bf16"],
        edit: |text| {
            at_sites(text, |l| l.mnemonic.starts_with("min.NaN").then(|| l.renamed(&l.mnemonic.replace("min", "max"))))
        },
    },
    Mutation {
        what: "scale by the reciprocal of 127",
        // Of 128 significands of bf16 only 6 tell the two apart.
        entries: &["quantize_token_f16", "quantize_token_f32", "quantize_tensor_f32"],
        edit: |text| at_sites(text, reciprocal_of_127),
    },
    Mutation {
        what: "no floor of the scale",
        entries: &["quantize_token_f32", "quantize_tensor_bf16"],
        edit: |text| at_sites(text, |l| constant(l, "setp.geu.f32", "0f0D800000", "0f00000000")),
    },
    Mutation {
        what: "a floor that drops NaN",
        entries: DYNAMIC,
        edit: |text| at_sites(text, |l| renamed(l, "setp.geu.f32", "setp.ge.f32")),
    },
    Mutation {
        what: "another scale for a zero row",
        entries: DYNAMIC,
        edit: |text| at_sites(text, |l| constant(l, "mov.b32", "0f3F800000", "0f3F000000")),
    },
    Mutation {
        what: "another NaN in the scales",
        entries: DYNAMIC,
        edit: |text| at_sites(text, |l| constant(l, "selp.b32", "2147483647", "2143289344")),
    },
    Mutation {
        what: "saturate codes in another order",
        entries: &["quantize_asym_f16", "quantize_asym_f32", "quantize_preset_f16"],
        edit: |text| at_sites(text, |l| swapped_sources(l, "cvt.pack.sat.s8.s32.b32")),
    },
    Mutation {
        what: "round a shifted code towards zero",
        entries: &["quantize_asym_f16", "quantize_asym_f32", "quantize_preset_f32"],
        edit: |text| at_sites(text, |l| renamed(l, "cvt.rni.s32.f32", "cvt.rzi.s32.f32").or_else(|| rounded(l, "z"))),
    },
    Mutation {
        what: "order numbers by their patterns as the other end of the range has them",
        entries: &["quantize_asym_f32"],
        // Not the first: the signed maximum after it takes its place again.
        edit: |text| at_sites(text, |l| renamed(l, "max.s32", "max.u32")).into_iter().skip(1).collect(),
    },
    Mutation {
        what: "divide by another number of steps",
        entries: &["quantize_asym_f32"],
        edit: |text| at_sites(text, |l| constant(l, "mov.b32", "1132396544", "1132462080")),
    },
];

const ROUND: &str = "cvt.rni.sat.s8.f32";

/// 1.5 · 2²³: adding it rounds, too.
const ROUND_ADDEND: &str = "0f4B400000";

/// Another rounding to codes, by a conversion or by an addition: `z`, `m` or `p`.
fn rounded(line: &Line<'_>, direction: &str) -> Option<String> {
    renamed(line, ROUND, &format!("cvt.r{direction}i.sat.s8.f32")).or_else(|| {
        let adds = line.mnemonic == "add.rn.f32" && line.operands.iter().any(|operand| operand == ROUND_ADDEND);
        adds.then(|| line.renamed(&format!("add.r{direction}.f32")))
    })
}

/// fma(x, reciprocal, x · rest) becomes x · reciprocal.
fn without_rest(text: &str) -> Vec<Mutant> {
    let product = RefCell::new(String::new());
    at_sites(text, |line| {
        let p = line.parts();
        match line.mnemonic {
            "mul.rn.f32" => {
                product.replace(p[0].to_owned());
                None
            }
            "fma.rn.f32" => (p[3] == *product.borrow()).then(|| instruction("mul.rn.f32", &p[..3])),
            _ => None,
        }
    })
}

/// cvt.rzi(v + copysign(½, v)) for the nearest integer; as f32 where that is what an addition would give.
fn half_away(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    let adds = line.mnemonic == "add.rn.f32" && p[2] == ROUND_ADDEND;
    (adds || line.mnemonic == ROUND).then(|| {
        let mut lines = vec![
            instruction("and.b32", &["%m0", p[1], "-2147483648"]),
            instruction("or.b32", &["%m0", "%m0", "0x3F000000"]),
            instruction("add.rn.f32", &["%m0", "%m0", p[1]]),
        ];
        if adds {
            lines.push(instruction("cvt.rzi.f32.f32", &["%m0", "%m0"]));
            lines.push(instruction("add.rn.f32", &[p[0], "%m0", ROUND_ADDEND]));
        } else {
            lines.push(instruction("cvt.rzi.sat.s8.f32", &[p[0], "%m0"]));
        }
        lines.join("\n")
    })
}

/// The second fma of the division in three operations, residual · r + t, becomes t.
fn uncorrected(text: &str) -> Vec<Mutant> {
    // The second is the one that takes the result of the fma before it.
    let residual = RefCell::new(String::new());
    at_sites(text, |line| {
        let p = line.parts();
        if line.mnemonic != "fma.rn.f32" {
            return None;
        }
        let is_second = residual.replace(p[0].to_owned()) == p[1];
        is_second.then(|| instruction("mov.b32", &[p[0], p[3]]))
    })
}

fn reciprocal_of_127(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    (line.mnemonic == "div.rn.f32").then(|| instruction("mul.rn.f32", &[p[0], p[1], "0f3C010204"]))
}

/// Takes the two values that an instruction packs in the other order.
fn swapped_sources(line: &Line<'_>, mnemonic: &str) -> Option<String> {
    let p = line.parts();
    (line.mnemonic == mnemonic).then(|| instruction(mnemonic, &[p[0], p[2], p[1], p[3]]))
}
