//! What `--arg` says: the text of one parameter.

use std::path::PathBuf;

use ptx_sim::{OutOfBoundsFill, Swizzle};

use crate::numbers;
use crate::tensors::Form;

/// One `--arg`.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// As it was given, for messages.
    pub(crate) text: String,
    pub(crate) value: Value,
}

/// What a parameter, or a part of one, is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Bytes with their natural alignment.
    Bytes(Vec<u8>, usize),
    /// The address of a buffer of its own.
    Buffer(Buffer),
    /// An address in the buffer of that name.
    Pointer {
        name: String,
        offset: u64,
    },
    Map(Map),
    Struct(Vec<Value>),
}

/// A buffer in global memory.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// Under which it is saved and pointed to.
    pub(crate) name: Option<String>,
    pub(crate) content: Content,
}

/// What a buffer starts with.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Tensor { file: PathBuf, tensor: String },
    New { form: Form, zeros: bool },
}

/// A tensor map over a whole buffer.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) of: Target,
    /// Outermost first, as the buffer's shape.
    pub(crate) sides: Vec<u32>,
    /// Element strides, likewise.
    pub(crate) strides: Option<Vec<u32>>,
    pub(crate) swizzle: Swizzle,
    pub(crate) fill: OutOfBoundsFill,
}

/// The buffer that a map is of.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Named(String),
    Own(Buffer),
}

impl Spec {
    /// Reads one `--arg`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), value: value(text)? })
    }
}

fn value(text: &str) -> Result<Value, String> {
    if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}').ok_or_else(|| format!("'{text}' does not end with }}"))?;
        return parts(inner)?.into_iter().map(value).collect::<Result<_, _>>().map(Value::Struct);
    }
    let (kind, rest) = text.split_once(':').ok_or_else(|| format!("'{text}' has no kind; {KINDS}"))?;
    match kind {
        "bytes" => Ok(Value::Bytes(numbers::hex(rest)?, 1)),
        "pad" => match rest.parse() {
            Ok(count) if (1..=4096).contains(&count) => Ok(Value::Bytes(vec![0; count], 1)),
            _ => Err(format!("'{rest}' is no number of bytes from 1 to 4096")),
        },
        "ptr" => pointer(rest),
        "tmap" => map(rest).map(Value::Map),
        _ => match (buffer(text), numbers::scalar(kind, rest)) {
            (Some(buffer), _) => Ok(Value::Buffer(buffer?)),
            (None, Some(bytes)) => bytes.map(|bytes| Value::Bytes(bytes.clone(), bytes.len())),
            (None, None) => Err(format!("'{kind}' is no kind of parameter; {KINDS}")),
        },
    }
}

const KINDS: &str = "give a number as u32:5, a buffer as in:FILE#TENSOR or out:NAME=F32[64], ptr:NAME, \
                     tmap:NAME,box=64x64, bytes:00ff, pad:4 or {SPEC;SPEC} (see --help)";

/// Splits the inside of a struct at its own semicolons.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1).ok_or_else(|| format!("'{text}' has a }} too many"))?,
            ';' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// A buffer by its spec; `None` when `text` begins like none.
fn buffer(text: &str) -> Option<Result<Buffer, String>> {
    let (kind, rest) = text.split_once(':')?;
    Some(match kind {
        "in" => tensor(rest).map(|content| Buffer { name: None, content }),
        "inout" => named(rest, "inout:y=FILE.safetensors#y")
            .and_then(|(name, rest)| Ok(Buffer { name: Some(name), content: tensor(rest)? })),
        "out" | "zero" => named(rest, "out:y=F32[64,1024]").and_then(|(name, rest)| {
            Ok(Buffer { name: Some(name), content: Content::New { form: Form::parse(rest)?, zeros: kind == "zero" } })
        }),
        "scratch" => Form::parse(rest).map(|form| Buffer { name: None, content: Content::New { form, zeros: false } }),
        _ => return None,
    })
}

/// `FILE#TENSOR`.
fn tensor(text: &str) -> Result<Content, String> {
    match text.rsplit_once('#') {
        Some((file, tensor)) if !file.is_empty() && !tensor.is_empty() => {
            Ok(Content::Tensor { file: file.into(), tensor: tensor.to_owned() })
        }
        _ => Err(format!("'{text}' names no tensor of a file; give FILE.safetensors#TENSOR")),
    }
}

/// `NAME=REST`.
fn named<'a>(text: &'a str, example: &str) -> Result<(String, &'a str), String> {
    match text.split_once('=') {
        Some((name, rest)) if !name.is_empty() => Ok((name.to_owned(), rest)),
        _ => Err(format!("'{text}' gives the buffer no name; as {example}")),
    }
}

/// `NAME[+BYTES]`.
fn pointer(text: &str) -> Result<Value, String> {
    let (name, offset) = text.split_once('+').unwrap_or((text, "0"));
    let offset = offset.parse().map_err(|_| format!("'{offset}' is no number of bytes"))?;
    if name.is_empty() {
        return Err("ptr: names no buffer, as ptr:y+64".to_owned());
    }
    Ok(Value::Pointer { name: name.to_owned(), offset })
}

/// `BUFFER,box=64x128[,swizzle=128][,fill=nan][,strides=1x1]`.
fn map(text: &str) -> Result<Map, String> {
    let (of, settings) = text
        .split_once(",box=")
        .ok_or_else(|| format!("'{text}' has no box; as tmap:x,box=64x128 (outermost first, in elements)"))?;
    let of = match buffer(of) {
        Some(buffer) => Target::Own(buffer?),
        None if of.is_empty() => return Err("tmap: names no buffer, as tmap:x,box=64x128".to_owned()),
        None => Target::Named(of.to_owned()),
    };
    let mut settings = settings.split(',');
    let sides = lengths(settings.next().unwrap_or_default())?;
    let mut map = Map { of, sides, strides: None, swizzle: Swizzle::None, fill: OutOfBoundsFill::Zero };
    for setting in settings {
        match setting.split_once('=') {
            Some(("swizzle", "none" | "0")) => map.swizzle = Swizzle::None,
            Some(("swizzle", "32")) => map.swizzle = Swizzle::B32,
            Some(("swizzle", "64")) => map.swizzle = Swizzle::B64,
            Some(("swizzle", "128")) => map.swizzle = Swizzle::B128,
            Some(("fill", "zero")) => map.fill = OutOfBoundsFill::Zero,
            Some(("fill", "nan")) => map.fill = OutOfBoundsFill::Nan,
            Some(("strides", strides)) => map.strides = Some(lengths(strides)?),
            _ => {
                let known = "swizzle=none|32|64|128, fill=zero|nan, strides=AxB";
                return Err(format!("'{setting}' is no setting of a tensor map; there are {known}"));
            }
        }
    }
    Ok(map)
}

/// `64x128`.
fn lengths(text: &str) -> Result<Vec<u32>, String> {
    let length = |part: &str| part.parse().map_err(|_| format!("'{part}' in '{text}' is no length, as 64x128"));
    text.split('x').map(length).collect()
}
