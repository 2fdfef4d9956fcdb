//! Registers that may be read before they are written, and the operations that watch them.
//!
//! A thread's registers hold nothing when it starts. Data flow proves for nearly all of them that no path reads
//! them first, and these cost nothing. Each of the others gets a predicate that says in which lanes it is
//! defined: false at the entry, set with every write, looked at before every read ([`Op::Defined`]).
//!
//! Moves hand an undefined value on and are no reads yet: compilers make them where paths meet or vectors are
//! put together, for values that nobody looks at afterwards. So do shuffles, lane by lane: where one lane has
//! a value for all, the others have nothing in the register.

use std::collections::HashMap;

use super::liveness::{Liveness, Numbering};
use super::lower::Lowered;
use super::matrix::{Matrix, Scale};
use super::op::{Guard, List, Op, Reg};
use super::types::{File, Logic};
use super::visit::{Role, visit};
use super::{Inst, Origin};

/// The registers that `inst` reads and writes, constants left out.
fn uses(inst: &Inst, pool: &mut [Reg], numbering: &Numbering) -> (Vec<usize>, Vec<usize>) {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let mut inst = *inst;
    visit(&mut inst, pool, |reg, file, role| {
        let list = match role {
            Role::Read => &mut reads,
            Role::Write | Role::Update => &mut writes,
            Role::Keep => return,
        };
        list.extend(numbering.of(*reg, file));
    });
    (reads, writes)
}

/// Whether an operation only hands values on.
fn moves(op: &Op) -> bool {
    use Op::{Mov, Pack, PredMov, Select, Shuffle, Unpack};
    matches!(op, Mov { .. } | Pack { .. } | Unpack { .. } | Select { .. } | PredMov { .. } | Shuffle { .. })
}

/// The code with its watching operations while it is put together.
struct Watch<'l> {
    lowered: &'l mut Lowered,
    numbering: Numbering,
    /// The predicate of each register that is watched.
    defined: HashMap<usize, Reg>,
    names: Vec<String>,
    code: Vec<Inst>,
    origins: Vec<Origin>,
}

/// Puts the watching operations into laid-out code. Returns the names that [`Op::Defined`] has numbers of, and where
/// registers are alive if there was nothing to watch: the code is then what it was.
pub(super) fn instrument(lowered: &mut Lowered) -> (Vec<String>, Option<Liveness>) {
    let numbering = Numbering::new(lowered);
    let liveness = Liveness::new(lowered, &numbering);
    let mut list: Vec<usize> = liveness.at_entry.members().collect();
    if list.is_empty() {
        return (Vec::new(), Some(liveness));
    }
    let mut watched = liveness.at_entry;
    // What a watched register may be moved to has to be watched too.
    let mut changed = true;
    while changed {
        changed = false;
        for inst in lowered.code.iter().filter(|inst| moves(&inst.op)) {
            let (reads, writes) = uses(inst, &mut lowered.pool, &numbering);
            if reads.iter().any(|number| watched.contains(*number)) {
                for number in writes.into_iter().filter(|number| !watched.contains(*number)).collect::<Vec<_>>() {
                    watched.insert(number);
                    list.push(number);
                    changed = true;
                }
            }
        }
    }
    let mut watch =
        Watch { lowered, numbering, defined: HashMap::new(), names: Vec::new(), code: Vec::new(), origins: Vec::new() };
    for number in list {
        let predicate = watch.fresh();
        watch.defined.insert(number, predicate);
    }
    watch.run();
    (watch.names, None)
}

impl Watch<'_> {
    fn fresh(&mut self) -> Reg {
        let next = &mut self.lowered.registers[File::Pred as usize];
        *next += 1;
        Reg(*next - 1)
    }

    /// Puts `op` in front of the operation that stood at `at`.
    fn put(&mut self, at: usize, op: Op, guard: Guard) {
        self.code.push(Inst { op, guard });
        self.origins.push(Origin { class: None, ..self.lowered.origins[at].clone() });
    }

    fn run(&mut self) {
        let mut predicates: Vec<Reg> = self.defined.values().copied().collect();
        predicates.sort_unstable_by_key(|reg| reg.0);
        for d in predicates {
            self.put(0, Op::PredConst { d, value: false }, Guard::ALWAYS);
        }
        let mut places = Vec::with_capacity(self.lowered.code.len());
        for at in 0..self.lowered.code.len() {
            places.push(self.code.len() as u32);
            let mut inst = self.lowered.code[at];
            self.watch(at, &mut inst);
            self.code.push(inst);
            self.origins.push(self.lowered.origins[at].clone());
        }
        for inst in &mut self.code {
            if let Op::Jump { target } | Op::Branch { target } = &mut inst.op {
                *target = places[*target as usize];
            }
        }
        for table in &mut self.lowered.tables {
            table.iter_mut().for_each(|target| *target = places[*target as usize]);
        }
        self.lowered.code = std::mem::take(&mut self.code);
        self.lowered.origins = std::mem::take(&mut self.origins);
    }

    /// What goes in front of `inst`. Its writes are noted before it runs: nothing comes in between.
    fn watch(&mut self, at: usize, inst: &mut Inst) {
        let (mut reads, writes) = uses(inst, &mut self.lowered.pool, &self.numbering);
        let guard = self.numbering.of(inst.guard.pred, File::Pred);
        if let Some(guard) = guard {
            // Every lane reads the guard, and only then knows whether it reads the rest.
            self.check(at, guard, Guard::ALWAYS);
        }
        if let Op::Select { d, a, b, p, wide } = inst.op {
            let file = if wide { File::W64 } else { File::W32 };
            return self.select(at, inst.guard, [d, a, b].map(|reg| self.numbering.of(reg, file)), p);
        }
        if let Op::Shuffle { d, p, a, b, c, mask, defined, .. } = &mut inst.op {
            let [source, result] = [*a, *d].map(|reg| self.numbering.of(reg, File::W32));
            let source = source.and_then(|number| self.defined.get(&number).copied());
            let result = result.and_then(|number| self.defined.get(&number).copied());
            if let (Some(source), Some(result)) = (source, result) {
                *defined = [source, result];
            }
            let (p, others) = (*p, [*b, *c, *mask]);
            let others = others.map(|reg| self.numbering.of(reg, File::W32));
            others.into_iter().flatten().for_each(|number| self.check(at, number, inst.guard));
            let fits = self.numbering.of(p, File::Pred).and_then(|number| self.defined.get(&number).copied());
            for d in fits.into_iter().chain(result.filter(|_| source.is_none())) {
                self.put(at, Op::PredConst { d, value: true }, inst.guard);
            }
            return;
        }
        if let Op::Matrix(Matrix::Asynchronous { product, regs, scale, .. }) = inst.op {
            let d = List { len: product.registers()[0] as u32, ..regs };
            self.accumulators(at, inst.guard, d, scale);
        }
        reads.sort_unstable();
        reads.dedup();
        let handed_on = moves(&inst.op);
        if !handed_on {
            for number in reads.iter().filter(|number| Some(**number) != guard) {
                self.check(at, *number, inst.guard);
            }
        }
        let value = reads.iter().filter_map(|number| self.defined.get(number).copied()).collect::<Vec<_>>();
        for d in writes.iter().filter_map(|number| self.defined.get(number).copied()).collect::<Vec<_>>() {
            match value[..] {
                [first, ref rest @ ..] if handed_on => {
                    self.put(at, Op::PredMov { d, a: first, negated: false }, inst.guard);
                    for b in rest {
                        self.put(at, Op::PredLogic { op: Logic::And, d, a: d, b: *b }, inst.guard);
                    }
                }
                _ => self.put(at, Op::PredConst { d, value: true }, inst.guard),
            }
        }
    }

    /// Looks at the register of that number, where it is watched.
    fn check(&mut self, at: usize, number: usize, guard: Guard) {
        let Some(p) = self.defined.get(&number).copied() else { return };
        let (reg, file) = self.numbering.register(number);
        let name = self.lowered.names.get(&(file, reg.0)).cloned();
        let name = name.unwrap_or_else(|| "of an intermediate result".to_owned());
        let index = self.names.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        self.put(at, Op::Defined { p, name: index as u32 }, guard);
    }

    /// Accumulators are read only where the product is added to them.
    fn accumulators(&mut self, at: usize, guard: Guard, d: List, scale: Scale) {
        let regs = &self.lowered.pool[d.start as usize..(d.start + d.len) as usize];
        let numbers = regs.iter().filter_map(|reg| self.numbering.of(*reg, File::W32));
        let watched: Vec<usize> = numbers.filter(|number| self.defined.contains_key(number)).collect();
        if watched.is_empty() || scale == Scale::Never {
            return;
        }
        let mut added = guard;
        if let Scale::Where(p, negated) = scale {
            let chosen = self.fresh();
            self.put(at, Op::PredMov { d: chosen, a: p, negated }, Guard::ALWAYS);
            if guard != Guard::ALWAYS {
                let runs = self.fresh();
                self.put(at, Op::PredMov { d: runs, a: guard.pred, negated: guard.negated }, Guard::ALWAYS);
                self.put(at, Op::PredLogic { op: Logic::And, d: chosen, a: chosen, b: runs }, Guard::ALWAYS);
            }
            added = Guard { pred: chosen, negated: false };
        }
        watched.into_iter().for_each(|number| self.check(at, number, added));
    }

    /// A selection hands on the one value that it takes.
    fn select(&mut self, at: usize, guard: Guard, [d, a, b]: [Option<usize>; 3], p: Reg) {
        if let Some(number) = self.numbering.of(p, File::Pred) {
            self.check(at, number, guard);
        }
        let Some(d) = d.and_then(|number| self.defined.get(&number).copied()) else { return };
        let sides = [a, b].map(|side| side.and_then(|number| self.defined.get(&number).copied()));
        let [taken, other] = sides.map(|side| (side, self.fresh()));
        for ((side, chosen), negated) in [(taken, false), (other, true)] {
            self.put(at, Op::PredMov { d: chosen, a: p, negated }, guard);
            if let Some(side) = side {
                self.put(at, Op::PredLogic { op: Logic::And, d: chosen, a: chosen, b: side }, guard);
            }
        }
        self.put(at, Op::PredLogic { op: Logic::Or, d, a: taken.1, b: other.1 }, guard);
    }
}
