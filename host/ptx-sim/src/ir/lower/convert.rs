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
/// The roundings of arithmetic and of conversions to floating-point types.
pub(super) const ROUNDS: [(&str, Round); 4] =
    [("rn", Round::NearestEven), ("rz", Round::Zero), ("rm", Round::Down), ("rp", Round::Up)];

/// The roundings that a `cvt` names.
#[derive(Clone, Copy)]
struct Rounds {
    to_integer: Option<Round>,
    to_float: Option<Round>,
}

impl Rounds {
    fn none(self) -> bool {
        self.to_integer.is_none() && self.to_float.is_none()
    }
}

/// Whether every value of `from` is one of `to`.
fn holds(to: Type, from: Type) -> bool {
    match (to.is_signed(), from.is_signed()) {
        (true, false) => to.bytes() > from.bytes(),
        (false, true) => false,
        _ => to.bytes() >= from.bytes(),
    }
}

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
        let rounds = Rounds { to_integer: mods.maybe(&TO_INTEGER), to_float: mods.maybe(&ROUNDS) };
        let mode = FloatMode {
            flush: mods.take("ftz"),
            saturate: mods.take("sat"),
            relu: mods.take("relu"),
            round: rounds.to_integer.or(rounds.to_float).unwrap_or_default(),
            ..FloatMode::default()
        };
        let (to, from) = (mods.ty()?, mods.ty()?);
        self.check_modes(mods, to, from, mode)?;
        let how = self.conversion(mods, to, from, rounds, mode)?;
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
        let narrows = matches!(to, Type::F16 | Type::BF16) && from == Type::F32;
        let plain = matches!(mode.round, Round::NearestEven | Round::Zero) && !mode.flush;
        if mode.relu && !(narrows && plain) {
            return mods.error(".relu is for .rn and .rz from .f32 to 16 bits, without .ftz");
        }
        Ok(())
    }

    fn conversion(&self, mods: &Mods<'_>, to: Type, from: Type, rounds: Rounds, mode: FloatMode) -> Result<Convert> {
        let plain = mode == FloatMode { saturate: mode.saturate, round: mode.round, ..FloatMode::default() };
        match (FloatKind::of(from), FloatKind::of(to)) {
            (None, None) if plain && rounds.none() && from.is_integer() && to.is_integer() => {
                if mode.saturate && holds(to, from) {
                    return mods.error(".sat cannot change anything here: every value fits");
                }
                Ok(Convert::IntToInt { from, to, saturate: mode.saturate })
            }
            (Some(from), None) if to.is_integer() && rounds.to_float.is_none() && !mode.relu => match rounds.to_integer
            {
                Some(_) if from == FloatKind::BF16 && to.bytes() == 1 => mods.error("bf16 and bytes do not convert"),
                // Out of range always clamps, so .sat changes nothing here.
                Some(round) => Ok(Convert::FloatToInt { from, to, round, flush: mode.flush }),
                None => mods.error("a rounding to an integer (.rni, .rzi, .rmi, .rpi) is missing"),
            },
            (None, Some(to)) if plain && from.is_integer() && rounds.to_integer.is_none() => match rounds.to_float {
                Some(_) if to == FloatKind::BF16 && from.bytes() == 1 => mods.error("bf16 and bytes do not convert"),
                Some(round) => Ok(Convert::IntToFloat { from, to, round, saturate: mode.saturate }),
                None => mods.error("a rounding (.rn, .rz, .rm, .rp) is missing"),
            },
            (Some(from), Some(to)) => self.float_conversion(mods, to, from, rounds, mode),
            _ => mods.error("this conversion is not supported"),
        }
    }

    fn float_conversion(
        &self,
        mods: &Mods<'_>,
        to: FloatKind,
        from: FloatKind,
        rounds: Rounds,
        mode: FloatMode,
    ) -> Result<Convert> {
        if from == to {
            if rounds.to_float.is_some() {
                return mods.error("a type converts to itself by an integral rounding, or by none");
            }
            return Ok(Convert::FloatToFloat { from, to, integral: rounds.to_integer.is_some(), mode });
        }
        let narrows = match (from, to) {
            (FloatKind::F64, _) | (FloatKind::F32, FloatKind::F16 | FloatKind::BF16) => true,
            // Neither holds all values of the other.
            (FloatKind::F16, FloatKind::BF16) | (FloatKind::BF16, FloatKind::F16) => true,
            _ => false,
        };
        if rounds.to_integer.is_some() || narrows != rounds.to_float.is_some() {
            return mods.error(
                "a conversion to a narrower type needs a rounding (.rn, .rz, .rm, .rp), one to a wider type takes none",
            );
        }
        Ok(Convert::FloatToFloat { from, to, integral: false, mode })
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

const SPACES: [(&str, Space); 8] = [
    ("global", Space::Global),
    ("const", Space::Global),
    ("shared", Space::Shared),
    ("shared::cta", Space::Shared),
    ("shared::cluster", Space::Cluster),
    ("local", Space::Local),
    ("param", Space::Param),
    ("param::entry", Space::Param),
];
