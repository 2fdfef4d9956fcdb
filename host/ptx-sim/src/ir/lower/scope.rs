//! Names: registers, variables, parameters and labels, innermost scope first.

use rustc_hash::FxHashMap;

use crate::ir::op::Reg;
use crate::ir::types::Type;

/// Where a variable lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Index of a module variable.
    Global(usize),
    /// First byte in the block's window.
    Shared(u32),
    /// First byte of dynamic shared memory, known at the end.
    DynamicShared,
    /// First byte in the thread's local memory.
    Local(u32),
    /// First byte in the kernel's parameter block.
    Param(u32),
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Symbol {
    Register(Reg, Type),
    Place(Place),
    Label(u32),
    /// Index into the kernel's branch tables.
    Table(u32),
    /// Index into the lists of what calls through pointers may mean.
    Callees(u32),
}

#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    names: FxHashMap<&'a str, Symbol>,
    /// `%r<8>`: prefix, type, number.
    families: FxHashMap<&'a str, (Type, u32)>,
}

/// The scopes of a function, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Scopes<'a> {
    open: Vec<Scope<'a>>,
}

impl<'a> Scopes<'a> {
    pub(crate) fn enter(&mut self) {
        self.open.push(Scope::default());
    }

    pub(crate) fn leave(&mut self) {
        self.open.pop();
    }

    /// Names a thing in the innermost scope; `false` if the name is taken there.
    pub(crate) fn define(&mut self, name: &'a str, symbol: Symbol) -> bool {
        let Some(scope) = self.open.last_mut() else { return false };
        scope.names.insert(name, symbol).is_none()
    }

    /// Declares `%r0` to `%r(count-1)` in the innermost scope.
    pub(crate) fn define_family(&mut self, prefix: &'a str, ty: Type, count: u32) -> bool {
        let Some(scope) = self.open.last_mut() else { return false };
        scope.families.insert(prefix, (ty, count)).is_none()
    }

    /// What `name` stands for. A register of a family gets its number from `fresh` when it is first named.
    pub(crate) fn find(&mut self, name: &'a str, mut fresh: impl FnMut(Type) -> Reg) -> Option<Symbol> {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        for scope in self.open.iter_mut().rev() {
            if let Some(symbol) = scope.names.get(name) {
                return Some(*symbol);
            }
            // `%rd12` may be number 12 of `%rd` or number 2 of `%rd1`.
            for split in (name.len() - digits)..name.len() {
                let Some((ty, count)) = scope.families.get(&name[..split]) else { continue };
                let Ok(number) = name[split..].parse::<u32>() else { continue };
                let canonical = name.len() - split == 1 || !name[split..].starts_with('0');
                if number < *count && canonical {
                    let symbol = Symbol::Register(fresh(*ty), *ty);
                    scope.names.insert(name, symbol);
                    return Some(symbol);
                }
            }
        }
        None
    }
}
