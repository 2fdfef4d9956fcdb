//! The one line of a packed layer's file that says what its tensors are: the `format` of its header.
//!
//! `outerscale-packed/1; layout=panels64x128; n=1152; k=384; scheme=llm-int8; threshold=6; outlier_weights=f16`: name and
//! version, then keys and values, each key once.

use crate::{
    linear::{OutlierWeights, PresetScale, Scheme},
    ops::{Preset, Window},
    smooth::Alpha,
};
use std::{collections::BTreeMap, str::FromStr};

const FORMAT: &str = "outerscale-packed";
const VERSION: u32 = 1;
/// `contract::packed`: panels of 64 rows, k_blocks of 128 bytes, chunks swizzled.
const LAYOUT: &str = "panels64x128";

/// What the line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) rows: u64,
    pub(super) cols: u64,
    pub(super) scheme: Scheme,
}

impl Header {
    pub(super) fn line(&self) -> String {
        let Header { rows, cols, scheme } = self;
        let parameters = match scheme {
            Scheme::Running(Window { every, momentum }) => format!("; every={every}; momentum={momentum}"),
            Scheme::LlmInt8 { threshold, outlier_weights } => {
                let weights = match outlier_weights {
                    OutlierWeights::F16 => "f16",
                    OutlierWeights::Int8 => "int8",
                };
                format!("; threshold={threshold}; outlier_weights={weights}")
            }
            Scheme::SmoothToken { alpha } | Scheme::SmoothStatic { alpha } => format!("; alpha={alpha}"),
            Scheme::Preset(preset, _) => format!("; preset={}", preset.name()),
            _ => String::new(),
        };
        format!("{FORMAT}/{VERSION}; layout={LAYOUT}; n={rows}; k={cols}; scheme={}{parameters}", scheme.name())
    }

    /// # Errors
    /// What is wrong with the line.
    pub(super) fn parse(line: Option<&str>) -> Result<Header, String> {
        let named = line.and_then(|line| line.strip_prefix(FORMAT)?.strip_prefix('/'));
        let named = named.ok_or("holds no packed layer; outerscale pack writes such files")?;
        let (version, rest) = named.split_once("; ").unwrap_or((named, ""));
        if version != VERSION.to_string() {
            return Err(format!("has version {version:?} of the format, {VERSION} is known: pack the layer anew"));
        }
        let mut keys = BTreeMap::new();
        for pair in rest.split("; ") {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("has {pair:?} in its header, not KEY=VALUE"))?;
            if keys.insert(key, value).is_some() {
                return Err(format!("has the key {key:?} twice in its header"));
            }
        }
        let mut keys = Keys(keys);
        let layout = keys.take("layout")?;
        if layout != LAYOUT {
            return Err(format!("has weights in the layout {layout:?}, {LAYOUT} is known: pack the layer anew"));
        }
        let (rows, cols) = (keys.number("n")?, keys.number("k")?);
        let scheme = scheme(&mut keys)?;
        match keys.0.keys().next() {
            None => Ok(Header { rows, cols, scheme }),
            Some(key) => Err(format!("has a key {key:?} in its header that the scheme {} has not", scheme.name())),
        }
    }
}

/// What of the line has not been read yet.
struct Keys<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Keys<'a> {
    fn take(&mut self, key: &str) -> Result<&'a str, String> {
        self.0.remove(key).ok_or_else(|| format!("lacks the key {key:?} in its header"))
    }

    fn number<T: FromStr>(&mut self, key: &str) -> Result<T, String> {
        let value = self.take(key)?;
        value.parse().map_err(|_| format!("has {key}={value:?} in its header, which is no such number"))
    }
}

fn scheme(keys: &mut Keys<'_>) -> Result<Scheme, String> {
    let name = keys.take("scheme")?;
    let by_name = Scheme::ALL.into_iter().find(|scheme| scheme.name() == name);
    let scheme = by_name.ok_or_else(|| format!("is of a scheme {name:?}, which is unknown"))?;
    Ok(match scheme {
        Scheme::Running(_) => {
            Scheme::Running(Window { every: keys.number("every")?, momentum: keys.number("momentum")? })
        }
        Scheme::LlmInt8 { .. } => {
            let threshold = keys.number("threshold")?;
            let outlier_weights = match keys.take("outlier_weights")? {
                "f16" => OutlierWeights::F16,
                "int8" => OutlierWeights::Int8,
                other => return Err(format!("has outlier_weights={other:?} in its header, neither f16 nor int8")),
            };
            Scheme::LlmInt8 { threshold, outlier_weights }
        }
        Scheme::SmoothToken { .. } | Scheme::SmoothStatic { .. } => {
            scheme.with_alpha(Alpha::Fixed(keys.number("alpha")?))
        }
        Scheme::Token | Scheme::Static if keys.0.contains_key("preset") => {
            let name = keys.take("preset")?;
            let preset = Preset::ALL.into_iter().find(|preset| preset.name() == name);
            let preset = preset.ok_or_else(|| format!("is of a preset {name:?}, which is unknown"))?;
            let scale = if scheme == Scheme::Static { PresetScale::Static } else { PresetScale::Token };
            Scheme::Preset(preset, scale)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Scheme> {
        let mut all: Vec<Scheme> = Scheme::ALL.map(|scheme| scheme.with_alpha(Alpha::Fixed(0.35))).to_vec();
        all.push(Scheme::Running(Window { every: 7, momentum: 0.1 }));
        all.push(Scheme::LlmInt8 { threshold: f32::INFINITY, outlier_weights: OutlierWeights::Int8 });
        all.extend(Preset::ALL.map(|preset| Scheme::Preset(preset, PresetScale::Token)));
        all.extend(Preset::ALL.map(|preset| Scheme::Preset(preset, PresetScale::Static)));
        all
    }

    #[test]
    fn a_line_says_what_it_was_made_of() {
        for scheme in all() {
            let header = Header { rows: 3, cols: 1 << 33, scheme };
            assert_eq!(Header::parse(Some(&header.line())), Ok(header), "{}", header.line());
        }
    }

    #[test]
    fn other_lines_are_refused() {
        let line = Header { rows: 3, cols: 5, scheme: Scheme::LLM_INT8 }.line();
        let broken = |from: &str, to: &str| Header::parse(Some(&line.replace(from, to))).unwrap_err();
        assert!(Header::parse(None).unwrap_err().contains("outerscale pack"));
        assert!(broken("outerscale-packed", "outerscale-statistics").contains("no packed layer"));
        assert!(broken("/1", "/2").contains("has version \"2\" of the format, 1 is known"));
        assert!(broken("panels64x128", "rows").contains("in the layout \"rows\", panels64x128 is known"));
        assert!(broken("n=3", "n=-3").contains("n=\"-3\""));
        assert!(broken("; k=5", "").contains("lacks the key \"k\""));
        assert!(broken("k=5", "k=5; k=5").contains("\"k\" twice"));
        assert!(broken("k=5", "k").contains("not KEY=VALUE"));
        assert!(broken("llm-int8", "w8a8-token").contains("a key \"outlier_weights\""));
        assert!(broken("llm-int8", "w8a8").contains("a scheme \"w8a8\""));
        assert!(broken("=f16", "=f8").contains("neither f16 nor int8"));
        assert!(broken("threshold=6", "threshold=six").contains("no such number"));
        let preset = Header::parse(Some(&line.replace("scheme=llm-int8", "scheme=w8a8-token; preset=none")));
        assert!(preset.unwrap_err().contains("a preset \"none\""));
    }
}
