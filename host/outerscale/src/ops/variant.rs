//! Variants of a kernel as data, and the choice among them.

use crate::{
    Dtype, Error, Gpu, Result,
    choice::{self, Why},
    ptx::{Arch, Module},
};

/// What a variant is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// Rows of x: tokens.
    pub m: u64,
    /// Rows of w; 1 where there is none.
    pub n: u64,
    /// Columns.
    pub k: u64,
    /// Multiprocessors of the GPU.
    pub multiprocessors: u64,
    /// Dynamic shared memory that a block can have, in bytes.
    pub shared_limit: u32,
    /// Threads that a block can have.
    pub thread_limit: u32,
    /// Bytes of the workspace that the caller gives.
    pub workspace_bytes: u64,
    /// The newest architecture of embedded kernels that the GPU runs.
    pub arch: &'static Arch,
    /// Major and minor version of the GPU's architecture.
    pub version: (u32, u32),
}

impl Problem {
    /// A product of these sizes, or a matrix [m, k], on a GPU; without a workspace.
    pub fn new(gpu: &Gpu, m: u64, n: u64, k: u64) -> Problem {
        let limits = gpu.limits();
        Problem {
            m,
            n,
            k,
            multiprocessors: limits.multiprocessors,
            shared_limit: limits.shared_bytes,
            thread_limit: limits.threads,
            workspace_bytes: 0,
            arch: gpu.arch(),
            version: gpu.version(),
        }
    }
}

/// One way to run an op: a row of its table.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name among the op's variants.
    pub name: &'static str,
    /// Where its kernels are.
    pub module: Module,
    /// The entry's name without the element type.
    pub stem: &'static str,
    /// Element types that it is compiled for; none: the entry's name is the stem itself.
    pub dtypes: &'static [Dtype],
    /// Threads of a block.
    pub block: u32,
    /// Rows of threads of a block, `%ntid.y`: a divisor of `block`; 1 where threads are counted in one direction.
    pub block_rows: u32,
    /// Blocks.
    pub grid: fn(&Problem) -> u32,
    /// Dynamic shared memory of a block, in bytes.
    pub shared_bytes: u32,
    /// Bytes of workspace in which its blocks meet.
    pub workspace: fn(&Problem) -> u64,
    /// Blocks of a cluster (sm_90 and later), of which a grid is whole ones; 1: none.
    pub cluster: u32,
    /// Why it cannot run a problem, whatever the GPU has.
    pub legal: fn(&Problem) -> std::result::Result<(), String>,
}

impl Variant {
    /// The name of the entry for elements of type `dtype`.
    pub fn entry(&self, dtype: Dtype) -> String {
        if self.dtypes.is_empty() { self.stem.to_owned() } else { format!("{}_{dtype}", self.stem) }
    }

    /// The names of all its entries.
    pub fn entries(&self) -> Vec<String> {
        if self.dtypes.is_empty() {
            vec![self.stem.to_owned()]
        } else {
            self.dtypes.iter().map(|dtype| self.entry(*dtype)).collect()
        }
    }

    /// Whether the variant can run the problem on this GPU.
    ///
    /// # Errors
    /// Why not.
    pub fn eligible(&self, problem: &Problem, dtype: Dtype) -> std::result::Result<(), String> {
        if !self.dtypes.is_empty() && !self.dtypes.contains(&dtype) {
            return Err(format!("it is not compiled for {dtype}"));
        }
        if problem.arch.text(self.module).is_none() {
            return Err(format!("its module {} is not for a GPU of {}", self.module.name(), problem.arch.name));
        }
        if self.shared_bytes > problem.shared_limit {
            return Err(format!(
                "it needs {} bytes of shared memory a block, this GPU has {}",
                self.shared_bytes, problem.shared_limit
            ));
        }
        if self.block > problem.thread_limit {
            return Err(format!("it needs {} threads a block, this GPU has {}", self.block, problem.thread_limit));
        }
        (self.legal)(problem)?;
        let workspace = (self.workspace)(problem);
        if workspace > problem.workspace_bytes {
            let given = problem.workspace_bytes;
            return Err(format!("it needs a workspace of {workspace} bytes, the one given has {given}"));
        }
        Ok(())
    }
}

/// One line of an op's preferences: the first that applies to an eligible variant decides.
#[derive(Clone, Copy, Debug)]
pub struct Preference {
    /// The variant.
    pub variant: &'static str,
    /// Whether the line applies.
    pub when: fn(&Problem) -> bool,
    /// Why it is preferred then.
    pub why: &'static str,
}

/// An op's kernels: what is launched, and what is preferred.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The op.
    pub op: &'static str,
    /// Its variants.
    pub variants: &'static [Variant],
    /// Its preferences, in order; the last applies always.
    pub preferences: &'static [Preference],
}

/// Which variant to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The preferred one.
    #[default]
    Auto,
    /// The one of this name, if it can run the problem.
    Named(&'a str),
    /// The one of this name in at most so many blocks, each of which walks on in steps of the grid: any number that
    /// has a whole cluster is right, and leaves multiprocessors to others. 0 counts as 1.
    Limited {
        /// The variant.
        variant: &'a str,
        /// The most blocks.
        blocks: u32,
    },
}

impl Choice<'_> {
    /// The problem with as many multiprocessors as may be used: a persistent variant has a block for each.
    pub(crate) fn limit_problem(self, problem: Problem) -> Problem {
        let multiprocessors = match self {
            Choice::Limited { blocks, .. } => problem.multiprocessors.min(blocks.max(1).into()),
            Choice::Auto | Choice::Named(_) => problem.multiprocessors,
        };
        Problem { multiprocessors, ..problem }
    }

    /// The grid to launch where the variant's own is `grid`.
    pub(crate) fn limit(self, grid: u32) -> u32 {
        match self {
            Choice::Limited { blocks, .. } => grid.min(blocks.max(1)),
            Choice::Auto | Choice::Named(_) => grid,
        }
    }
}

/// A variant and why it was taken.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    /// The variant.
    pub variant: &'static Variant,
    /// Why.
    pub why: Why,
}

/// Chooses a variant for a problem.
///
/// # Errors
/// [`Error::Variant`] where the named variant does not exist or cannot run the problem, or no variant can.
pub fn choose(table: &Table, problem: &Problem, dtype: Dtype, choice: Choice<'_>) -> Result<Chosen> {
    if let Choice::Named(name) | Choice::Limited { variant: name, .. } = choice {
        let refuse = |reason| Err(Error::Variant { op: table.op, wanted: name.to_owned(), reason });
        let Some(variant) = table.variants.iter().find(|v| v.name == name) else {
            let names: Vec<_> = table.variants.iter().map(|v| v.name).collect();
            return refuse(format!("there is none of that name; there are {}", names.join(", ")));
        };
        return match variant.eligible(problem, dtype) {
            Ok(()) => Ok(Chosen { variant, why: Why::Named }),
            Err(reason) => refuse(reason),
        };
    }
    let candidates = choice::candidates(table, problem, dtype);
    for candidate in &candidates {
        if let Some(reason) = &candidate.refused {
            log::debug!("{}: {} is not eligible: {reason}", table.op, candidate.variant.name);
        }
    }
    choice::best(table, problem, &candidates).map(|(variant, why)| Chosen { variant, why }).ok_or_else(|| {
        let refused =
            candidates.iter().filter_map(|c| c.refused.as_ref().map(|why| format!("{}: {why}", c.variant.name)));
        let reason = refused.collect::<Vec<_>>().join("; ");
        Error::Variant { op: table.op, wanted: "any".to_owned(), reason }
    })
}

/// The rule of a variant that runs every problem.
pub(super) fn any_problem(_: &Problem) -> std::result::Result<(), String> {
    Ok(())
}

/// The workspace of a variant whose blocks do not meet.
pub(super) fn no_workspace(_: &Problem) -> u64 {
    0
}

/// A preference that always applies.
pub(super) fn always(_: &Problem) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx::ARCHS;

    const SMALL: Variant = Variant {
        name: "small",
        module: Module::Gemm,
        stem: "op_small",
        dtypes: &[Dtype::F32, Dtype::F16],
        block: 128,
        block_rows: 1,
        grid: |p| p.m as u32,
        shared_bytes: 1 << 10,
        workspace: no_workspace,
        cluster: 1,
        legal: any_problem,
    };
    const LARGE: Variant = Variant { name: "large", stem: "op_large", shared_bytes: 96 << 10, ..SMALL };
    const TABLE: Table = Table {
        op: "op",
        variants: &[SMALL, LARGE],
        preferences: &[
            Preference { variant: "large", when: |p| p.m >= 100, why: "many rows" },
            Preference { variant: "small", when: always, why: "few rows" },
        ],
    };

    fn problem() -> Problem {
        Problem {
            m: 100,
            n: 1,
            k: 1,
            multiprocessors: 100,
            shared_limit: 99 << 10,
            thread_limit: 1024,
            workspace_bytes: 0,
            arch: &ARCHS[0],
            version: (8, 0),
        }
    }

    fn chosen(problem: Problem, dtype: Dtype, choice: Choice<'_>) -> std::result::Result<String, String> {
        choose(&TABLE, &problem, dtype, choice)
            .map(|c| format!("{}: {}", c.variant.name, c.why))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_first_preference_that_applies_decides() {
        assert_eq!(chosen(problem(), Dtype::F32, Choice::Auto).unwrap(), "large: many rows");
        assert_eq!(chosen(Problem { m: 99, ..problem() }, Dtype::F32, Choice::Auto).unwrap(), "small: few rows");
        let little_shared = Problem { shared_limit: 48 << 10, ..problem() };
        assert_eq!(chosen(little_shared, Dtype::F32, Choice::Auto).unwrap(), "small: few rows");
    }

    #[test]
    fn an_override_is_validated() {
        let few = Problem { m: 1, shared_limit: 48 << 10, ..problem() };
        assert_eq!(chosen(few, Dtype::F32, Choice::Named("small")).unwrap(), "small: asked for by name");
        let error = chosen(few, Dtype::F32, Choice::Named("large")).unwrap_err();
        assert_eq!(error, "op: variant large: it needs 98304 bytes of shared memory a block, this GPU has 49152");
        let error = chosen(few, Dtype::F32, Choice::Named("huge")).unwrap_err();
        assert_eq!(error, "op: variant huge: there is none of that name; there are small, large");
    }

    #[test]
    fn a_limit_takes_blocks_away_and_adds_none() {
        let limited = |blocks| Choice::Limited { variant: "small", blocks };
        assert_eq!((limited(2).limit(9), limited(99).limit(9), limited(0).limit(9)), (2, 9, 1));
        assert_eq!((Choice::Auto.limit(9), Choice::Named("small").limit(9)), (9, 9));
        assert_eq!(chosen(problem(), Dtype::F32, limited(1)).unwrap(), "small: asked for by name");
    }

    #[test]
    fn a_workspace_that_is_too_small_is_a_reason() {
        let table = Table { variants: &[Variant { workspace: |p| 4 * p.m, ..LARGE }, SMALL], ..TABLE };
        let by_name = |workspace_bytes| {
            choose(&table, &Problem { workspace_bytes, ..problem() }, Dtype::F32, Choice::Named("large"))
        };
        assert!(by_name(400).is_ok());
        let error = by_name(399).unwrap_err().to_string();
        assert_eq!(error, "op: variant large: it needs a workspace of 400 bytes, the one given has 399");
        let otherwise = choose(&table, &problem(), Dtype::F32, Choice::Auto).unwrap();
        assert_eq!(otherwise.variant.name, "small");
    }

    #[test]
    fn what_a_variant_cannot_run_is_said() {
        let table = Table {
            variants: &[Variant {
                legal: |p| if p.n.is_multiple_of(2) { Ok(()) } else { Err(format!("N = {} is odd", p.n)) },
                ..SMALL
            }],
            ..TABLE
        };
        let error = choose(&table, &problem(), Dtype::F32, Choice::Auto).unwrap_err().to_string();
        assert!(error.ends_with("small: N = 1 is odd"), "{error}");
    }

    #[test]
    fn where_none_can_run_every_reason_is_given() {
        let error = chosen(Problem { thread_limit: 64, ..problem() }, Dtype::I8, Choice::Auto).unwrap_err();
        assert!(error.contains("small: it is not compiled for i8; large: it is not compiled for i8"), "{error}");
    }
}
