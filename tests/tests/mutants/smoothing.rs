//! What is done to the kernels that smooth, and to the maxima of columns that their factors are made of.

use crate::edit::{Line, at_sites, constant, dropped, instruction, passed, renamed, swap};
use crate::table::Mutation;

const TOKEN: &[&str] = &["quantize_smooth_token_f16", "quantize_smooth_token_f32", "quantize_smooth_token_bf16"];
const STATIC: &[&str] = &["quantize_smooth_static_f32", "quantize_smooth_static_bf16"];
const COLUMNS: &[&str] = &["column_absmax_f32", "column_absmax_f16"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "multiply by the reciprocal of a factor",
        entries: TOKEN,
        edit: |text| at_sites(text, by_reciprocal),
    },
    Mutation {
        what: "divide by the factor and round towards zero",
        entries: TOKEN,
        edit: |text| at_sites(text, |l| renamed(l, "div.rn.f32", "div.rz.f32")),
    },
    Mutation {
        what: "multiply by the factor",
        entries: STATIC,
        edit: |text| at_sites(text, |l| renamed(l, "div.rn.f32", "mul.rn.f32")),
    },
    Mutation {
        what: "exchange two columns or their factors",
        entries: &["quantize_smooth_token_f16", "quantize_smooth_static_f32"],
        edit: |text| at_sites(text, |l| swap(l, "ld.global.nc.v4", 0)),
    },
    Mutation {
        what: "do not count what does not fit x / s",
        entries: STATIC,
        edit: |text| at_sites(text, |l| dropped(l, "red.")),
    },
    Mutation {
        what: "drop the maximum with -127",
        entries: STATIC,
        edit: |text| at_sites(text, |l| passed(l, "max.s32", "-127")),
    },
    Mutation { what: "leave a column out", entries: COLUMNS, edit: |text| at_sites(text, |l| dropped(l, "red.")) },
    Mutation { what: "forget the batches before", entries: COLUMNS, edit: |text| at_sites(text, overwrite) },
    Mutation {
        what: "keep the sign in the maximum of a column",
        entries: COLUMNS,
        edit: |text| at_sites(text, |l| passed(l, "and.b32", "2147483647")),
    },
    Mutation {
        what: "another NaN in the maximum of a column",
        entries: COLUMNS,
        edit: |text| at_sites(text, |l| constant(l, "selp.b32", "2147483647", "2143289344")),
    },
];

/// x · (1 / s) in place of x / s.
fn by_reciprocal(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    (line.mnemonic == "div.rn.f32").then(|| {
        let reciprocal = instruction("rcp.rn.f32", &["%m0", p[2]]);
        format!("{reciprocal}\n{}", instruction("mul.rn.f32", &[p[0], p[1], "%m0"]))
    })
}

/// A store in place of the maximum with what is there.
fn overwrite(line: &Line<'_>) -> Option<String> {
    line.mnemonic.starts_with("red.").then(|| instruction("st.global.b32", &line.parts()))
}
