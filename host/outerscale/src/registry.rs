//! Every op in one table: what `verify`, `bench` and the tests' cross-check of the four edits go by.
//!
//! A new kernel is four edits: its device file, its row in the op's variants, its oracle function, its row here.

use crate::{
    Result,
    ops::{Table, tables},
    ptx::Module,
    verify::{self, Check},
};

/// An op's row.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Its name: device file = host op = oracle function = bench row.
    pub name: &'static str,
    /// Its kernels, variants and preferences.
    pub table: &'static Table,
    /// The name of its oracle function.
    pub oracle: &'static str,
    /// Holds each of its kernels against the oracle.
    pub verify: fn(&mut Check<'_>) -> Result<()>,
    /// The name of its bench.
    pub bench: &'static str,
}

impl Op {
    /// The device module that holds its kernels.
    pub fn module(&self) -> Module {
        self.table.module
    }

    /// The names of all its kernels.
    pub fn entries(&self) -> Vec<String> {
        self.table.variants.iter().flat_map(|variant| variant.entries()).collect()
    }
}

macro_rules! op {
    ($name:ident, $table:ident, oracle: $oracle:ident) => {
        Op {
            name: stringify!($name),
            table: &tables::$table,
            oracle: {
                // Does not compile unless the oracle has the function.
                #[allow(unused_imports)]
                use oracle::$oracle as _;
                stringify!($oracle)
            },
            verify: verify::$name,
            bench: stringify!($name),
        }
    };
}

/// Every op, in the order of the way of the data.
pub static OPS: &[Op] = &[
    op!(row_absmax, ROW_ABSMAX, oracle: row_absmax),
    op!(tensor_absmax, TENSOR_ABSMAX, oracle: tensor_absmax),
    op!(quantize_token, QUANTIZE_TOKEN, oracle: quantize_token),
    op!(quantize_tensor, QUANTIZE_TENSOR, oracle: quantize_tensor),
    op!(quantize_static, QUANTIZE_STATIC, oracle: quantize_static),
    op!(pack_rows, PACK_ROWS, oracle: pack_rows),
    op!(gemm, GEMM, oracle: gemm),
];

/// The op called `name`.
pub fn op(name: &str) -> Option<&'static Op> {
    OPS.iter().find(|op| op.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_everywhere() {
        for op in OPS {
            assert_eq!((op.name, op.name), (op.table.op, op.bench));
        }
        assert!(op("gemm").is_some() && op("gem").is_none());
    }

    #[test]
    fn preferences_name_variants_and_end_with_one_that_always_applies() {
        let tiny = crate::ops::Problem { m: 17, n: 1, k: 1, multiprocessors: 9, shared_limit: 0, thread_limit: 0 };
        for op in OPS {
            for preference in op.table.preferences {
                assert!(
                    op.table.variants.iter().any(|v| v.name == preference.variant),
                    "{}: {}",
                    op.name,
                    preference.variant
                );
            }
            let last = op.table.preferences.last().expect("every op prefers something");
            assert!((last.when)(&tiny), "{}: the last preference must always apply", op.name);
        }
    }
}
