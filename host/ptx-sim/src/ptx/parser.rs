//! Statements and operands.

use super::ast::{Address, Instruction, Operand, Statement, Text};
use super::lexer::{Spanned, Token, tokens};
use super::{Error, Result};

/// Scopes within scopes beyond this are refused, as recursion must not exhaust the stack.
const MAX_DEPTH: u32 = 64;

/// Parses a whole text.
pub(crate) fn parse(text: &str) -> Result<Text<'_>> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    parser.file()
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Spanned<'a>>,
    at: usize,
    depth: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens[self.at].token
    }

    fn peek_after(&self) -> Token<'a> {
        self.tokens[(self.at + 1).min(self.tokens.len() - 1)].token
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub(super) fn start(&self) -> usize {
        self.tokens[self.at].start
    }

    /// End of the token before this one.
    fn end_of_last(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].end
    }

    pub(super) fn advance(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn fail<T>(&self, wanted: &str) -> Result<T> {
        let found = match self.peek() {
            Token::Word(word) => word.to_owned(),
            Token::Integer(value) => value.to_string(),
            Token::Float32(bits) => format!("0f{bits:08X}"),
            Token::Float64(bits) => format!("0d{bits:016X}"),
            Token::Text(text) => format!("{text:?}"),
            Token::Sign(sign) => char::from(sign).to_string(),
            Token::End => "the end of the file".to_owned(),
        };
        Err(Error::new(self.line(), format!("{wanted} was expected, {found} was found")))
    }

    pub(super) fn eat(&mut self, sign: u8) -> bool {
        let found = self.peek() == Token::Sign(sign);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, sign: u8) -> Result<()> {
        if self.eat(sign) { Ok(()) } else { self.fail(&format!("`{}`", char::from(sign))) }
    }

    pub(super) fn word(&mut self, wanted: &str) -> Result<&'a str> {
        match self.peek() {
            Token::Word(word) => {
                self.advance();
                Ok(word)
            }
            _ => self.fail(wanted),
        }
    }

    pub(super) fn integer(&mut self) -> Result<u64> {
        match self.peek() {
            Token::Integer(value) => {
                self.advance();
                Ok(value)
            }
            _ => self.fail("an integer"),
        }
    }

    pub(super) fn small_integer(&mut self) -> Result<u32> {
        let line = self.line();
        let value = self.integer()?;
        u32::try_from(value).map_err(|_| Error::new(line, format!("{value} is too large here")))
    }

    /// A body between braces, the opening one read already.
    pub(super) fn body(&mut self) -> Result<Vec<Statement<'a>>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new(self.line(), format!("more than {MAX_DEPTH} scopes inside each other")));
        }
        let mut statements = Vec::new();
        while !self.eat(b'}') {
            self.statement(&mut statements)?;
        }
        self.depth -= 1;
        Ok(statements)
    }

    fn statement(&mut self, statements: &mut Vec<Statement<'a>>) -> Result<()> {
        let line = self.line();
        match self.peek() {
            Token::Sign(b'{') => {
                self.advance();
                statements.push(Statement::Scope(self.body()?));
            }
            Token::Sign(b'@') => statements.push(Statement::Instruction(self.instruction()?)),
            Token::Sign(b';') => {
                self.advance();
            }
            Token::Word(word) if self.peek_after() == Token::Sign(b':') => {
                self.advance();
                self.advance();
                statements.push(Statement::Label(line, word));
            }
            Token::Word(word) if word.starts_with('.') => self.body_directive(word, statements)?,
            Token::Word(_) => statements.push(Statement::Instruction(self.instruction()?)),
            _ => return self.fail("an instruction, a directive or `}`"),
        }
        Ok(())
    }

    fn instruction(&mut self) -> Result<Instruction<'a>> {
        let start = self.start();
        let mut guard = None;
        if self.eat(b'@') {
            let negated = self.eat(b'!');
            guard = Some((self.word("a predicate")?, negated));
        }
        let line = self.line();
        let mnemonic = self.word("an instruction")?;
        let mut operands = Vec::new();
        if self.peek() != Token::Sign(b';') {
            operands.push(self.operand()?);
            while self.eat(b',') {
                operands.push(self.operand()?);
            }
        }
        self.expect(b';')?;
        let text = &self.text[start..self.end_of_last()];
        Ok(Instruction { line, guard, mnemonic, operands, text })
    }

    fn operand(&mut self) -> Result<Operand<'a>> {
        match self.peek() {
            Token::Word(name) => {
                self.advance();
                if self.eat(b'|') {
                    return Ok(Operand::Pair(name, self.word("a register")?));
                }
                Ok(match self.offset()? {
                    Some(offset) => Operand::NameOffset(name, offset),
                    None => Operand::Name(name),
                })
            }
            Token::Sign(b'!') => {
                self.advance();
                Ok(Operand::Not(self.word("a predicate")?))
            }
            Token::Sign(b'[') => {
                self.advance();
                self.address()
            }
            Token::Sign(b'{') => {
                self.advance();
                Ok(Operand::Vector(self.list(b'}')?))
            }
            Token::Sign(b'(') => {
                self.advance();
                Ok(Operand::List(self.list(b')')?))
            }
            _ => self.number(),
        }
    }

    fn list(&mut self, close: u8) -> Result<Vec<Operand<'a>>> {
        let mut items = Vec::new();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new(self.line(), format!("more than {MAX_DEPTH} lists inside each other")));
        }
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(self.operand()?);
        }
        self.depth -= 1;
        Ok(items)
    }

    pub(super) fn number(&mut self) -> Result<Operand<'a>> {
        let negative = self.eat(b'-');
        let value = match self.peek() {
            Token::Integer(value) if negative => Operand::Integer(-i128::from(value)),
            Token::Integer(value) => Operand::Integer(i128::from(value)),
            Token::Float32(bits) => Operand::Float32(bits ^ (u32::from(negative) << 31)),
            Token::Float64(bits) => Operand::Float64(bits ^ (u64::from(negative) << 63)),
            _ => return self.fail("an operand"),
        };
        self.advance();
        Ok(value)
    }

    /// `+4`, `-4` or `+-4` after a name.
    pub(super) fn offset(&mut self) -> Result<Option<i64>> {
        let mut negative = false;
        let mut signs = 0;
        while matches!(self.peek(), Token::Sign(b'+' | b'-')) {
            negative ^= self.advance() == Token::Sign(b'-');
            signs += 1;
        }
        if signs == 0 {
            return Ok(None);
        }
        let line = self.line();
        let value = self.integer()?;
        let value = i64::try_from(value).map_err(|_| Error::new(line, format!("the offset {value} is too large")))?;
        Ok(Some(if negative { -value } else { value }))
    }

    fn address(&mut self) -> Result<Operand<'a>> {
        let base = match self.peek() {
            Token::Word(name) => {
                self.advance();
                Some(name)
            }
            _ => None,
        };
        let offset = match base {
            Some(_) => self.offset()?.unwrap_or(0),
            None => match self.number()? {
                Operand::Integer(value) => {
                    i64::try_from(value).map_err(|_| Error::new(self.line(), "this address is too large"))?
                }
                _ => return self.fail("an address"),
            },
        };
        let address = Address { base, offset };
        if self.eat(b',') {
            self.expect(b'{')?;
            let coords = self.list(b'}')?;
            self.expect(b']')?;
            return Ok(Operand::Tensor(address, coords));
        }
        self.expect(b']')?;
        Ok(Operand::Address(address))
    }
}
