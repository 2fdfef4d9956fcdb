//! Sentences of the PTX document that are easily read over.

mod common;
use common::check;

#[test]
fn isspacep_does_not_take_global_memory_for_constant_memory() {
    // Both lie in one address range here, so the question has no answer and is refused.
    let error = common::load_error(&common::module("", "", "isspacep.const %p1, %l1;"));
    assert!(error.message.contains("const"), "{error}");
    check("isspacep.global %p1, %l0;\nselp.b32 %r4, 1, 0, %p1;", 32, &[[0, 0, 0]], |_, _, _| 1);
}
