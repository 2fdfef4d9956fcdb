//! What the tools say, read.

use std::collections::BTreeMap;

/// What `ptxas -v` says of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each entry's resources, by name.
    pub entries: BTreeMap<String, Resources>,
    /// Warnings, and the hints at lost speed (`(C7508) Potential Performance Loss: ..`), as they were said.
    pub warnings: Vec<String>,
}

/// What one entry takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Registers of a thread.
    pub registers: u32,
    /// Named barriers.
    pub barriers: u32,
    /// Bytes of stack of a thread: arrays that are not in registers.
    pub stack: u32,
    /// Bytes that a thread writes to spilled registers.
    pub spill_stores: u32,
    /// Bytes that a thread reads from spilled registers.
    pub spill_loads: u32,
    /// Bytes of static shared memory of a block.
    pub shared: u32,
    /// Bytes of constant memory, parameters included.
    pub constant: u32,
}

impl Report {
    /// Reads the standard error of `ptxas -v`.
    pub fn read(said: &str) -> Report {
        let mut report = Report::default();
        let mut entry = String::new();
        for line in said.lines() {
            let text = line.strip_prefix("ptxas info").map(|rest| rest.trim_start_matches([' ', ':']));
            let text = text.unwrap_or(line).trim();
            if line.starts_with("ptxas warning") || text.starts_with('(') {
                report
                    .warnings
                    .push(text.trim_start_matches("ptxas warning").trim_start_matches([' ', ':']).to_owned());
            } else if let Some(rest) = text.strip_prefix("Compiling entry function '") {
                entry = rest.split('\'').next().unwrap_or("").to_owned();
                report.entries.insert(entry.clone(), Resources::default());
            } else if let Some(name) = text.strip_prefix("Function properties for ") {
                // Device functions have properties too; they are no entries, and what they take is part of their callers.
                entry = name.trim().to_owned();
            } else if let Some(resources) = report.entries.get_mut(&entry) {
                resources.add(text);
            }
        }
        report
    }
}

impl Resources {
    /// Takes in `0 bytes stack frame, 0 bytes spill stores, ..` or `Used 10 registers, .. 16 bytes smem, ..`.
    fn add(&mut self, text: &str) {
        for part in text.split(", ") {
            let part = part.trim_start_matches("Used ").trim_start_matches("used ");
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match what.strip_prefix("bytes ").unwrap_or(what) {
                "registers" => self.registers = number,
                "barriers" => self.barriers = number,
                "stack frame" => self.stack = number,
                "spill stores" => self.spill_stores = number,
                "spill loads" => self.spill_loads = number,
                "smem" => self.shared = number,
                what if what.starts_with("cmem[") => self.constant += number,
                _ => {}
            }
        }
    }
}

/// Cuts `nvdisasm -c` at its `.text.ENTRY` sections.
pub(super) fn sass_by_entry(text: &str) -> BTreeMap<String, String> {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if line.starts_with("//---") {
            // `//--------------------- .text.name --------------------------`
            current = line.split_whitespace().find_map(|word| word.strip_prefix(".text.")).map(str::to_owned);
        } else if let Some(name) = &current {
            let body = entries.entry(name.clone()).or_default();
            body.push_str(line);
            body.push('\n');
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read() {
        let said = "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored.\n\
            ptxas warning : Value of threads per SM for entry b is out of range.\n\
            ptxas info    : 0 bytes gmem\n\
            ptxas info    : Compiling entry function 'b' for 'sm_80'\n\
            ptxas info    : Function properties for b\n    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n\
            ptxas info    : Used 127 registers, used 1 barriers, 8 bytes cumulative stack size, 64 bytes smem, 424 bytes cmem[0], 8 bytes cmem[2]\n\
            ptxas info    : Compile time = 78.868 ms\n\
            ptxas info    : Function properties for helper\n    96 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
            ptxas info    : Compiling entry function 'a' for 'sm_80'\n\
            ptxas info    : Function properties for a\n    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
            ptxas info    : Used 4 registers\n";
        let report = Report::read(said);
        let b = Resources {
            registers: 127,
            barriers: 1,
            stack: 8,
            spill_stores: 4,
            spill_loads: 12,
            shared: 64,
            constant: 432,
        };
        assert_eq!(report.entries["b"], b);
        assert_eq!(report.entries["a"], Resources { registers: 4, ..Resources::default() });
        assert_eq!(report.entries.len(), 2);
        assert_eq!(
            report.warnings,
            [
                "(C7508) Potential Performance Loss: 'setmaxnreg' ignored.",
                "Value of threads per SM for entry b is out of range."
            ]
        );
    }

    #[test]
    fn machine_code_is_cut_at_its_sections() {
        let text = "\t.target\tsm_80\n//-------- .nv.info --------\nx\n//------ .text.k ------\n\t.text.k:\n  /*0000*/ EXIT ;\n//------ .text.l ------\ny\n";
        let entries = sass_by_entry(text);
        assert_eq!(entries["k"], "\t.text.k:\n  /*0000*/ EXIT ;\n");
        assert_eq!((entries.len(), entries["l"].as_str()), (2, "y\n"));
    }
}
