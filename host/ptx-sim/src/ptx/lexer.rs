//! Splits a PTX text into words, numbers and signs.
//!
//! Dots belong to words: `ld.global.v4.f32`, `%tid.x` and `.visible` are one word each, and so is
//! `.shared::cta`. A label's colon is a sign of its own.

use super::{Error, Result};

/// A word, number or sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// Mnemonic, directive, register, symbol or label.
    Word(&'a str),
    /// An integer literal without its sign.
    Integer(u64),
    /// `0f` literal: the bits of an f32.
    Float32(u32),
    /// `0d` literal or a decimal one: the bits of an f64.
    Float64(u64),
    /// The text between double quotes.
    Text(&'a str),
    /// A single character.
    Sign(u8),
    /// The end of the file.
    End,
}

/// A token and its line, from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spanned<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) line: u32,
    /// First byte in the text.
    pub(crate) start: usize,
    /// Byte after the last one.
    pub(crate) end: usize,
}

/// The whole text as tokens; the last one is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Spanned<'_>>> {
    let mut lexer = Lexer { text, at: 0, line: 1 };
    let mut found = Vec::with_capacity(text.len() / 4);
    loop {
        let token = lexer.next()?;
        found.push(token);
        if token.token == Token::End {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$' | b'%' | b'.')
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit()
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::new(self.line, message))
    }

    fn skip_blank(&mut self) -> Result<()> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'\n', _) => {
                    self.line += 1;
                    self.at += 1;
                }
                (b' ' | b'\t' | b'\r', _) => self.at += 1,
                (b'/', b'/') => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                (b'/', b'*') => {
                    let Some(length) = self.text[self.at + 2..].find("*/") else {
                        return self.error("this comment is never closed with */");
                    };
                    let body = &self.text.as_bytes()[self.at..self.at + length + 4];
                    self.line += body.iter().filter(|byte| **byte == b'\n').count() as u32;
                    self.at += body.len();
                }
                _ => return Ok(()),
            }
        }
    }

    fn next(&mut self) -> Result<Spanned<'a>> {
        self.skip_blank()?;
        let (start, line) = (self.at, self.line);
        let token = match self.peek(0) {
            0 if self.at >= self.text.len() => Token::End,
            byte if byte.is_ascii_digit() => self.number()?,
            byte if starts_word(byte) => self.word(),
            b'"' => self.quoted()?,
            byte if b"{}[]()<>,;:=+-*|!@&^~?/".contains(&byte) => {
                self.at += 1;
                Token::Sign(byte)
            }
            _ => {
                let odd = self.text[self.at..].chars().next().unwrap_or('\u{fffd}');
                return self.error(format!("the character {odd:?} has no meaning in PTX"));
            }
        };
        Ok(Spanned { token, line, start, end: self.at })
    }

    fn word(&mut self) -> Token<'a> {
        let start = self.at;
        loop {
            if continues_word(self.peek(0)) {
                self.at += 1;
            } else if self.peek(0) == b':' && self.peek(1) == b':' && self.peek(2).is_ascii_alphanumeric() {
                // `.shared::cta`: two colons bind, one ends a label.
                self.at += 2;
            } else {
                return Token::Word(&self.text[start..self.at]);
            }
        }
    }

    fn quoted(&mut self) -> Result<Token<'a>> {
        let start = self.at + 1;
        let Some(length) = self.text[start..].find('"') else {
            return self.error("this text is never closed with a double quote");
        };
        self.at = start + length + 1;
        let text = &self.text[start..start + length];
        self.line += text.bytes().filter(|byte| *byte == b'\n').count() as u32;
        Ok(Token::Text(text))
    }

    fn number(&mut self) -> Result<Token<'a>> {
        let start = self.at;
        while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            self.at += 1;
        }
        let decimal = self.peek(0) == b'.' && self.peek(1).is_ascii_digit();
        if decimal {
            self.at += 1;
            while self.peek(0).is_ascii_alphanumeric() {
                self.at += 1;
            }
            if self.text.as_bytes()[self.at - 1].eq_ignore_ascii_case(&b'e') && matches!(self.peek(0), b'+' | b'-') {
                self.at += 1;
                while self.peek(0).is_ascii_digit() {
                    self.at += 1;
                }
            }
        }
        let text = &self.text[start..self.at];
        match literal(text, decimal) {
            Some(token) => Ok(token),
            None => self.error(format!("{text} is no number")),
        }
    }
}

fn literal(text: &str, decimal: bool) -> Option<Token<'_>> {
    if decimal {
        return text.parse::<f64>().ok().map(|value| Token::Float64(value.to_bits()));
    }
    let prefix = text.as_bytes().get(1).copied().unwrap_or(0);
    if text.starts_with('0') && matches!(prefix, b'f' | b'F') && text.len() == 10 {
        return u32::from_str_radix(&text[2..], 16).ok().map(Token::Float32);
    }
    if text.starts_with('0') && matches!(prefix, b'd' | b'D') && text.len() == 18 {
        return u64::from_str_radix(&text[2..], 16).ok().map(Token::Float64);
    }
    let digits = text.strip_suffix('U').unwrap_or(text);
    let value = if digits.starts_with('0') && matches!(prefix, b'x' | b'X') {
        u64::from_str_radix(&digits[2..], 16)
    } else if digits.starts_with('0') && matches!(prefix, b'b' | b'B') {
        u64::from_str_radix(&digits[2..], 2)
    } else if digits.starts_with('0') && digits.len() > 1 {
        u64::from_str_radix(&digits[1..], 8)
    } else {
        digits.parse()
    };
    value.ok().map(Token::Integer)
}
