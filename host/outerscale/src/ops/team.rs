//! The variants of the kernels that look at a whole row: one kernel, with any number of threads to a row.

use super::variant::{always, any_problem, no_workspace};
use super::{Preference, Problem, Variant};
use crate::{Dtype, ptx::Module};
use contract::grid;

/// `team` threads to a row, launched as rows of threads.
macro_rules! team {
    ($module:ident, $stem:ident, $name:literal, $team:literal) => {
        Variant {
            name: $name,
            module: $module,
            stem: $stem,
            dtypes: &[Dtype::F32, Dtype::F16, Dtype::Bf16],
            block: grid::THREADS,
            block_rows: grid::team_rows($team) as u32,
            grid: |p| grid::row_blocks(p.m, grid::team_rows($team)),
            shared_bytes: 0,
            workspace: no_workspace,
            cluster: 1,
            legal: any_problem,
        }
    };
}

/// The variants of the kernel `stem` of a module.
pub(super) const fn variants(module: Module, stem: &'static str) -> [Variant; 6] {
    [
        team!(module, stem, "t8", 8),
        team!(module, stem, "t16", 16),
        team!(module, stem, "t32", 32),
        team!(module, stem, "t64", 64),
        team!(module, stem, "t128", 128),
        team!(module, stem, "t256", 256),
    ]
}

/// Which of them is preferred: as `contract::grid::team` says.
pub(super) const PREFERENCES: &[Preference] = &[
    Preference { variant: "t8", when: |p| team(p) == 8, why: "8 threads hold the row" },
    Preference { variant: "t16", when: |p| team(p) == 16, why: "16 threads hold the row, or rows are few" },
    Preference { variant: "t32", when: |p| team(p) == 32, why: "32 threads hold the row, or rows are few" },
    Preference { variant: "t64", when: |p| team(p) == 64, why: "64 threads hold the row, or rows are few" },
    Preference { variant: "t128", when: |p| team(p) == 128, why: "128 threads hold the row, or rows are few" },
    Preference {
        variant: "t256",
        when: always,
        why: "a row is long, or rows are few: all threads of a block share one",
    },
];

fn team(p: &Problem) -> u32 {
    grid::team(p.m, p.k, p.multiprocessors)
}
