//! `atom` and `red`.

use super::Lowerer;
use super::memory::{SCOPES, class_of};
use super::mods::Mods;
use crate::ir::atomics::AtomicPair;
use crate::ir::op::{Addr, Atomic, MemoryOrder, Op, Reg};
use crate::ir::types::{Space, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

const OPERATIONS: [(&str, Atomic); 10] = [
    ("add", Atomic::Add),
    ("min", Atomic::Min),
    ("max", Atomic::Max),
    ("and", Atomic::And),
    ("or", Atomic::Or),
    ("xor", Atomic::Xor),
    ("exch", Atomic::Exch),
    ("cas", Atomic::Cas),
    ("inc", Atomic::Inc),
    ("dec", Atomic::Dec),
];

/// What the mnemonic of one statement says.
#[derive(Clone, Copy)]
struct Form {
    op: Atomic,
    ty: Type,
    /// Elements of a vector; 0 for a single value.
    vector: usize,
    space: Space,
    order: MemoryOrder,
    returns: bool,
    policy: bool,
}

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn atomic(&mut self, returns: bool, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let form = self.atomic_form(returns, mods)?;
        let first = usize::from(returns);
        let extra = usize::from(form.op == Atomic::Cas);
        let wanted = first + 2 + extra + usize::from(form.policy);
        self.count(operands, wanted..=wanted)?;
        if form.policy {
            self.src(&operands[wanted - 1], Type::B64)?;
        }
        let (addr, space) = self.address(&operands[first], form.space)?;
        let form = Form { space, ..form };
        // Sums of floats, exchanges and returned values show the order of the blocks; integer sums do not.
        self.order_matters |= !matches!(space, Space::Shared | Space::Cluster) && (returns || form.ty.is_float());
        self.class = class_of(space);
        if form.ty == Type::B128 {
            return self.atomic_pair(form, addr, operands);
        }
        if form.vector > 0 {
            return self.atomic_vector(form, addr, operands);
        }
        let Form { op, ty, order, .. } = form;
        let d = if returns { self.dst(&operands[0], ty)? } else { Reg::NONE };
        let b = self.src(&operands[first + 1], ty)?;
        let c = if extra == 1 { self.src(&operands[first + 2], ty)? } else { Reg::NONE };
        self.emit(Op::Atomic { op, ty, align: ty.bytes() as u8, space, order, d, addr, b, c });
        Ok(())
    }

    fn atomic_form(&self, returns: bool, mods: &mut Mods<'_>) -> Result<Form> {
        // What returns nothing cannot acquire.
        let order = |acquire, release| MemoryOrder { acquire, release, ..MemoryOrder::ATOMIC };
        let orders = [
            ("relaxed", order(false, false)),
            ("release", order(false, true)),
            ("acquire", order(true, false)),
            ("acq_rel", order(true, true)),
        ];
        let mut order = mods.maybe(if returns { &orders[..] } else { &orders[..2] }).unwrap_or(MemoryOrder::ATOMIC);
        order.scope = mods.maybe(&SCOPES).unwrap_or(order.scope);
        if mods.has("const") {
            return mods.error("constant memory cannot be written");
        }
        let (_, space) = self.space(mods);
        let op = mods.one_of(&OPERATIONS)?;
        let kept = mods.take("noftz");
        let policy = self.cache_policy(mods, space)?;
        let vector = mods.maybe(&[("v2", 2), ("v4", 4), ("v8", 8)]).unwrap_or(0);
        let ty = mods.ty()?;
        let half = matches!(ty, Type::F16 | Type::F16x2 | Type::BF16 | Type::BF16x2);
        let fits = match op {
            Atomic::Add => half || matches!(ty, Type::U32 | Type::S32 | Type::U64 | Type::F32 | Type::F64),
            Atomic::Min | Atomic::Max if vector > 0 => half,
            Atomic::Min | Atomic::Max => matches!(ty, Type::U32 | Type::S32 | Type::U64 | Type::S64),
            Atomic::Inc | Atomic::Dec => ty == Type::U32,
            Atomic::Cas => matches!(ty, Type::B16 | Type::B32 | Type::B64 | Type::B128),
            Atomic::Exch => matches!(ty, Type::B32 | Type::B64 | Type::B128),
            _ => matches!(ty, Type::B32 | Type::B64),
        };
        if !fits || (!returns && matches!(op, Atomic::Exch | Atomic::Cas)) {
            return mods.error("this operation does not go with this type");
        }
        if half != kept {
            return mods.error("16-bit floats need .noftz, other types refuse it");
        }
        if vector > 0 {
            self.needs(mods, 90)?;
            let most = if matches!(ty, Type::F16 | Type::BF16) { 8 } else { 4 };
            let global = matches!(space, Space::Global | Space::Generic);
            if !(half || ty == Type::F32) || vector > most || !global {
                return mods.error("vectors are for floats of at most 16 bytes in global memory");
            }
        }
        if ty == Type::B128 || matches!(ty, Type::BF16 | Type::BF16x2) {
            self.needs(mods, 90)?;
        }
        if !matches!(space, Space::Generic | Space::Global | Space::Shared | Space::Cluster) {
            return mods.error("this state space has no atomics");
        }
        Ok(Form { op, ty, vector, space, order, returns, policy })
    }

    /// Each element is an atomic operation of its own (PTX ISA 9.7.13.5); the vector is aligned as a whole.
    fn atomic_vector(&mut self, form: Form, addr: Addr, operands: &[Operand<'a>]) -> Result<()> {
        let Form { op, ty, vector, space, order, returns, .. } = form;
        let first = usize::from(returns);
        let sources = self.vector(&operands[first + 1], vector)?.to_vec();
        let sources = sources.iter().map(|item| self.src(item, ty)).collect::<Result<Vec<_>>>()?;
        let targets = if returns { self.vector(&operands[0], vector)?.to_vec() } else { Vec::new() };
        let targets = targets.iter().map(|item| self.dst(item, ty)).collect::<Result<Vec<_>>>()?;
        let mut olds = Vec::new();
        for (index, b) in sources.into_iter().enumerate() {
            let Some(offset) = addr.offset.checked_add(index as i32 * ty.bytes() as i32) else {
                return self.error("the offset does not fit 32 bits");
            };
            let align = if index == 0 { vector as u8 * ty.bytes() as u8 } else { ty.bytes() as u8 };
            // A result may be a source of a later element.
            let d = if returns { self.fresh(ty.file()) } else { Reg::NONE };
            let addr = Addr { offset, ..addr };
            self.emit(Op::Atomic { op, ty, align, space, order, d, addr, b, c: Reg::NONE });
            olds.push(d);
        }
        for (d, a) in targets.into_iter().zip(olds) {
            self.emit(Op::Mov { wide: false, d, a });
        }
        Ok(())
    }

    fn atomic_pair(&mut self, form: Form, addr: Addr, operands: &[Operand<'a>]) -> Result<()> {
        let cas = form.op == Atomic::Cas;
        let mut regs = Vec::new();
        regs.extend(self.register128(&operands[0])?);
        regs.extend(self.register128(&operands[2])?);
        if cas {
            regs.extend(self.register128(&operands[3])?);
        }
        let regs = self.list(&regs);
        self.emit(Op::AtomicPair(AtomicPair { cas, space: form.space, order: form.order, addr, regs }));
        Ok(())
    }
}
