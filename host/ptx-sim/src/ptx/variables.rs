//! Variables and parameters: types, sizes and first values.

use super::ast::{Literal, Operand, Space, Variable};
use super::lexer::Token;
use super::parser::Parser;
use super::{Error, Result};

impl<'a> Parser<'a> {
    pub(super) fn variables(
        &mut self,
        line: u32,
        space: Space,
        external: bool,
        found: &mut dyn FnMut(Variable<'a>),
    ) -> Result<()> {
        let variable = self.variable(line, space, external)?;
        let (element, vector, align) = (variable.element, variable.vector, variable.align);
        found(variable);
        while self.eat(b',') {
            let mut next =
                Variable { line, name: "", space, external, element, vector, dims: vec![], align, init: vec![] };
            self.named_part(&mut next)?;
            found(next);
        }
        self.expect(b';')
    }

    pub(super) fn variable(&mut self, line: u32, space: Space, external: bool) -> Result<Variable<'a>> {
        let mut variable =
            Variable { line, name: "", space, external, element: "", vector: 1, dims: vec![], align: 0, init: vec![] };
        let mut pointer = false;
        loop {
            match self.peek() {
                Token::Word(".align") => {
                    self.advance();
                    let align = self.integer()?;
                    if !align.is_power_of_two() || align > 4096 {
                        return Err(Error::new(line, format!("{align} is no alignment")));
                    }
                    // Behind `.ptr` it is that of what the parameter points to.
                    if !pointer {
                        variable.align = align;
                    }
                }
                // Where memory is managed or unified changes who sees it, not what kernels do with it.
                Token::Word(".attribute") => {
                    self.advance();
                    self.attribute()?;
                }
                Token::Word(".v2") => {
                    self.advance();
                    variable.vector = 2;
                }
                Token::Word(".v4") => {
                    self.advance();
                    variable.vector = 4;
                }
                // Attributes of a pointer parameter: they promise, they do not change anything.
                Token::Word(".ptr") if !variable.element.is_empty() => {
                    self.advance();
                    pointer = true;
                }
                Token::Word(".global" | ".const" | ".shared" | ".local") if pointer => {
                    self.advance();
                }
                Token::Word(word) if word.starts_with('.') && variable.element.is_empty() => {
                    variable.element = self.element()?;
                }
                _ => break,
            }
        }
        if variable.element.is_empty() {
            return self.fail("a type");
        }
        self.named_part(&mut variable)?;
        Ok(variable)
    }

    /// `(.managed)` or `(.unified(n, n))`.
    fn attribute(&mut self) -> Result<()> {
        self.expect(b'(')?;
        let line = self.line();
        match self.word("an attribute")? {
            ".managed" => {}
            ".unified" => {
                self.expect(b'(')?;
                self.integer()?;
                self.expect(b',')?;
                self.integer()?;
                self.expect(b')')?;
            }
            other => return Err(Error::new(line, format!("the attribute {other} is not known"))),
        }
        self.expect(b')')
    }

    fn named_part(&mut self, variable: &mut Variable<'a>) -> Result<()> {
        variable.name = self.word("a name")?;
        if variable.name.starts_with('.') {
            return Err(Error::new(self.line(), format!("{} is no name", variable.name)));
        }
        while self.eat(b'[') {
            let open = self.peek() == Token::Sign(b']');
            variable.dims.push(if open { 0 } else { self.integer()? });
            self.expect(b']')?;
        }
        if self.eat(b'=') {
            self.initialiser(&mut variable.init)?;
        }
        Ok(())
    }

    fn initialiser(&mut self, values: &mut Vec<Literal<'a>>) -> Result<()> {
        // Nested braces only group: the values follow each other in memory.
        let mut open = 0;
        loop {
            while self.eat(b'{') {
                open += 1;
            }
            if self.peek() != Token::Sign(b'}') {
                values.push(self.literal()?);
            }
            while open > 0 && self.eat(b'}') {
                open -= 1;
            }
            if open == 0 {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn literal(&mut self) -> Result<Literal<'a>> {
        if let Token::Word(word) = self.peek() {
            self.advance();
            if word == "generic" && self.eat(b'(') {
                let name = self.word("a variable")?;
                self.expect(b')')?;
                return Ok(Literal::Symbol(name, self.offset()?.unwrap_or(0)));
            }
            return Ok(Literal::Symbol(word, self.offset()?.unwrap_or(0)));
        }
        Ok(match self.number()? {
            Operand::Integer(value) => Literal::Integer(value),
            Operand::Float32(bits) => Literal::Float32(bits),
            Operand::Float64(bits) => Literal::Float64(bits),
            _ => return self.fail("a value"),
        })
    }
}
