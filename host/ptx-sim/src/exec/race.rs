//! Who touched which byte of shared memory since the last barrier.
//!
//! Each byte has two tags of 16 bits: its last writer and its readers in the current barrier interval. Two
//! warps that touch a byte in one interval, one of them writing, race whatever order they happen to run in.
//! Bytes that an asynchronous copy is on its way to have a tag of their own: nobody may touch them.
//!
//! Tag: interval (10 bits), "several readers" (1 bit), warp (5 bits). Interval 0 is never the current one.

/// A tag with its "several readers" bit.
const SEVERAL: u16 = 0x20;
/// The interval that marks a copy in flight.
const IN_FLIGHT: u16 = 1023;
const LAST_INTERVAL: u16 = 1022;

/// What was found on a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Read after another warp's write.
    ReadAfterWrite,
    /// Write after another warp's read.
    WriteAfterRead,
    /// Write after another warp's write.
    WriteAfterWrite,
    /// Access to bytes that an asynchronous copy is still writing.
    InFlight,
}

/// A conflict, its first byte, and the other warp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) conflict: Conflict,
    pub(crate) at: usize,
    pub(crate) other: u32,
}

/// Tags of a block's shared memory.
#[derive(Debug, Default)]
pub(crate) struct Race {
    writes: Vec<u16>,
    reads: Vec<u16>,
    interval: u16,
    enabled: bool,
}

impl Race {
    /// For a new block of `bytes` of shared memory.
    pub(crate) fn reset(&mut self, bytes: usize) {
        if self.writes.len() != bytes || self.interval >= LAST_INTERVAL {
            self.forget(bytes);
        } else {
            // Copies that the last block never waited for.
            self.interval += 1;
            self.writes.iter_mut().for_each(|tag| *tag = if *tag >> 6 == IN_FLIGHT { 0 } else { *tag });
        }
        self.enabled = true;
    }

    fn forget(&mut self, bytes: usize) {
        self.writes.clear();
        self.writes.resize(bytes, 0);
        self.reads.clear();
        self.reads.resize(bytes, 0);
        self.interval = 1;
    }

    /// All warps have met at a barrier: what came before is ordered before what comes after.
    pub(crate) fn barrier(&mut self) {
        if self.interval < LAST_INTERVAL {
            self.interval += 1;
            return;
        }
        for tag in &mut self.writes {
            *tag = if *tag >> 6 == IN_FLIGHT { *tag } else { 0 };
        }
        self.reads.fill(0);
        self.interval = 1;
    }

    /// The block orders its warps in a way that intervals do not describe: nothing more is reported.
    pub(crate) fn give_up(&mut self) {
        self.enabled = false;
    }

    #[inline(always)]
    fn tag(&self, warp: u32) -> u16 {
        self.interval << 6 | warp as u16
    }

    /// Warp `warp` reads `len` bytes at `at`.
    #[inline(always)]
    pub(crate) fn read(&mut self, at: usize, len: usize, warp: u32) -> Option<Found> {
        if !self.enabled {
            return None;
        }
        let own = self.tag(warp);
        let mut bad = 0_u16;
        for tag in &self.writes[at..at + len] {
            // Same interval and another warp, or in flight.
            bad |= u16::from((tag ^ own).wrapping_sub(1) < 31) | u16::from(*tag >= IN_FLIGHT << 6);
        }
        for tag in &mut self.reads[at..at + len] {
            let difference = *tag ^ own;
            let others = if difference & 0x1F == 0 { *tag & SEVERAL } else { SEVERAL };
            *tag = own | if difference >> 6 == 0 { others } else { 0 };
        }
        if bad == 0 { None } else { self.explain(at, len, own, false) }
    }

    /// Warp `warp` writes `len` bytes at `at`.
    #[inline(always)]
    pub(crate) fn write(&mut self, at: usize, len: usize, warp: u32) -> Option<Found> {
        if !self.enabled {
            return None;
        }
        let own = self.tag(warp);
        let mut bad = 0_u16;
        for (tag, reader) in self.writes[at..at + len].iter().zip(&self.reads[at..at + len]) {
            bad |= u16::from((tag ^ own).wrapping_sub(1) < 31) | u16::from(*tag >= IN_FLIGHT << 6);
            bad |= u16::from((reader ^ own).wrapping_sub(1) < 63);
        }
        let found = if bad == 0 { None } else { self.explain(at, len, own, true) };
        self.writes[at..at + len].fill(own);
        found
    }

    /// Warp `warp` sends a copy to `len` bytes at `at`: a write from now until it lands.
    #[inline(always)]
    pub(crate) fn issue(&mut self, at: usize, len: usize, warp: u32) -> Option<Found> {
        let found = self.write(at, len, warp);
        self.writes[at..at + len].fill(IN_FLIGHT << 6 | warp as u16);
        found
    }

    /// A copy on its way to `len` bytes at `at`.
    pub(crate) fn in_flight(&self, at: usize, len: usize) -> Option<Found> {
        let hit = |index: &usize| self.enabled && self.writes[*index] >> 6 == IN_FLIGHT;
        let at = (at..at + len).find(hit)?;
        Some(Found { conflict: Conflict::InFlight, at, other: u32::from(self.writes[at] & 0x1F) })
    }

    /// The copy of warp `warp` has landed.
    #[inline(always)]
    pub(crate) fn land(&mut self, at: usize, len: usize, warp: u32) {
        let own = self.tag(warp);
        self.writes[at..at + len].fill(own);
    }

    #[cold]
    fn explain(&self, at: usize, len: usize, own: u16, write: bool) -> Option<Found> {
        for index in at..at + len {
            let (tag, reader) = (self.writes[index], self.reads[index]);
            let conflict = if tag >> 6 == IN_FLIGHT {
                Conflict::InFlight
            } else if (tag ^ own).wrapping_sub(1) < 31 {
                if write { Conflict::WriteAfterWrite } else { Conflict::ReadAfterWrite }
            } else if write && (reader ^ own).wrapping_sub(1) < 63 {
                let other = u32::from(reader & 0x1F);
                return Some(Found { conflict: Conflict::WriteAfterRead, at: index, other });
            } else {
                continue;
            };
            return Some(Found { conflict, at: index, other: u32::from(tag & 0x1F) });
        }
        None
    }
}
