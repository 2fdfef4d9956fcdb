//! Instructions in machine code, the loops among them, and what is in those.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
};

/// A loop: the instructions from a label to the branch back to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loop {
    /// How many there are of each instruction that may do something, by name without modifiers: `IMMA`, `LDSM`.
    pub instructions: BTreeMap<String, u32>,
    /// Those that take a turn of the scheduler and do nothing: `NOP`, and what is guarded by "never" (`@!PT`, `@!UPT`),
    /// with which ptxas keeps instructions apart.
    pub padding: u32,
}

impl Loop {
    /// Instructions in it, padding left out.
    pub fn len(&self) -> u32 {
        self.instructions.values().sum()
    }

    /// Whether nothing in it does anything.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Turns of the scheduler that a warp needs for one round.
    pub fn issue_slots(&self) -> u32 {
        self.len() + self.padding
    }

    /// How many instructions of this name are in it.
    pub fn count(&self, name: &str) -> u32 {
        self.instructions.get(name).copied().unwrap_or(0)
    }

    fn add(&mut self, instruction: &str) {
        let guard = instruction.strip_prefix('@').and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let name = opcode(instruction).split('.').next().unwrap_or_default();
        if name == "NOP" || guard == "!PT" || guard == "!UPT" {
            self.padding += 1;
        } else {
            *self.instructions.entry(name.to_owned()).or_default() += 1;
        }
    }
}

/// An entry's code: its instructions in the order in which they lie, and where labels are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing<'a> {
    /// As `nvdisasm` writes them, guards included: `@P0 LDG.E.128 R8, [R2.64]`.
    pub instructions: Vec<&'a str>,
    labels: HashMap<&'a str, usize>,
}

impl<'a> Listing<'a> {
    /// Reads what `nvdisasm -c` wrote of an entry.
    pub fn read(code: &'a str) -> Listing<'a> {
        let mut listing = Listing::default();
        for line in code.lines().map(str::trim) {
            if let Some(label) = line.strip_suffix(':').filter(|label| label.starts_with(".L_")) {
                listing.labels.insert(label, listing.instructions.len());
            } else {
                listing.instructions.extend(instruction(line));
            }
        }
        listing
    }

    /// Where the branch at `index` goes, if it is one.
    pub fn target(&self, index: usize) -> Option<usize> {
        self.labels.get(target(self.instructions.get(index)?)?).copied()
    }

    /// Every loop, from its first instruction to the branch back to it, in the order of their ends.
    pub fn loops(&self) -> impl Iterator<Item = RangeInclusive<usize>> {
        let ends = 0..self.instructions.len();
        ends.filter_map(|end| self.target(end).filter(|start| *start <= end).map(|start| start..=end))
    }

    /// Whether a branch may come in before the instruction at `index`.
    pub fn is_entered(&self, index: usize) -> bool {
        self.labels.values().any(|label| *label == index)
    }
}

/// What an instruction is, with modifiers and without its guard: `LDG.E.128`.
pub fn opcode(instruction: &str) -> &str {
    instruction.split_whitespace().find(|word| !word.starts_with('@')).unwrap_or_default()
}

/// Every loop of an entry's code as `nvdisasm -c` writes it, in the order of their ends.
pub fn loops(code: &str) -> Vec<Loop> {
    let listing = Listing::read(code);
    let body = |range: RangeInclusive<usize>| {
        let mut found = Loop::default();
        listing.instructions[range].iter().for_each(|instruction| found.add(instruction));
        found
    };
    listing.loops().map(body).collect()
}

/// The shortest loop that holds an instruction called `name`.
pub fn innermost(code: &str, name: &str) -> Option<Loop> {
    loops(code).into_iter().filter(|found| found.count(name) > 0).min_by_key(Loop::issue_slots)
}

/// The instruction of a line: `/*0010*/  @P0 BRA `(.L_x_1) ;`.
fn instruction(line: &str) -> Option<&str> {
    let (address, rest) = line.strip_prefix("/*")?.split_once("*/")?;
    let is_address = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    let end = rest.find(';')?;
    is_address.then(|| rest[..end].trim()).filter(|text| !text.is_empty())
}

/// The label that a branch goes to.
fn target(instruction: &str) -> Option<&str> {
    let is_branch = instruction.split_whitespace().take(2).any(|word| word == "BRA" || word.starts_with("BRA."));
    let (_, label) = instruction.split_once("`(")?;
    is_branch.then(|| label.split(')').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\t.text.k:\n\
        .L_x_0:\n        //## File \"a.rs\", line 3\n\
        \x20       /*0000*/                   IADD3 R0, R0, 0x1, RZ ;  /* 0x0 */\n\
        .L_x_1:\n\
        \x20       /*0010*/                   IMMA.16832.S8.S8 R4, R8.ROW, R2.COL, R4 ;\n\
        \x20       /*0020*/              @!UPT UIADD3 URZ, UPT, UPT, URZ, URZ, URZ ;\n\
        \x20       /*0030*/                   NOP ;\n\
        \x20       /*0040*/               @P0 LDSM.16.M88.4 R8, [R1+UR4] ;\n\
        \x20       /*0050*/               @P1 BRA `(.L_x_1) ;\n\
        \x20       /*0060*/               @P2 BRA.U UP0, `(.L_x_2) ;\n\
        \x20       /*0070*/               @P3 BRA `(.L_x_0) ;\n\
        .L_x_2:\n        /*0080*/                   EXIT ;\n";

    #[test]
    fn loops_end_at_branches_backwards() {
        let found = loops(CODE);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].len(), found[0].padding, found[0].issue_slots()), (3, 2, 5));
        assert_eq!((found[1].len(), found[1].count("IADD3"), found[1].count("BRA")), (6, 1, 3));
    }

    #[test]
    fn a_listing_tells_where_branches_go() {
        let listing = Listing::read(CODE);
        let names: Vec<_> = listing.instructions.iter().map(|instruction| opcode(instruction)).collect();
        assert_eq!(names[..5], ["IADD3", "IMMA.16832.S8.S8", "UIADD3", "NOP", "LDSM.16.M88.4"]);
        assert_eq!((listing.target(5), listing.target(6), listing.target(7)), (Some(1), Some(8), Some(0)));
        assert_eq!((listing.target(4), listing.target(100)), (None, None));
        assert!(listing.is_entered(1) && !listing.is_entered(2));
    }

    #[test]
    fn the_innermost_loop_of_an_instruction_is_the_shortest() {
        let found = innermost(CODE, "IMMA").unwrap();
        assert_eq!((found.count("IMMA"), found.count("LDSM"), found.len()), (1, 1, 3));
        assert!(innermost(CODE, "HMMA").is_none() && !found.is_empty());
        assert_eq!(innermost(CODE, "IADD3").unwrap().len(), 6);
    }
}
