//! The parts of a mnemonic, taken one by one: what is left at the end is refused.

use crate::ir::types::Type;
use crate::ptx::{Error, Result};

/// The dotted parts of a mnemonic behind its name.
pub(crate) struct Mods<'a> {
    mnemonic: &'a str,
    line: u32,
    parts: Vec<&'a str>,
}

impl<'a> Mods<'a> {
    /// The name of the instruction and its modifiers.
    pub(crate) fn new(mnemonic: &'a str, line: u32) -> (&'a str, Self) {
        let mut parts = mnemonic.split('.');
        let name = parts.next().unwrap_or("");
        (name, Self { mnemonic, line, parts: parts.collect() })
    }

    pub(crate) fn error<T>(&self, message: impl AsRef<str>) -> Result<T> {
        Err(Error::new(self.line, format!("{}: {}", self.mnemonic, message.as_ref())))
    }

    /// Takes the first modifier of that name. Where several could come in either order, ptxas does not mind.
    pub(crate) fn take(&mut self, name: &str) -> bool {
        let found = self.parts.iter().position(|part| *part == name);
        found.map(|at| self.parts.remove(at)).is_some()
    }

    /// Takes `first` and `second` where one follows the other: the other order means something else.
    pub(crate) fn take_pair(&mut self, first: &str, second: &str) -> bool {
        let found = self.parts.windows(2).position(|pair| pair == [first, second]);
        found.map(|at| self.parts.drain(at..at + 2)).is_some()
    }

    /// Takes the first modifier that `choose` knows.
    pub(crate) fn find<T>(&mut self, choose: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (at, value) = self.parts.iter().enumerate().find_map(|(at, part)| Some((at, choose(part)?)))?;
        self.parts.remove(at);
        Some(value)
    }

    /// Takes one of `choices`; an error when there is none.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T> {
        let pick = |part: &str| choices.iter().find(|(name, _)| *name == part).map(|(_, value)| *value);
        match self.find(pick) {
            Some(value) => Ok(value),
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.error(format!("one of .{} is missing", names.join(", .")))
            }
        }
    }

    /// Takes one of `choices` if there is one.
    pub(crate) fn maybe<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        self.find(|part| choices.iter().find(|(name, _)| *name == part).map(|(_, value)| *value))
    }

    /// Takes the first type.
    pub(crate) fn ty(&mut self) -> Result<Type> {
        match self.find(Type::parse) {
            Some(ty) => Ok(ty),
            None => self.error("the type is missing"),
        }
    }

    /// Takes the first modifier, whatever it is.
    pub(crate) fn word(&mut self) -> Result<&'a str> {
        if self.parts.is_empty() {
            return self.error("a type is missing");
        }
        Ok(self.parts.remove(0))
    }

    /// The first type, which stays.
    pub(crate) fn peek_type(&self) -> Option<Type> {
        self.parts.iter().find_map(|part| Type::parse(part))
    }

    /// Nothing may be left: a modifier that is ignored is a wrong result.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.parts.first() {
            None => Ok(()),
            Some(part) => self.error(format!("the modifier .{part} is not supported here")),
        }
    }

    /// Whether `name` comes right now.
    pub(crate) fn starts_with(&self, name: &str) -> bool {
        self.parts.first() == Some(&name)
    }

    /// Whether `name` is among the modifiers from number `start` on.
    pub(crate) fn has_behind(&self, start: usize, name: &str) -> bool {
        self.parts.iter().skip(start).any(|part| *part == name)
    }

    /// Whether `name` is among the modifiers that are left.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.contains(&name)
    }
}
