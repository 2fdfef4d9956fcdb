//! The syntax tree: names and literals as the text has them.

/// A whole text.
#[derive(Debug, Default)]
pub(crate) struct Text<'a> {
    pub(crate) target: &'a str,
    pub(crate) address_size: u32,
    /// `.file` numbers and names.
    pub(crate) files: Vec<(u32, &'a str)>,
    pub(crate) variables: Vec<Variable<'a>>,
    pub(crate) functions: Vec<Function<'a>>,
    /// `.alias`: other names of functions, and what they stand for.
    pub(crate) aliases: Vec<(&'a str, &'a str)>,
}

impl<'a> Text<'a> {
    /// The function that `name` stands for.
    pub(crate) fn resolve<'n>(&self, name: &'n str) -> &'n str
    where
        'a: 'n,
    {
        self.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, function)| function)
    }
}

/// A state space of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// A fundamental type, as its word (`b32`, `f16x2`, `pred`).
pub(crate) type TypeName<'a> = &'a str;

/// A variable or a parameter.
#[derive(Clone, Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) line: u32,
    pub(crate) name: &'a str,
    pub(crate) space: Space,
    pub(crate) external: bool,
    pub(crate) element: TypeName<'a>,
    /// Elements of a vector type (`.v4`), else 1.
    pub(crate) vector: u32,
    /// Dimensions; empty for a scalar. A dimension of 0 is one left open (`[]`).
    pub(crate) dims: Vec<u64>,
    /// `.align`, or 0 for the natural one.
    pub(crate) align: u64,
    pub(crate) init: Vec<Literal<'a>>,
}

/// A value in an initialiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Literal<'a> {
    Integer(i128),
    Float32(u32),
    Float64(u64),
    /// The address of a variable and an offset in bytes.
    Symbol(&'a str, i64),
}

/// An `.entry` or a `.func`.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) line: u32,
    pub(crate) name: &'a str,
    pub(crate) entry: bool,
    pub(crate) results: Vec<Formal<'a>>,
    pub(crate) params: Vec<Formal<'a>>,
    /// `.maxntid` and its like: word and values.
    pub(crate) tuning: Vec<(u32, &'a str, Vec<u64>)>,
    /// `None` for a declaration.
    pub(crate) body: Option<Vec<Statement<'a>>>,
}

/// A formal parameter: a `.param` variable, or a register of a `.func`.
#[derive(Clone, Debug)]
pub(crate) enum Formal<'a> {
    Variable(Variable<'a>),
    Register(Registers<'a>),
}

/// `.reg .b32 %r<8>` (count 8) or `.reg .b32 %a` (count `None`).
#[derive(Clone, Debug)]
pub(crate) struct Registers<'a> {
    pub(crate) line: u32,
    pub(crate) element: TypeName<'a>,
    pub(crate) name: &'a str,
    pub(crate) count: Option<u32>,
}

/// What a body consists of.
#[derive(Debug)]
pub(crate) enum Statement<'a> {
    Registers(Registers<'a>),
    Variable(Variable<'a>),
    Label(u32, &'a str),
    /// `.loc`: file number, line.
    Location(u32, u32),
    Instruction(Instruction<'a>),
    Scope(Vec<Statement<'a>>),
    /// `label: .branchtargets a, b, c;`
    BranchTargets(u32, Vec<&'a str>),
    /// `label: .calltargets f, g;`
    CallTargets(Vec<&'a str>),
    /// `label: .callprototype (results) _ (params);`
    CallPrototype(Vec<Formal<'a>>, Vec<Formal<'a>>),
}

/// One instruction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction<'a> {
    pub(crate) line: u32,
    /// `@p` (false) or `@!p` (true).
    pub(crate) guard: Option<(&'a str, bool)>,
    /// The whole mnemonic.
    pub(crate) mnemonic: &'a str,
    pub(crate) operands: Vec<Operand<'a>>,
    /// The statement as the text has it.
    pub(crate) text: &'a str,
}

/// An operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    /// A register, special register, symbol or label.
    Name(&'a str),
    /// A symbol with an offset.
    NameOffset(&'a str, i64),
    /// `!p`.
    Not(&'a str),
    /// `p|q`.
    Pair(&'a str, &'a str),
    Integer(i128),
    Float32(u32),
    Float64(u64),
    Address(Address<'a>),
    /// `[map, {x, y}]`: a tensor map and coordinates.
    Tensor(Address<'a>, Vec<Operand<'a>>),
    Vector(Vec<Operand<'a>>),
    /// `(a, b)` of a call.
    List(Vec<Operand<'a>>),
}

/// `[base+offset]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Address<'a> {
    /// A register or symbol; `None` for an absolute address.
    pub(crate) base: Option<&'a str>,
    pub(crate) offset: i64,
}
