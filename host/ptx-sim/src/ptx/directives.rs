//! Directives: what stands outside of instructions.

use super::ast::{Formal, Function, Registers, Space, Statement, Text, TypeName};
use super::lexer::Token;
use super::parser::Parser;
use super::{Error, Result};

/// Directives of an entry that carry numbers.
const TUNING: [&str; 9] = [
    ".maxntid",
    ".reqntid",
    ".minnctapersm",
    ".maxnctapersm",
    ".maxnreg",
    ".reqnctapercluster",
    ".maxclusterrank",
    ".explicitcluster",
    ".noreturn",
];

fn space_of(word: &str) -> Option<Space> {
    Some(match word {
        ".global" => Space::Global,
        ".const" => Space::Const,
        ".shared" | ".shared::cta" => Space::Shared,
        ".local" => Space::Local,
        ".param" => Space::Param,
        _ => return None,
    })
}

/// What may follow `sm_`: the 64-bit architectures of ".target" in the PTX ISA.
const ARCHITECTURES: [&str; 26] = [
    "20", "30", "32", "35", "37", "50", "52", "53", "60", "61", "62", "70", "72", "75", "80", "86", "87", "88", "89",
    "90", "100", "101", "103", "110", "120", "121",
];

impl<'a> Parser<'a> {
    pub(super) fn file(&mut self) -> Result<Text<'a>> {
        let mut text = Text { address_size: 32, ..Text::default() };
        while self.peek() != Token::End {
            self.top_level(&mut text)?;
        }
        if text.target.is_empty() {
            return Err(Error::new(1, "no .target directive; is this a PTX file?"));
        }
        if text.address_size != 64 {
            return Err(Error::new(1, "only .address_size 64 is supported"));
        }
        Ok(text)
    }

    /// The version of the language, as `8.7`: what the next major one changes is not known.
    fn version(&mut self) -> Result<()> {
        let line = self.line();
        match self.peek() {
            Token::Float64(bits) if (1.0..10.0).contains(&f64::from_bits(bits)) => {
                self.advance();
                Ok(())
            }
            _ => Err(Error::new(line, "a version of PTX from 1.0 to 9.9 has to follow .version")),
        }
    }

    fn target(&mut self) -> Result<&'a str> {
        let line = self.line();
        let target = self.word("a target")?;
        let number = target.strip_prefix("sm_").map(|name| name.trim_end_matches(['a', 'f']));
        if !number.is_some_and(|number| ARCHITECTURES.contains(&number)) {
            return Err(Error::new(line, format!("{target} is no architecture that is known, as sm_80 or sm_90a")));
        }
        while self.eat(b',') {
            let (line, option) = (self.line(), self.word("a target option")?);
            if !matches!(option, "debug" | "texmode_unified" | "texmode_independent") {
                return Err(Error::new(line, format!("the target option {option} is not supported")));
            }
        }
        Ok(target)
    }

    fn top_level(&mut self, text: &mut Text<'a>) -> Result<()> {
        let line = self.line();
        let word = self.word("a directive")?;
        match word {
            ".version" => self.version()?,
            ".target" => text.target = self.target()?,
            ".address_size" => text.address_size = self.small_integer()?,
            ".file" => text.files.push(self.file_directive()?),
            ".section" => self.skip_section()?,
            ".pragma" => self.pragma()?,
            ".alias" => {
                let alias = self.word("the new name of a function")?;
                self.expect(b',')?;
                let function = self.word("a function")?;
                self.expect(b';')?;
                text.aliases.push((alias, function));
            }
            // Labels between debug sections.
            _ if self.eat(b':') => {}
            ".visible" | ".weak" | ".common" | ".extern" => {
                let external = word == ".extern";
                let word = self.word("a directive")?;
                self.declaration(line, word, external, text)?;
            }
            _ => self.declaration(line, word, false, text)?,
        }
        Ok(())
    }

    fn declaration(&mut self, line: u32, word: &'a str, external: bool, text: &mut Text<'a>) -> Result<()> {
        if matches!(word, ".entry" | ".func") {
            let function = self.function(line, word == ".entry")?;
            text.functions.push(function);
            return Ok(());
        }
        match space_of(word) {
            Some(space) if !matches!(space, Space::Local | Space::Param) => {
                self.variables(line, space, external, &mut |variable| text.variables.push(variable))
            }
            _ => Err(Error::new(line, format!("the directive {word} is not known here"))),
        }
    }

    pub(super) fn body_directive(&mut self, word: &'a str, statements: &mut Vec<Statement<'a>>) -> Result<()> {
        let line = self.line();
        self.advance();
        match word {
            ".reg" => {
                let first = self.registers(line)?;
                let element = first.element;
                statements.push(Statement::Registers(first));
                while self.eat(b',') {
                    let line = self.line();
                    let (name, count) = self.register_name()?;
                    statements.push(Statement::Registers(Registers { line, element, name, count }));
                }
                self.expect(b';')?;
            }
            ".loc" => statements.push(self.location()?),
            ".pragma" => self.pragma()?,
            ".calltargets" => {
                let mut names = vec![self.word("a function")?];
                while self.eat(b',') {
                    names.push(self.word("a function")?);
                }
                self.expect(b';')?;
                statements.push(Statement::CallTargets(names));
            }
            ".callprototype" => {
                let results = if self.eat(b'(') { self.formals()? } else { Vec::new() };
                self.word("the _ that stands for the function")?;
                let params = if self.eat(b'(') { self.formals()? } else { Vec::new() };
                if self.peek() == Token::Word(".noreturn") {
                    self.advance();
                }
                self.expect(b';')?;
                statements.push(Statement::CallPrototype(results, params));
            }
            ".branchtargets" => {
                let mut labels = vec![self.word("a label")?];
                while self.eat(b',') {
                    labels.push(self.word("a label")?);
                }
                self.expect(b';')?;
                statements.push(Statement::BranchTargets(line, labels));
            }
            _ => match space_of(word) {
                Some(space) if space != Space::Const => {
                    self.variables(line, space, false, &mut |variable| statements.push(Statement::Variable(variable)))?;
                }
                _ => return Err(Error::new(line, format!("the directive {word} is not known here"))),
            },
        }
        Ok(())
    }

    fn registers(&mut self, line: u32) -> Result<Registers<'a>> {
        let element = self.element()?;
        let (name, count) = self.register_name()?;
        Ok(Registers { line, element, name, count })
    }

    fn register_name(&mut self) -> Result<(&'a str, Option<u32>)> {
        let name = self.word("a register name")?;
        let mut count = None;
        if self.eat(b'<') {
            count = Some(self.small_integer()?);
            self.expect(b'>')?;
        }
        Ok((name, count))
    }

    pub(super) fn element(&mut self) -> Result<TypeName<'a>> {
        match self.peek() {
            Token::Word(word) if word.starts_with('.') => {
                self.advance();
                Ok(&word[1..])
            }
            _ => self.fail("a type"),
        }
    }

    fn function(&mut self, line: u32, entry: bool) -> Result<Function<'a>> {
        let mut results = Vec::new();
        if !entry && self.eat(b'(') {
            results = self.formals()?;
        }
        let name = self.word("a name")?;
        let mut params = Vec::new();
        if self.eat(b'(') {
            params = self.formals()?;
        }
        let mut tuning = Vec::new();
        loop {
            match self.peek() {
                Token::Word(word) if TUNING.contains(&word) => {
                    let line = self.line();
                    self.advance();
                    let mut values = Vec::new();
                    if matches!(self.peek(), Token::Integer(_)) {
                        values.push(self.integer()?);
                        while self.eat(b',') {
                            values.push(self.integer()?);
                        }
                    }
                    tuning.push((line, word, values));
                }
                Token::Word(".pragma") => {
                    self.advance();
                    self.pragma()?;
                }
                _ => break,
            }
        }
        let mut body = None;
        if self.eat(b'{') {
            body = Some(self.body()?);
        } else {
            self.expect(b';')?;
        }
        Ok(Function { line, name, entry, results, params, tuning, body })
    }

    fn formals(&mut self) -> Result<Vec<Formal<'a>>> {
        let mut formals = Vec::new();
        while !self.eat(b')') {
            if !formals.is_empty() {
                self.expect(b',')?;
            }
            let line = self.line();
            formals.push(match self.word("a parameter")? {
                ".param" => Formal::Variable(self.variable(line, Space::Param, false)?),
                ".reg" => Formal::Register(self.registers(line)?),
                other => return Err(Error::new(line, format!(".param or .reg was expected, {other} was found"))),
            });
        }
        Ok(formals)
    }

    fn file_directive(&mut self) -> Result<(u32, &'a str)> {
        let number = self.small_integer()?;
        let Token::Text(name) = self.advance() else { return self.fail("a file name") };
        while self.eat(b',') {
            self.integer()?;
        }
        Ok((number, name))
    }

    fn location(&mut self) -> Result<Statement<'a>> {
        let file = self.small_integer()?;
        let line = self.small_integer()?;
        self.small_integer()?;
        while self.eat(b',') {
            match self.word("function_name or inlined_at")? {
                "function_name" => {
                    self.word("a label")?;
                    while matches!(self.peek(), Token::Sign(b'+')) {
                        self.advance();
                        self.integer()?;
                    }
                }
                "inlined_at" => {
                    for _ in 0..3 {
                        self.small_integer()?;
                    }
                }
                other => return Err(Error::new(self.line(), format!("{other} is not known after .loc"))),
            }
        }
        Ok(Statement::Location(file, line))
    }

    fn pragma(&mut self) -> Result<()> {
        // Every pragma is a hint to ptxas; none changes what a kernel computes.
        let Token::Text(_) = self.advance() else { return self.fail("the text of a pragma") };
        self.expect(b';')
    }

    /// Debug sections hold data for debuggers only.
    fn skip_section(&mut self) -> Result<()> {
        let name = self.word("a section name")?;
        if !name.starts_with(".debug") {
            return Err(Error::new(self.line(), format!("the section {name} is not known")));
        }
        self.expect(b'{')?;
        while !self.eat(b'}') {
            if self.advance() == Token::End {
                return self.fail("`}`");
            }
        }
        Ok(())
    }
}
