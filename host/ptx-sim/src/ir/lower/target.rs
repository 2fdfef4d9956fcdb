//! The architecture that a text is for, and what needs a newer one.

use super::Lowerer;
use super::mods::Mods;
use crate::ptx::Result;

impl Lowerer<'_, '_> {
    /// Refuses the statement unless `.target` names at least `sm_<least>`.
    pub(super) fn needs(&self, mods: &Mods<'_>, least: u32) -> Result<()> {
        match self.architecture() {
            Some(number) if number >= least => Ok(()),
            _ => mods.error(format!("this needs .target sm_{least} or higher, the text says {}", self.text.target)),
        }
    }

    /// The number of `.target sm_<number>`, whatever follows it.
    fn architecture(&self) -> Option<u32> {
        let name = self.text.target.strip_prefix("sm_")?;
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
        name[..digits].parse().ok()
    }
}
