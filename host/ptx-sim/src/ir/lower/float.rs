//! Floating-point arithmetic.

use super::Lowerer;
use super::convert::ROUNDS;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::{Float1, Float2, FloatMode, FloatTest, Op};
use crate::ir::types::{FloatKind, Round, Type};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn float(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "add" | "sub" | "mul" => {
                let round = mods.maybe(&ROUNDS).unwrap_or_default();
                let mode = FloatMode { round, ..mode(mods) };
                let op = match name {
                    "add" => Float2::Add,
                    "sub" => Float2::Sub,
                    _ => Float2::Mul,
                };
                self.float2(op, mode, mods, operands)?;
            }
            "div" => {
                // The approximate forms may differ by 2 ulp on a GPU; here they are exact.
                let round = self.approximate_or_round(mods, &["approx", "full"])?;
                let mode = FloatMode { round, ..mode(mods) };
                self.float2(Float2::Div, mode, mods, operands)?;
            }
            "min" | "max" => {
                let mode = mode(mods);
                let nan = mods.take("NaN");
                let signs = mods.take("xorsign");
                if mods.take("abs") != signs {
                    return mods.error(".xorsign and .abs come together");
                }
                let op = match (name, nan, signs) {
                    ("min", false, false) => Float2::Min,
                    ("min", false, true) => Float2::MinSigns,
                    ("min", true, false) => Float2::MinNan,
                    ("min", true, true) => Float2::MinNanSigns,
                    (_, false, false) => Float2::Max,
                    (_, false, true) => Float2::MaxSigns,
                    (_, true, false) => Float2::MaxNan,
                    (_, true, true) => Float2::MaxNanSigns,
                };
                self.float2(op, mode, mods, operands)?;
            }
            "copysign" => self.float2(Float2::CopySign, FloatMode::default(), mods, operands)?,
            "fma" | "mad" => {
                // Unlike add and mul, these have no default rounding.
                let round = self.needs_round(mods)?;
                let oob = mods.take("oob");
                let mode = FloatMode { round, oob, relu: mods.take("relu"), ..mode(mods) };
                let ty = mods.ty()?;
                if name == "mad" && ty.bytes() < 4 {
                    return mods.error("the type has to be .f32 or .f64");
                }
                let Some(kind) = FloatKind::of(ty) else { return mods.error("a floating-point type is needed") };
                self.check_mode(mods, kind, mode)?;
                let [d, a, b, c] = self.four(operands, [ty; 4])?;
                self.emit(Op::Fma { kind, mode, d, a, b, c });
            }
            "neg" | "abs" => {
                let mode = mode(mods);
                self.float1(if name == "neg" { Float1::Neg } else { Float1::Abs }, mode, mods, operands)?;
            }
            "sqrt" | "rcp" => {
                if name == "rcp" && mods.has("approx") && mods.peek_type() == Some(Type::F64) {
                    return self.gross(Float1::RcpGross, mods, operands);
                }
                let round = self.approximate_or_round(mods, &["approx"])?;
                let mode = FloatMode { round, ..mode(mods) };
                self.float1(if name == "sqrt" { Float1::Sqrt } else { Float1::Rcp }, mode, mods, operands)?;
            }
            "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => {
                if !mods.take("approx") {
                    return mods.error(".approx is missing");
                }
                let op = match name {
                    "rsqrt" => Float1::Rsqrt,
                    "ex2" => Float1::Ex2,
                    "lg2" => Float1::Lg2,
                    "sin" => Float1::Sin,
                    "cos" => Float1::Cos,
                    _ => Float1::Tanh,
                };
                let mode = mode(mods);
                if op == Float1::Rsqrt && mode.flush && mods.peek_type() == Some(Type::F64) {
                    return self.gross(Float1::RsqrtGross, mods, operands);
                }
                self.float1(op, mode, mods, operands)?;
            }
            "testp" => {
                let test = mods.one_of(&[
                    ("finite", FloatTest::Finite),
                    ("infinite", FloatTest::Infinite),
                    ("number", FloatTest::Number),
                    ("notanumber", FloatTest::NotANumber),
                    ("normal", FloatTest::Normal),
                    ("subnormal", FloatTest::Subnormal),
                ])?;
                let ty = mods.ty()?;
                let Some(kind) = FloatKind::of(ty).filter(|_| ty.bytes() >= 4) else {
                    return mods.error("the type has to be .f32 or .f64");
                };
                self.count(operands, 2..=2)?;
                let (d, a) = (self.dst(&operands[0], Type::Pred)?, self.src(&operands[1], ty)?);
                self.emit(Op::TestFloat { kind, test, d, a });
            }
            _ => return Ok(false),
        }
        Ok(self.counts_as(Class::Float))
    }

    fn needs_round(&self, mods: &mut Mods<'_>) -> Result<Round> {
        mods.one_of(&ROUNDS)
    }

    /// One of the approximate forms, which f64 has none of, or a rounding.
    fn approximate_or_round(&self, mods: &mut Mods<'_>, forms: &[&str]) -> Result<Round> {
        if !forms.iter().any(|form| mods.take(form)) {
            return self.needs_round(mods);
        }
        if mods.peek_type() == Some(Type::F64) {
            return mods.error("the approximate forms are not supported with .f64");
        }
        Ok(Round::NearestEven)
    }

    /// The approximations of f64 that look at its upper word only.
    fn gross(&mut self, op: Float1, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        mods.take("approx");
        if op == Float1::RcpGross && !mods.take("ftz") {
            return mods.error(".ftz is missing");
        }
        let ty = mods.ty()?;
        self.count(operands, 2..=2)?;
        let (d, a) = (self.dst(&operands[0], ty)?, self.src(&operands[1], ty)?);
        self.emit(Op::Float1 { op, kind: FloatKind::F64, mode: FloatMode::default(), d, a });
        Ok(self.counts_as(Class::Float))
    }

    fn check_mode(&self, mods: &Mods<'_>, kind: FloatKind, mode: FloatMode) -> Result<()> {
        let half = !matches!(kind, FloatKind::F32 | FloatKind::F64);
        let flushes = !matches!(kind, FloatKind::F64 | FloatKind::BF16 | FloatKind::BF16x2);
        if half && mode.round != Round::NearestEven {
            return mods.error("16-bit types round by .rn only");
        }
        if mode.flush && (!flushes || mode.oob) {
            return mods.error(".ftz does not go with this type, or with .oob");
        }
        if mode.saturate && matches!(kind, FloatKind::F64 | FloatKind::BF16 | FloatKind::BF16x2) {
            return mods.error(".sat does not go with this type");
        }
        if (mode.relu || mode.oob) && (!half || mode.saturate) {
            return mods.error(".relu and .oob need a 16-bit type, and no .sat beside them");
        }
        Ok(())
    }

    fn float2(&mut self, op: Float2, mode: FloatMode, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let ty = mods.ty()?;
        let Some(kind) = FloatKind::of(ty) else { return mods.error("a floating-point type is needed") };
        let word = matches!(kind, FloatKind::F32 | FloatKind::F64);
        let refused = match op {
            Float2::Div | Float2::CopySign => !word,
            Float2::Add | Float2::Sub | Float2::Mul | Float2::Min | Float2::Max => false,
            _ => kind == FloatKind::F64,
        };
        if refused {
            return mods.error("this type is not supported");
        }
        if mode.saturate && !matches!(op, Float2::Add | Float2::Sub | Float2::Mul) {
            return mods.error(".sat is not supported here");
        }
        self.check_mode(mods, kind, mode)?;
        self.count(operands, 3..=3)?;
        let d = self.dst(&operands[0], ty)?;
        let (a, b) = (self.src(&operands[1], ty)?, self.src(&operands[2], ty)?);
        self.emit(Op::Float2 { op, kind, mode, d, a, b });
        Ok(())
    }

    fn float1(&mut self, op: Float1, mode: FloatMode, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let ty = mods.ty()?;
        let Some(kind) = FloatKind::of(ty) else { return mods.error("a floating-point type is needed") };
        let fits = match op {
            Float1::Neg | Float1::Abs => true,
            Float1::Sqrt | Float1::Rcp | Float1::Rsqrt => matches!(kind, FloatKind::F32 | FloatKind::F64),
            Float1::Ex2 | Float1::Tanh => kind != FloatKind::F64,
            Float1::Lg2 | Float1::Sin | Float1::Cos => kind == FloatKind::F32,
            Float1::RcpGross | Float1::RsqrtGross => kind == FloatKind::F64,
        };
        // The table of ex2 for bf16 flushes and says so; the other approximations of 16 bits do not flush.
        let brain = matches!(kind, FloatKind::BF16 | FloatKind::BF16x2);
        let half = brain || matches!(kind, FloatKind::F16 | FloatKind::F16x2);
        if half && matches!(op, Float1::Ex2 | Float1::Tanh) {
            if mode.flush != (brain && op == Float1::Ex2) {
                return mods.error(".ftz is needed for ex2 of bf16, and refused for the others");
            }
            self.count(operands, 2..=2)?;
            let (d, a) = (self.dst(&operands[0], ty)?, self.src(&operands[1], ty)?);
            self.emit(Op::Float1 { op, kind, mode, d, a });
            return Ok(());
        }
        if op == Float1::Tanh && mode.flush {
            return mods.error(".ftz does not go with tanh");
        }
        if !fits || mode.saturate {
            return mods.error("this type or .sat is not supported here");
        }
        self.check_mode(mods, kind, mode)?;
        self.count(operands, 2..=2)?;
        let (d, a) = (self.dst(&operands[0], ty)?, self.src(&operands[1], ty)?);
        self.emit(Op::Float1 { op, kind, mode, d, a });
        Ok(())
    }
}

fn mode(mods: &mut Mods<'_>) -> FloatMode {
    FloatMode { flush: mods.take("ftz"), saturate: mods.take("sat"), ..FloatMode::default() }
}
