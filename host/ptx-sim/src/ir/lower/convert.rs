//! `cvt` and `cvta`.

use super::Lowerer;
use super::mods::Mods;
use crate::counters::Class;
use crate::ir::op::{Convert, FloatMode, Op};
use crate::ir::types::{FloatKind, Round, Space, Type, Width};
use crate::ptx::Result;
use crate::ptx::ast::Operand;

const TO_INTEGER: [(&str, Round); 4] =
    [("rni", Round::NearestEven), ("rzi", Round::Zero), ("rmi", Round::Down), ("rpi", Round::Up)];
const TO_FLOAT: [(&str, Round); 4] =
    [("rn", Round::NearestEven), ("rz", Round::Zero), ("rm", Round::Down), ("rp", Round::Up)];

impl<'a> Lowerer<'_, 'a> {
    pub(super) fn convert(&mut self, name: &str, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<bool> {
        match name {
            "cvt" => self.cvt(mods, operands)?,
            "cvta" => self.cvta(mods, operands)?,
            "isspacep" => {
                // Constant memory lies among global memory here, so that nobody could tell them apart.
                if mods.has("const") {
                    return mods.error(".const is not supported here");
                }
                let space = mods.one_of(&SPACES)?;
                self.count(operands, 2..=2)?;
                let (d, a) = (self.dst(&operands[0], Type::Pred)?, self.src(&operands[1], Type::U64)?);
                self.emit(Op::IsSpace { space, d, a });
            }
            _ => return Ok(false),
        }
        Ok(self.counts_as(Class::Convert))
    }

    fn cvt(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        if self.narrow(mods, operands)? {
            return Ok(());
        }
        let to_integer = mods.maybe(&TO_INTEGER);
        let to_float = mods.maybe(&TO_FLOAT);
        let mode = FloatMode { flush: mods.take("ftz"), saturate: mods.take("sat"), relu: mods.take("relu") };
        let (to, from) = (mods.ty()?, mods.ty()?);
        self.check_modes(mods, to, from, mode)?;
        let how = self.conversion(mods, to, from, to_integer, to_float, mode)?;
        self.count(operands, 2..=2)?;
        let (d, declared) = self.wide_dst(&operands[0], to)?;
        if to.is_float() && declared.bytes() != to.bytes() {
            return mods.error("the result register has another width than the type");
        }
        let a = self.wide_src(&operands[1], from)?;
        let reg = declared.width().unwrap_or(Width::W16);
        self.emit(Op::Convert { how, reg, d, a });
        Ok(())
    }

    /// Refuses what would change nothing, or has no meaning together.
    fn check_modes(&self, mods: &Mods<'_>, to: Type, from: Type, mode: FloatMode) -> Result<()> {
        if matches!(from, Type::F16x2 | Type::BF16x2) {
            return mods.error("pairs cannot be converted");
        }
        if mode.flush && from != Type::F32 && to != Type::F32 {
            return mods.error(".ftz is for .f32");
        }
        if mode.saturate && (mode.relu || to == Type::BF16) {
            return mods.error(".sat does not go with .relu or .bf16");
        }
        Ok(())
    }

    fn conversion(
        &self,
        mods: &Mods<'_>,
        to: Type,
        from: Type,
        to_integer: Option<Round>,
        to_float: Option<Round>,
        mode: FloatMode,
    ) -> Result<Convert> {
        let plain = to_integer.is_none()
            && to_float.is_none()
            && mode == FloatMode { saturate: mode.saturate, ..FloatMode::default() };
        match (FloatKind::of(from), FloatKind::of(to)) {
            (None, None) if plain && from.is_integer() && to.is_integer() => {
                Ok(Convert::IntToInt { from, to, saturate: mode.saturate })
            }
            (Some(from), None) if to.is_integer() && to_float.is_none() && !mode.relu => match to_integer {
                // Out of range always clamps, so .sat changes nothing here.
                Some(round) => Ok(Convert::FloatToInt { from, to, round, flush: mode.flush }),
                None => mods.error("a rounding to an integer (.rni, .rzi, .rmi, .rpi) is missing"),
            },
            (None, Some(to)) if from.is_integer() && to_integer.is_none() && mode == FloatMode::default() => {
                let exact = from.bytes() <= 4 || matches!(to, FloatKind::F32 | FloatKind::F64);
                if to_float != Some(Round::NearestEven) || !exact {
                    return mods.error("only .rn is supported here, and for 64-bit integers only to .f32 and .f64");
                }
                Ok(Convert::IntToFloat { from, to })
            }
            (Some(from), Some(to)) => self.float_conversion(mods, to, from, to_integer, to_float, mode),
            _ => mods.error("this conversion is not supported"),
        }
    }

    fn float_conversion(
        &self,
        mods: &Mods<'_>,
        to: FloatKind,
        from: FloatKind,
        to_integer: Option<Round>,
        to_float: Option<Round>,
        mode: FloatMode,
    ) -> Result<Convert> {
        if from == to {
            if to_float.is_some() || mode.relu {
                return mods.error("this conversion is not supported");
            }
            return Ok(Convert::FloatToFloat { from, to, round: to_integer, integral: true, mode });
        }
        let narrows = match (from, to) {
            (FloatKind::F64, _) | (FloatKind::F32, FloatKind::F16 | FloatKind::BF16) => true,
            (_, FloatKind::F64) | (FloatKind::F16 | FloatKind::BF16, FloatKind::F32) => false,
            _ => return mods.error("this conversion is not supported"),
        };
        if to_integer.is_some() || narrows != to_float.is_some() {
            return mods.error("a conversion to a narrower type needs .rn or .rz, one to a wider type takes none");
        }
        if !matches!(to_float, None | Some(Round::NearestEven | Round::Zero)) {
            return mods.error("the roundings .rm and .rp are not supported here");
        }
        if mode.relu && !(narrows && from == FloatKind::F32) {
            return mods.error(".relu does not go with this conversion");
        }
        Ok(Convert::FloatToFloat { from, to, round: to_float, integral: false, mode })
    }

    fn cvta(&mut self, mods: &mut Mods<'_>, operands: &[Operand<'a>]) -> Result<()> {
        let from_generic = mods.take("to");
        let space = mods.one_of(&SPACES)?;
        let ty = mods.ty()?;
        // Modules have 64-bit addresses, and a generic one needs them all.
        if ty != Type::U64 {
            return mods.error("the type has to be .u64");
        }
        self.count(operands, 2..=2)?;
        let d = self.dst(&operands[0], ty)?;
        let a = self.mov_source(&operands[1], ty)?;
        self.emit(match from_generic {
            true => Op::FromGeneric { space, d, a },
            false => Op::ToGeneric { space, d, a },
        });
        Ok(())
    }
}

const SPACES: [(&str, Space); 7] = [
    ("global", Space::Global),
    ("const", Space::Global),
    ("shared", Space::Shared),
    ("shared::cta", Space::Shared),
    ("local", Space::Local),
    ("param", Space::Param),
    ("param::entry", Space::Param),
];
