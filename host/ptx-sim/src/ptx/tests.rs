use super::parse;

#[test]
fn nothing_is_an_error() {
    assert!(parse("").is_err());
}
