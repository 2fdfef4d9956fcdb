//! Every op in one table: what `verify`, `bench` and the tests' cross-check of the four edits go by.
//!
//! A new kernel is four edits: its device file, its row in the op's variants, its oracle function, its row here.

use crate::{
    Dtype, Error, Result,
    ops::{Table, Variant, tables},
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
    /// The device modules that hold its kernels; the first has its device file.
    pub fn modules(&self) -> impl Iterator<Item = Module> {
        let has = |module: &Module| self.table.variants.iter().any(|variant| variant.module == *module);
        Module::ALL.into_iter().filter(has)
    }

    /// The names of all its kernels in a module.
    pub fn entries_in(&self, module: Module) -> Vec<String> {
        let variants = self.table.variants.iter().filter(|variant| variant.module == module);
        variants.flat_map(|variant| variant.entries()).collect()
    }

    /// The names of all its kernels, each once.
    pub fn entries(&self) -> Vec<String> {
        let mut entries: Vec<String> = Vec::new();
        for entry in self.table.variants.iter().flat_map(|variant| variant.entries()) {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        entries
    }
}

/// One kernel: a variant of an op for one element type.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its op.
    pub op: &'static Op,
    /// Its variant, the first of [`Kernel::variants`].
    pub variant: &'static Variant,
    /// The variants that launch it: several, where how it is launched is what tells them apart.
    pub variants: Vec<&'static Variant>,
    /// The element type in its name; I8 where there is none.
    pub dtype: Dtype,
    /// Its name in the PTX.
    pub entry: String,
}

/// The kernels whose name holds `only`, or all; an op's name selects the op.
///
/// # Errors
/// Where there is no such kernel.
pub fn kernels(only: Option<&str>) -> Result<Vec<Kernel>> {
    let mut kernels: Vec<Kernel> = Vec::new();
    for op in OPS {
        for variant in op.table.variants {
            let dtypes = if variant.dtypes.is_empty() { &[Dtype::I8] } else { variant.dtypes };
            for &dtype in dtypes {
                let entry = variant.entry(dtype);
                match kernels.iter_mut().find(|kernel| kernel.entry == entry) {
                    Some(kernel) => kernel.variants.push(variant),
                    None => kernels.push(Kernel { op, variant, variants: vec![variant], dtype, entry }),
                }
            }
        }
    }
    kernels.retain(|kernel| only.is_none_or(|name| kernel.entry.contains(name) || kernel.op.name == name));
    if kernels.is_empty() {
        let names: Vec<_> = OPS.iter().map(|op| op.name).collect();
        let what = format!("no kernel's name holds {:?}; the ops are {}", only.unwrap_or_default(), names.join(", "));
        return Err(Error::Backend(what));
    }
    Ok(kernels)
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
    op!(column_absmax, COLUMN_ABSMAX, oracle: column_absmax),
    op!(tensor_absmax, TENSOR_ABSMAX, oracle: tensor_absmax),
    op!(running_scale, RUNNING_SCALE, oracle: running_scale),
    op!(quantize_token, QUANTIZE_TOKEN, oracle: quantize_token),
    op!(quantize_smooth_token, QUANTIZE_SMOOTH_TOKEN, oracle: quantize_smooth_token),
    op!(quantize_tensor, QUANTIZE_TENSOR, oracle: quantize_tensor),
    op!(quantize_static, QUANTIZE_STATIC, oracle: quantize_static),
    op!(outlier_columns, OUTLIER_COLUMNS, oracle: outlier_columns),
    op!(outlier_list, OUTLIER_LIST, oracle: outlier_columns),
    op!(quantize_outliers, QUANTIZE_OUTLIERS, oracle: quantize_outliers),
    op!(quantize_smooth_static, QUANTIZE_SMOOTH_STATIC, oracle: quantize_smooth_static),
    op!(quantize_asym, QUANTIZE_ASYM, oracle: quantize_asym),
    op!(quantize_preset, QUANTIZE_PRESET, oracle: quantize_preset),
    op!(pack_rows, PACK_ROWS, oracle: pack_rows),
    op!(pack_weights, PACK_WEIGHTS, oracle: pack_weights),
    op!(row_sums, ROW_SUMS, oracle: row_sums),
    op!(gemm, GEMM, oracle: gemm),
    op!(gemm_asym, GEMM_ASYM, oracle: gemm_asym),
    op!(gemm_outliers, GEMM_OUTLIERS, oracle: gemm_outliers),
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
    fn only_selects_by_op_variant_or_entry() {
        let names = |only| kernels(Some(only)).unwrap().into_iter().map(|kernel| kernel.entry).collect::<Vec<_>>();
        assert_eq!(names("quantize_token_f16"), ["quantize_token_f16"]);
        assert_eq!(names("pack_rows"), ["pack_rows"]);
        // Four types of y, and of two other products three each.
        assert_eq!((names("gemm_t16x64").len(), names("t16x64").len()), (4, 10));
        assert_eq!(names("quantize_token").len(), 3);
        let kernel = kernels(Some("quantize_token_f16")).unwrap().remove(0);
        assert_eq!(kernel.variants.len(), 6, "one kernel, six numbers of threads to a row");
        let error = kernels(Some("gemv")).err().unwrap().to_string();
        assert!(error.starts_with("no kernel's name holds \"gemv\""), "{error}");
    }

    #[test]
    fn every_entry_of_every_op_is_a_kernel() {
        let kernels: Vec<_> = kernels(None).unwrap().into_iter().map(|kernel| kernel.entry).collect();
        let entries: Vec<_> = OPS.iter().flat_map(|op| op.entries()).collect();
        assert_eq!(kernels, entries);
    }

    #[test]
    fn preferences_name_variants_and_end_with_one_that_always_applies() {
        let tiny = crate::ops::Problem {
            m: 17,
            n: 1,
            k: 1,
            multiprocessors: 9,
            shared_limit: 0,
            thread_limit: 0,
            workspace_bytes: 0,
            arch: &crate::ptx::ARCHS[0],
            version: (8, 0),
        };
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
