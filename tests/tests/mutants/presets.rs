//! What is done to the kernel that follows other libraries' rules.

use crate::edit::{Line, at_sites, constant};
use crate::table::Mutation;

const ENTRIES: &[&str] = &["quantize_preset_f32", "quantize_preset_f16"];

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "1 / absmax for 127 / absmax",
        entries: ENTRIES,
        edit: |text| at_sites(text, |l| constant(l, "selp.f32", "0f42FE0000", "0f3F800000")),
    },
    Mutation { what: "no floor of absmax or of the scale", entries: ENTRIES, edit: |text| at_sites(text, unraised) },
    Mutation {
        what: "ties to even where they go away from zero",
        entries: ENTRIES,
        edit: |text| at_sites(text, |l| constant(l, "setp.eq.f32", "0f3F000000", "0f3F400000")),
    },
];

/// A select of a floor or the number itself: the number.
fn unraised(line: &Line<'_>) -> Option<String> {
    let p = line.parts();
    (line.mnemonic == "selp.f32" && p[0] == p[2]).then(String::new)
}
