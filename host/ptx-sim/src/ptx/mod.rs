//! From PTX text to a syntax tree. It knows the grammar, not the instructions.

pub(crate) mod ast;
mod directives;
mod lexer;
mod parser;
mod variables;

pub(crate) use parser::parse;

/// What is wrong with a text, and on which line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) line: u32,
    pub(crate) message: String,
}

impl Error {
    pub(crate) fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;
