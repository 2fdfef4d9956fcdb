//! Modifiers that contradict each other, the type or the state space are refused, as ptxas refuses them.

mod common;
use common::{load, load_error, module};

/// Each of `statements` must be refused, with its own mnemonic in the message.
fn all_refused(statements: &[&str]) {
    for statement in statements {
        let error = load_error(&module("", "", statement));
        assert_eq!(error.line, 11, "{statement}: {error}");
    }
}

/// Each of `statements` must be understood: a check that refuses everything would pass the other tests.
fn all_loaded(statements: &[&str]) {
    for statement in statements {
        load(&module("", "", statement));
    }
}

#[test]
fn floats_refuse_what_their_type_does_not_have() {
    all_refused(&[
        "fma.f32 %r1, %r2, %r3, %r4;",
        "mad.f32 %r1, %r2, %r3, %r4;",
        "mad.rn.f16 %h1, %h2, %h3, %h4;",
        "fma.rn.sat.relu.f16 %h1, %h2, %h3, %h4;",
        "fma.rn.sat.bf16 %h1, %h2, %h3, %h4;",
        "sqrt.approx.f64 %l1, %l2;",
        "rcp.approx.f64 %l1, %l2;",
        "div.approx.f64 %l1, %l2, %l3;",
        "div.full.f64 %l1, %l2, %l3;",
        "min.NaN.f64 %l1, %l2, %l3;",
    ]);
    all_loaded(&["fma.rn.ftz.sat.f32 %r1, %r2, %r3, %r4;", "sqrt.rn.f64 %l1, %l2;", "div.full.ftz.f32 %r1, %r2, %r3;"]);
}
