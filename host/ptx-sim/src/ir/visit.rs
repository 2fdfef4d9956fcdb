//! The registers of an operation: the one place that knows which are read and which are written.

use super::Inst;
use super::asynchronous::Async;
use super::op::{Addr, List, Op, Reg};
use super::types::{File, FloatKind, IntKind, Type, Width};
use super::words::{MadCarry, WordOp};
use crate::ir::op::Convert;

/// How an operation uses a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Read,
    Write,
    /// May be read, and is written: the accumulators of a product that is told at run time whether to add.
    Update,
    /// Neither, but its value has to stay.
    Keep,
}

fn of_width(width: Width) -> File {
    if width == Width::W64 { File::W64 } else { File::W32 }
}

fn of_wide(wide: bool) -> File {
    if wide { File::W64 } else { File::W32 }
}

fn of_int(kind: IntKind) -> File {
    if matches!(kind, IntKind::S64 | IntKind::U64) { File::W64 } else { File::W32 }
}

fn of_float(kind: FloatKind) -> File {
    if kind == FloatKind::F64 { File::W64 } else { File::W32 }
}

pub(super) struct Visitor<'p, F> {
    pool: &'p mut [Reg],
    found: F,
}

impl<F: FnMut(&mut Reg, File, Role)> Visitor<'_, F> {
    pub(super) fn read<const N: usize>(&mut self, file: File, regs: [&mut Reg; N]) {
        for reg in regs {
            if !reg.is_none() {
                (self.found)(reg, file, Role::Read);
            }
        }
    }

    pub(super) fn write(&mut self, file: File, reg: &mut Reg) {
        if !reg.is_none() {
            (self.found)(reg, file, Role::Write);
        }
    }

    pub(super) fn list(&mut self, list: List, file: File, role: Role) {
        for reg in &mut self.pool[list.start as usize..(list.start + list.len) as usize] {
            (self.found)(reg, file, role);
        }
    }

    pub(super) fn addr(&mut self, addr: &mut Addr) {
        self.read(of_wide(addr.wide), [&mut addr.base]);
    }
}

impl<F: FnMut(&mut Reg, File, Role)> Visitor<'_, F> {
    fn asynchronous(&mut self, op: &mut Async) {
        use File::{Pred, W32, W64};
        match op {
            Async::BarrierInit { addr, count, .. } => {
                self.addr(addr);
                self.read(W32, [count]);
            }
            Async::BarrierInval { addr, .. } | Async::CopyArrive { addr, .. } => self.addr(addr),
            Async::BarrierBytes { addr, bytes, .. } => {
                self.addr(addr);
                self.read(W32, [bytes]);
            }
            Async::BarrierArrive { addr, d, count, bytes, .. } => {
                self.addr(addr);
                self.read(W32, [count, bytes]);
                self.write(W64, d);
            }
            Async::BarrierWait { how, addr, d, phase, .. } => {
                self.addr(addr);
                self.read(if how.parity { W32 } else { W64 }, [phase]);
                self.write(Pred, d);
            }
            Async::PendingCount { d, state } => {
                self.read(W64, [state]);
                self.write(W32, d);
            }
            Async::Bulk { target, source, bytes, bar, blocks, .. } => {
                self.read(W64, [target, source, bar]);
                self.read(W32, [bytes, blocks]);
            }
            Async::Tensor { map, coords, shared, bar, blocks, .. } => {
                self.read(W64, [map, shared, bar]);
                self.read(W32, [blocks]);
                self.list(*coords, W32, Role::Read);
            }
            Async::Store { ty, addr, regs, bar } => {
                self.addr(addr);
                self.read(W64, [bar]);
                self.list(*regs, ty.file(), Role::Read);
            }
            Async::Reduce { ty, addr, b, bar, .. } => {
                self.addr(addr);
                self.read(W64, [bar]);
                self.read(ty.file(), [b]);
            }
            Async::TensorAcquire { map } => self.read(W64, [map]),
            Async::TensorReplace { field, addr, value, .. } => {
                self.addr(addr);
                self.read(of_wide(field.wide()), [value]);
            }
            Async::TensorPublish { target, source } => {
                self.addr(target);
                self.addr(source);
            }
            Async::MapRank { wide, d, a, b, .. } => {
                self.read(of_wide(*wide), [a]);
                self.read(W32, [b]);
                self.write(of_wide(*wide), d);
            }
            Async::RankOf { wide, d, a, .. } => {
                self.read(of_wide(*wide), [a]);
                self.write(W32, d);
            }
            Async::BulkCommit
            | Async::BulkWait { .. }
            | Async::ProxyFence(_)
            | Async::ClusterArrive { .. }
            | Async::ClusterWait { .. } => {}
        }
    }
}

/// Calls `found` for every register of `inst`: those that are read first, then those that are written.
pub(crate) fn visit(inst: &mut Inst, pool: &mut [Reg], found: impl FnMut(&mut Reg, File, Role)) {
    use File::{Pred, W32, W64};
    let mut v = Visitor { pool, found };
    v.read(Pred, [&mut inst.guard.pred]);
    match &mut inst.op {
        Op::Int2 { width, d, a, b, .. } => {
            v.read(of_width(*width), [a, b]);
            v.write(of_width(*width), d);
        }
        Op::Int1 { width, d, a, .. } => {
            v.read(of_width(*width), [a]);
            v.write(of_width(*width), d);
        }
        Op::Count { width, d, a, .. } => {
            v.read(of_width(*width), [a]);
            v.write(W32, d);
        }
        Op::Shift { width, d, a, b, .. } => {
            v.read(of_width(*width), [a]);
            v.read(W32, [b]);
            v.write(of_width(*width), d);
        }
        Op::Mad { width, d, a, b, c, .. } => {
            v.read(of_width(*width), [a, b, c]);
            v.write(of_width(*width), d);
        }
        Op::MulWide { kind, d, a, b } => {
            v.read(W32, [a, b]);
            v.write(of_wide(matches!(kind, IntKind::S32 | IntKind::U32)), d);
        }
        Op::MadWide { kind, d, a, b, c } => {
            let file = of_wide(matches!(kind, IntKind::S32 | IntKind::U32));
            v.read(W32, [a, b]);
            v.read(file, [c]);
            v.write(file, d);
        }
        Op::Carry { width, d, a, b, .. } => {
            v.read(of_width(*width), [a, b]);
            v.write(of_width(*width), d);
        }
        Op::BitExtract { width, d, a, b, c, .. } => {
            v.read(of_width(*width), [a]);
            v.read(W32, [b, c]);
            v.write(of_width(*width), d);
        }
        Op::BitInsert { width, d, a, b, c, e } => {
            v.read(of_width(*width), [a, b]);
            v.read(W32, [c, e]);
            v.write(of_width(*width), d);
        }
        Op::Permute { d, a, b, c } | Op::Lop3 { d, a, b, c, .. } | Op::Funnel { d, a, b, c, .. } => {
            v.read(W32, [a, b, c]);
            v.write(W32, d);
        }
        Op::Dot4 { d, a, b, c, .. } => {
            v.read(W32, [a, b, c]);
            v.write(W32, d);
        }
        Op::Word(WordOp { d, a, b, c, .. }) => {
            v.read(W32, [a, b, c]);
            v.write(W32, d);
        }
        Op::MadCarry(MadCarry { wide, d, a, b, c, .. }) => {
            v.read(of_wide(*wide), [a, b, c]);
            v.write(of_wide(*wide), d);
        }
        Op::Sad { kind, d, a, b, c } => {
            v.read(of_int(*kind), [a, b, c]);
            v.write(of_int(*kind), d);
        }
        Op::Mov { wide, d, a } => {
            v.read(of_wide(*wide), [a]);
            v.write(of_wide(*wide), d);
        }
        Op::Pack { wide, d, parts, .. } => {
            v.list(*parts, W32, Role::Read);
            v.write(of_wide(*wide), d);
        }
        Op::Unpack { wide, parts, a, .. } => {
            v.read(of_wide(*wide), [a]);
            v.list(*parts, W32, Role::Write);
        }
        Op::Select { wide, d, a, b, p } => {
            v.read(of_wide(*wide), [a, b]);
            v.read(Pred, [p]);
            v.write(of_wide(*wide), d);
        }
        Op::Special { what, d } => v.write(of_wide(what.wide()), d),
        Op::ActiveMask { d } => v.write(W32, d),
        Op::PredConst { d, .. } => v.write(Pred, d),
        Op::PredMov { d, a, .. } => {
            v.read(Pred, [a]);
            v.write(Pred, d);
        }
        Op::PredLogic { d, a, b, .. } => {
            v.read(Pred, [a, b]);
            v.write(Pred, d);
        }
        Op::CompareInt { kind, d, a, b, .. } => {
            v.read(of_int(*kind), [a, b]);
            v.write(Pred, d);
        }
        Op::CompareFloat { kind, d, a, b, .. } => {
            v.read(of_float(*kind), [a, b]);
            v.write(Pred, d);
        }
        Op::TestFloat { kind, d, a, .. } => {
            v.read(of_float(*kind), [a]);
            v.write(Pred, d);
        }
        Op::Float2 { kind, d, a, b, .. } => {
            v.read(of_float(*kind), [a, b]);
            v.write(of_float(*kind), d);
        }
        Op::Float1 { kind, d, a, .. } => {
            v.read(of_float(*kind), [a]);
            v.write(of_float(*kind), d);
        }
        Op::Fma { kind, d, a, b, c, .. } => {
            v.read(of_float(*kind), [a, b, c]);
            v.write(of_float(*kind), d);
        }
        Op::Convert { how, reg, d, a } => {
            let (from, to) = convert_files(*how, *reg);
            v.read(from, [a]);
            v.write(to, d);
        }
        Op::Narrow(narrow) => narrow.visit(&mut v),
        Op::ToGeneric { d, a, .. } | Op::FromGeneric { d, a, .. } => {
            v.read(W64, [a]);
            v.write(W64, d);
        }
        Op::IsSpace { d, a, .. } => {
            v.read(W64, [a]);
            v.write(Pred, d);
        }
        Op::Load { access, regs, addr } => {
            v.addr(addr);
            v.list(*regs, of_width(access.reg), Role::Write);
        }
        Op::Store { access, regs, addr } => {
            v.addr(addr);
            v.list(*regs, of_width(access.reg), Role::Read);
        }
        Op::AtomicPair(op) => {
            v.addr(&mut op.addr);
            v.list(op.read(), W64, Role::Read);
            v.list(op.written(), W64, Role::Write);
        }
        Op::Atomic { ty, d, addr, b, c, .. } => {
            v.addr(addr);
            v.read(Type::file(*ty), [b, c]);
            v.write(Type::file(*ty), d);
        }
        Op::Shuffle { d, p, a, b, c, mask, defined: [source, result], .. } => {
            v.read(W32, [a, b, c, mask]);
            v.read(Pred, [source]);
            v.write(W32, d);
            v.write(Pred, p);
            v.write(Pred, result);
        }
        Op::Vote { op, d, p, mask, .. } => {
            v.read(Pred, [p]);
            v.read(W32, [mask]);
            v.write(if *op == super::op::Vote::Ballot { W32 } else { Pred }, d);
        }
        Op::Match { wide, d, p, a, mask, .. } => {
            v.read(of_wide(*wide), [a]);
            v.read(W32, [mask]);
            v.write(W32, d);
            v.write(Pred, p);
        }
        Op::Redux { d, a, mask, .. } => {
            v.read(W32, [a, mask]);
            v.write(W32, d);
        }
        Op::Elect { d, p, mask } => {
            v.read(W32, [mask]);
            v.write(W32, d);
            v.write(Pred, p);
        }
        Op::WarpSync { mask } => v.read(W32, [mask]),
        Op::Barrier { kind, id, count, d, p, .. } => {
            v.read(W32, [id, count]);
            v.read(Pred, [p]);
            v.write(if *kind == super::op::BarrierKind::RedPopc { W32 } else { Pred }, d);
        }
        Op::Matrix(matrix) => matrix.visit(&mut v),
        Op::CopyAsync { target, source, source_bytes, ignore, .. } => {
            v.addr(target);
            v.addr(source);
            v.read(W32, [source_bytes]);
            v.read(Pred, [ignore]);
        }
        Op::Async(op) => v.asynchronous(op),
        Op::Defined { p, .. } => v.read(Pred, [p]),
        Op::BranchTable { index, .. } => v.read(W32, [index]),
        Op::Fence { .. }
        | Op::Hint
        | Op::CopyCommit
        | Op::CopyWait { .. }
        | Op::Join
        | Op::Jump { .. }
        | Op::Branch { .. }
        | Op::Exit
        | Op::Trap => {}
    }
}

fn convert_files(how: Convert, reg: Width) -> (File, File) {
    match how {
        Convert::IntToInt { from, .. } => (from.file(), of_width(reg)),
        Convert::FloatToInt { from, .. } => (of_float(from), of_width(reg)),
        Convert::IntToFloat { from, to, .. } => (from.file(), of_float(to)),
        Convert::FloatToFloat { from, to, .. } => (of_float(from), of_float(to)),
    }
}
