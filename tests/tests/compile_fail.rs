//! What must not compile: a scale along K, and stops in a wrong order. The messages are kept beside each
//! case, as they are what a user of the library sees.

#[test]
fn wrong_operands_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    // The same calls with the right operands: a failure above is the operands' fault.
    cases.pass("tests/compile_pass/*.rs");
}
