//! Operands of more than 2³¹ elements. The simulator's memory takes room for what is touched only, and of a launch
//! just those blocks run whose operands are there: any index that wraps leaves every allocation or reads poison.

mod products;
mod quantizers;

use contract::{args, limits::padded_row_bytes};
use outerscale::{
    ops::{Problem, Variant},
    ptx::{ARCHS, Module},
    registry,
};
use outerscale_tests::machine::Machine;

/// 2³¹.
const FAR: u64 = 1 << 31;

/// The simulator with the module of an op's kernels.
fn machine(module: Module) -> Machine {
    let text = ARCHS.iter().find_map(|arch| arch.own(module)).unwrap();
    Machine::load(text, module.name()).unwrap()
}

fn variant(op: &str, name: &str) -> &'static Variant {
    registry::op(op).unwrap().table.variants.iter().find(|variant| variant.name == name).unwrap()
}

fn problem(m: u64, n: u64, k: u64) -> Problem {
    let arch = ARCHS.first().unwrap();
    Problem {
        m,
        n,
        k,
        multiprocessors: 108,
        shared_limit: 99 << 10,
        thread_limit: 1024,
        workspace_bytes: 0,
        arch,
        version: (8, 0),
    }
}

/// Rows of codes as quantizers write them.
fn codes(machine: &Machine, rows: u64, cols: u64) -> args::Codes {
    let row_bytes = padded_row_bytes(cols);
    args::Codes { ptr: machine.room((rows * row_bytes) as usize), rows, cols, row_bytes }
}

/// The last rows of a matrix of `rows` rows; the others are not there.
fn last_rows<T: outerscale::Element>(machine: &Machine, rows: u64, cols: u64, last: &[T]) -> args::Matrix {
    let first = rows as usize * cols as usize - last.len();
    let ptr = machine.upload(last, cols as usize, cols as usize, first) - first as u64 * T::DTYPE.bytes();
    args::Matrix { ptr, rows, cols, row_stride: cols }
}

#[track_caller]
fn assert_bytes<T: outerscale::Element>(machine: &Machine, what: &str, ptr: u64, want: &[T]) {
    let size = T::DTYPE.bytes() as usize;
    let want: Vec<u8> = want.iter().flat_map(|v| v.bits().to_le_bytes().into_iter().take(size)).collect();
    let got = machine.download(ptr, want.len());
    let differs = got.iter().zip(&want).position(|(got, want)| got != want);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}
