//! Findings that do not stop a launch, each once.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::context::Context;
use crate::fault::{Fault, FaultKind, Severity};

/// What a worker, or a launch, has found that does no harm.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Kind and places that are noted already: most findings come again and again.
    seen: FxHashSet<(FaultKind, usize, usize)>,
    /// By line, line of the other side and kind; the one of the lowest block.
    notes: BTreeMap<(u32, u32, &'static str), Fault>,
}

impl Notes {
    fn add(&mut self, fault: Fault) {
        let other = fault.other.as_ref().map_or(0, |other| other.ptx_line);
        let number = |fault: &Fault| [fault.block[2], fault.block[1], fault.block[0]];
        let entry = self.notes.entry((fault.ptx_line, other, fault.kind.name()));
        let kept = entry.or_insert_with(|| fault.clone());
        if number(&fault) < number(kept) {
            *kept = fault;
        }
    }

    /// Takes what another worker has found.
    pub(super) fn merge(&mut self, other: &mut Self) {
        std::mem::take(&mut other.notes).into_values().for_each(|fault| self.add(fault));
    }

    /// All of them, in the order of the lines.
    pub(super) fn into_list(self) -> Vec<Fault> {
        self.notes.into_values().collect()
    }
}

impl Context<'_> {
    /// Notes a finding of `kind` between the places `pc` and `other_pc` of the code. A worker's blocks come in
    /// ascending order, so that the first of its kind is that of its lowest block.
    pub(crate) fn note(
        &mut self,
        (kind, pc, other_pc): (FaultKind, usize, usize),
        severity: Severity,
        fault: impl FnOnce(&Self) -> Box<Fault>,
    ) {
        if self.notes.seen.insert((kind, pc, other_pc)) {
            let fault = Fault { severity, ..*fault(self) };
            self.notes.add(fault);
        }
    }
}
