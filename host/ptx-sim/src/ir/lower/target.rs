//! The architecture that a text is for, and what needs a newer one.

use super::Lowerer;
use super::mods::Mods;
use crate::ptx::Result;

impl Lowerer<'_, '_> {
    /// Refuses the statement unless `.target` names at least `sm_<least>`.
    pub(super) fn needs(&self, mods: &Mods<'_>, least: u32) -> Result<()> {
        match self.architecture() {
            Some((number, _)) if number >= least => Ok(()),
            _ => mods.error(format!("this needs .target sm_{least} or higher, the text says {}", self.text.target)),
        }
    }

    /// Refuses the statement unless `.target` is `sm_<number>a` itself: what only that architecture has.
    pub(super) fn needs_exactly(&self, mods: &Mods<'_>, number: u32) -> Result<()> {
        match self.architecture() {
            Some((found, "a")) if found == number => Ok(()),
            _ => mods.error(format!("this needs .target sm_{number}a, the text says {}", self.text.target)),
        }
    }

    /// Refuses the statement unless `.target` is `sm_<least>a` or the `a` or `f` of something newer.
    pub(super) fn needs_specific(&self, mods: &Mods<'_>, least: u32) -> Result<()> {
        match self.architecture() {
            Some((number, "a")) if number >= least => Ok(()),
            Some((number, "f")) if number > least => Ok(()),
            _ => mods.error(format!("this needs .target sm_{least}a, the text says {}", self.text.target)),
        }
    }

    /// The number of `.target sm_<number>`, and what follows it (`a`, `f` or nothing).
    fn architecture(&self) -> Option<(u32, &str)> {
        let name = self.text.target.strip_prefix("sm_")?;
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
        Some((name[..digits].parse().ok()?, &name[digits..]))
    }
}
