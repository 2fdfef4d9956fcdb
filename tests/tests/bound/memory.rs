//! The kernels that memory bounds, in machine code: how many bytes they have on their way, and how many instructions they take
//! for a window, the 16 bytes that a thread loads at a time.
//!
//! Counted in machine code and not by the simulator, whose instructions are PTX's: ptxas makes one of several, and several of
//! one. The quantizer's code for the windows that a thread holds is unrolled, so that it lies between one window's load or
//! store and the next one's.

use crate::rates::{Multiprocessor, SCHEDULERS};
use contract::{grid, stream};
use cuda_builder::ptxas::{
    Ptxas,
    sass::{Listing, opcode},
};
use outerscale::ptx::only_entries;

/// A kernel that memory bounds.
pub(crate) struct Kernel {
    entry: &'static str,
    /// Bytes moved for a window.
    bytes: f64,
    /// Threads of a block.
    threads: u32,
    /// The loads that bring windows.
    load: &'static str,
    way: Way,
}

/// How its windows are gone through.
enum Way {
    /// A loop over weights.
    Streamed,
    /// Loads, a look at them, then codes: what stores a window's.
    Held { windows: usize, store: &'static str },
}

const fn quantizer(entry: &'static str, element: f64, store: &'static str) -> Kernel {
    let (elements, windows) = (16.0 / element, grid::HELD_COLS as usize * element as usize / 16);
    let way = Way::Held { windows, store };
    Kernel { entry, bytes: 16.0 + elements, threads: grid::THREADS, load: "LDG.E.128", way }
}

const fn streamed(entry: &'static str) -> Kernel {
    // The weights are loaded without a place in L1.
    Kernel { entry, bytes: 16.0, threads: stream::THREADS, load: "LDG.E.NA.128", way: Way::Streamed }
}

/// The quantizers that look at a row before they make its codes.
pub(crate) const QUANTIZERS: [Kernel; 3] = [
    quantizer("quantize_token_f32", 4.0, "STG.E"),
    quantizer("quantize_token_f16", 2.0, "STG.E.64"),
    quantizer("quantize_token_bf16", 2.0, "STG.E.64"),
];

/// The products for few tokens.
pub(crate) const STREAMS: [Kernel; 2] = [streamed("gemm_stream8_bf16"), streamed("gemm_stream16_bf16")];

/// What 800 ns of 8 TB/s come to for each of a B200's 148 multiprocessors (Little's law), and more than any other takes:
/// 28 KiB for an H200. At least 96 KiB are there (ptxas 13.0.88).
const LEAST_IN_FLIGHT: u32 = 43 << 10;

/// The share of memory's clocks that the schedulers may be busy, at most: 57 % of a B200's are taken, 39 % of an H200's (ptxas 13.0.88).
const MOST_BUSY: f64 = 0.75;

/// What a kernel is on a multiprocessor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Registers of a thread.
    pub(crate) registers: u32,
    /// Blocks that have room at once.
    pub(crate) blocks: u32,
    /// Loads that a thread has on their way.
    pub(crate) loads: u32,
    /// Turns of a scheduler for the load of a warp's window and the look at it; for the product, all of them.
    pub(crate) first: f64,
    /// Those for its codes.
    pub(crate) second: f64,
    /// Clocks of the schedulers for a warp's window.
    pub(crate) issue: f64,
    /// Clocks of the memory.
    pub(crate) memory: f64,
}

impl Kernel {
    pub(crate) fn entry(&self) -> &'static str {
        self.entry
    }

    /// Bytes on their way to a multiprocessor.
    pub(crate) fn in_flight(&self, found: &Found) -> u32 {
        found.loads * 16 * self.threads * found.blocks
    }

    /// What it is on a multiprocessor, from the PTX of its module.
    pub(crate) fn find(&self, ptxas: &Ptxas, ptx: &str, multiprocessor: &Multiprocessor) -> Result<Found, String> {
        let (entry, arch) = (self.entry, multiprocessor.arch);
        let fail = |why: &str| format!("{entry} for {arch}: {why}");
        let text = only_entries(ptx, |name| name == entry);
        let code = ptxas.sass(&text, arch).map_err(|e| fail(&e.to_string()))?;
        let report = ptxas.assemble(&text, arch).map_err(|e| fail(&e.to_string()))?;
        let listing = Listing::read(&code[entry]);
        let loads = loads_in_flight(&listing, self.load);
        let (first, second) = match self.way {
            Way::Streamed => {
                // Padding takes a scheduler's turn too, so that instructions are counted as they lie.
                let windows = |body: &[&str]| body.iter().filter(|i| opcode(i).starts_with(self.load)).count();
                let bodies = listing.loops().map(|range| &listing.instructions[range]);
                let body = bodies.filter(|body| windows(body) > 0).min_by_key(|body| body.len());
                let body = body.ok_or_else(|| fail("no loop of loads"))?;
                (body.len() as f64 / windows(body) as f64, 0.0)
            }
            Way::Held { windows, store } => {
                let look = look(&listing, self.load, windows).ok_or_else(|| fail("no loads before a branch"))?;
                let codes = codes(&listing, store, windows).ok_or_else(|| fail("not a store for each window"))?;
                (look, codes)
            }
        };
        let registers = report.entries[entry].registers;
        Ok(Found {
            registers,
            // A warp takes registers by 256. Neither threads nor shared memory allow fewer blocks.
            blocks: (1 << 16) / (registers.next_multiple_of(8) * self.threads),
            loads,
            first,
            second,
            issue: (first + second) / SCHEDULERS,
            memory: 32.0 * self.bytes / multiprocessor.memory_bytes,
        })
    }

    /// What is wrong with it, whatever compiler and assembler are.
    pub(crate) fn problem(&self, found: &Found) -> Option<String> {
        let (entry, in_flight) = (self.entry, self.in_flight(found));
        if in_flight < LEAST_IN_FLIGHT {
            return Some(format!("{entry}: {in_flight} bytes on their way, at least {LEAST_IN_FLIGHT} are wanted"));
        }
        let busy = found.issue / found.memory;
        (busy > MOST_BUSY).then(|| format!("{entry}: the schedulers are busy {busy:.2} of memory's clocks: {found:?}"))
    }
}

/// The most loads that lie one after the other before anything names a register that one of them fills.
fn loads_in_flight(listing: &Listing<'_>, load: &str) -> u32 {
    let (mut filled, mut loads, mut most) = (Vec::new(), 0, 0);
    for (index, instruction) in listing.instructions.iter().enumerate() {
        let named: Vec<u32> = registers(instruction).collect();
        if listing.is_entered(index) || named.iter().any(|register| filled.contains(register)) {
            (filled, loads) = (Vec::new(), 0);
        }
        if opcode(instruction).starts_with(load) {
            filled.extend(named.first().into_iter().flat_map(|first| *first..first + 4));
            loads += 1;
            most = most.max(loads);
        }
    }
    most
}

/// The registers that an instruction names.
fn registers(instruction: &str) -> impl Iterator<Item = u32> {
    let words = instruction.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('R')?.parse().ok())
}

/// Instructions for a window from the first load to the branch that follows the last window's: loads with their addresses, and the
/// look at what they bring.
fn look(listing: &Listing<'_>, load: &str, windows: usize) -> Option<f64> {
    let all = || listing.instructions.iter().enumerate();
    let loads: Vec<usize> = all().filter(|(_, i)| opcode(i).starts_with(load)).map(|(index, _)| index).collect();
    let (first, last) = (*loads.first()?, *loads.get(windows - 1)?);
    let (end, _) = all().skip(last).find(|(_, i)| opcode(i) == "BRA")?;
    Some((end - first) as f64 / windows as f64)
}

/// Instructions for a window from one window's store to the next one's, on the way of an aligned row: the stores of single
/// bytes are branched over.
fn codes(listing: &Listing<'_>, store: &str, windows: usize) -> Option<f64> {
    let all = listing.instructions.iter().enumerate();
    let stores: Vec<usize> = all.filter(|(_, i)| opcode(i) == store).map(|(index, _)| index).take(windows).collect();
    let (first, last) = (*stores.first()?, *stores.get(windows - 1)?);
    let is_byte = |instruction: &&str| opcode(instruction) == "STG.E.U8";
    let (mut at, mut taken) = (first, 0);
    while at < last {
        let over = listing.target(at).filter(|to| (at..=last).contains(to));
        let over = over.filter(|to| listing.instructions[at..*to].iter().any(is_byte));
        // A branch over a whole window is not taken.
        let over = over.filter(|to| !stores.iter().any(|store| (at..*to).contains(store)));
        at = over.unwrap_or(at + 1);
        taken += 1;
    }
    Some(f64::from(taken) / (windows - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(instructions: &[&str]) -> String {
        let line = |i: &&str| if i.ends_with(':') { format!("{i}\n") } else { format!("/*0010*/ {i} ;\n") };
        instructions.iter().map(line).collect()
    }

    #[test]
    fn loads_are_on_their_way_until_one_is_used() {
        let code = code(&[
            "LDG.E.128.CONSTANT R8, desc[UR4][R2.64]",
            "IADD3 R2, R2, 0x10, RZ",
            "@P0 LDG.E.128.CONSTANT R12, desc[UR4][R2.64]",
            "IADD3 R3, R15, 0x1, RZ",
            "LDG.E.128.CONSTANT R16, desc[UR4][R2.64]",
            "@P1 BRA `(.L_x_0)",
        ]);
        assert_eq!(loads_in_flight(&Listing::read(&code), "LDG.E.128"), 2);
        assert_eq!(look(&Listing::read(&code), "LDG.E.128", 2), Some(2.5));
        assert_eq!(look(&Listing::read(&code), "LDG.E.128", 4), None);
    }

    #[test]
    fn stores_of_bytes_are_branched_over() {
        let code = code(&[
            "STG.E.64 [R2], R4",
            "IADD3 R2, R2, 0x8, RZ",
            "@P0 BRA `(.L_x_1)",
            "@P1 BRA `(.L_x_0)",
            "STG.E.U8 [R2], R4",
            "BRA `(.L_x_1)",
            ".L_x_0:",
            "STG.E.64 [R2], R4",
            ".L_x_1:",
            "EXIT",
        ]);
        let listing = Listing::read(&code);
        // The first store, the addition, two branches.
        assert_eq!(codes(&listing, "STG.E.64", 2), Some(4.0));
        assert_eq!(codes(&listing, "STG.E.64", 3), None);
    }
}
