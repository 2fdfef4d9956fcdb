use super::ast::{Address, Operand, Statement};
use super::parse;

/// The operands of the one instruction of a body.
fn operands(instruction: &str) -> Vec<Operand<'static>> {
    let text = format!(".version 8.0\n.target sm_80\n.address_size 64\n.entry k() {{ {instruction} }}");
    let text: &'static str = Box::leak(text.into_boxed_str());
    let parsed = parse(text).unwrap();
    match &parsed.functions[0].body.as_ref().unwrap()[0] {
        Statement::Instruction(instruction) => instruction.operands.clone(),
        other => panic!("{other:?} is no instruction"),
    }
}

#[test]
fn literals_have_their_values() {
    let found = operands("x 0x1F, -5, 017, 0b101, 7U, 0f3F800000, 0d3FF0000000000000, 1.5, -0f00000000;");
    let expected = [
        Operand::Integer(31),
        Operand::Integer(-5),
        Operand::Integer(15),
        Operand::Integer(5),
        Operand::Integer(7),
        Operand::Float32(0x3F80_0000),
        Operand::Float64(0x3FF0_0000_0000_0000),
        Operand::Float64(1.5_f64.to_bits()),
        Operand::Float32(0x8000_0000),
    ];
    assert_eq!(found, expected);
}

#[test]
fn operands_have_their_shapes() {
    let at = |base, offset| Operand::Address(Address { base, offset });
    let found = operands("x [%r1], [a+-8], [16], %p|%q, !%p, {%a, {_}}, (f), name+4;");
    let expected = [
        at(Some("%r1"), 0),
        at(Some("a"), -8),
        at(None, 16),
        Operand::Pair("%p", "%q"),
        Operand::Not("%p"),
        Operand::Vector(vec![Operand::Name("%a"), Operand::Vector(vec![Operand::Name("_")])]),
        Operand::List(vec![Operand::Name("f")]),
        Operand::NameOffset("name", 4),
    ];
    assert_eq!(found, expected);
}

#[test]
fn errors_count_lines_through_comments() {
    let error = parse(".version 8.0\n/* two\nlines */ .target sm_80 // and one\n\n?").unwrap_err();
    assert_eq!(error.line, 5);
}

#[test]
fn versions_and_architectures_that_are_not_known_are_refused() {
    let parsed = |version: &str, target: &str| {
        parse(&format!(".version {version}\n.target {target}\n.address_size 64\n")).map(|text| text.target.to_owned())
    };
    for target in ["sm_75", "sm_80", "sm_90", "sm_90a", "sm_100f", "sm_120"] {
        assert_eq!(parsed("8.7", &format!("{target}, debug")).unwrap(), target);
    }
    for target in ["sm_200", "sm_", "sm_9", "compute_80", "80", "sm_80, fast"] {
        let error = parsed("8.0", target).unwrap_err();
        assert_eq!(error.line, 2, "{target}");
    }
    for version in ["8", "banana", "10.0", "0.5", "\"8.0\""] {
        assert_eq!(parsed(version, "sm_80").unwrap_err().line, 1, "{version}");
    }
}
