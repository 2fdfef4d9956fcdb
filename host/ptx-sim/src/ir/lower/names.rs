//! The instructions that the loader knows: what is not in this table is refused.

use super::mods::Mods;
use crate::ptx::Result;

/// Names with the parts that belong to them: such a part has to follow its name at once, while other modifiers may
/// come in any order (ptxas sees it so). An instruction with parts exists without them as well only where the list
/// holds an empty one.
const INSTRUCTIONS: &[(&str, &[&str])] = &[
    // Moves and selection.
    ("mov", &[]),
    ("selp", &[]),
    ("slct", &[]),
    ("set", &[]),
    ("setp", &[]),
    // Integers.
    ("add", &[]),
    ("sub", &[]),
    ("addc", &[]),
    ("subc", &[]),
    ("mul", &["", "lo", "hi", "wide"]),
    ("mad", &["", "lo", "hi", "wide"]),
    ("madc", &["lo", "hi"]),
    ("mul24", &["lo", "hi"]),
    ("mad24", &["lo", "hi"]),
    ("div", &[]),
    ("rem", &[]),
    ("min", &[]),
    ("max", &[]),
    ("abs", &[]),
    ("neg", &[]),
    ("sad", &[]),
    ("popc", &[]),
    ("clz", &[]),
    ("bfind", &[]),
    ("fns", &[]),
    ("brev", &[]),
    ("bfe", &[]),
    ("bfi", &[]),
    ("szext", &[]),
    ("bmsk", &[]),
    ("dp2a", &["lo", "hi"]),
    ("dp4a", &[]),
    ("and", &[]),
    ("or", &[]),
    ("xor", &[]),
    ("not", &[]),
    ("cnot", &[]),
    ("lop3", &[]),
    ("shf", &["l", "r"]),
    ("shl", &[]),
    ("shr", &[]),
    ("prmt", &[]),
    // Floating point.
    ("fma", &[]),
    ("rcp", &[]),
    ("sqrt", &[]),
    ("rsqrt", &[]),
    ("sin", &[]),
    ("cos", &[]),
    ("lg2", &[]),
    ("ex2", &[]),
    ("tanh", &[]),
    ("testp", &[]),
    ("copysign", &[]),
    // Conversions of values and addresses.
    ("cvt", &["", "pack"]),
    ("cvta", &["", "to"]),
    ("isspacep", &[]),
    // Memory.
    ("ld", &[]),
    ("ldu", &[]),
    ("st", &[]),
    ("atom", &[]),
    ("red", &[]),
    ("prefetch", &[]),
    ("prefetchu", &[]),
    ("applypriority", &[]),
    ("discard", &[]),
    ("createpolicy", &["fractional", "range", "cvt"]),
    ("cp", &["async"]),
    // Warps.
    ("shfl", &[]),
    ("vote", &[]),
    ("match", &[]),
    ("redux", &[]),
    ("elect", &[]),
    ("activemask", &[]),
    // Order.
    ("bar", &["sync", "arrive", "red", "warp", "cta"]),
    ("barrier", &["sync", "arrive", "red", "cta", "cluster"]),
    ("membar", &[]),
    ("fence", &[]),
    ("nanosleep", &[]),
    // Beside the threads, and beyond the block.
    ("mbarrier", &[]),
    ("tensormap", &[]),
    ("griddepcontrol", &["launch_dependents", "wait"]),
    ("mapa", &[]),
    ("getctarank", &[]),
    // Matrices.
    ("mma", &[]),
    ("ldmatrix", &[]),
    ("stmatrix", &[]),
    ("movmatrix", &[]),
    ("wgmma", &["mma_async", "fence", "commit_group", "wait_group"]),
    ("setmaxnreg", &["inc", "dec"]),
    // Control.
    ("bra", &[]),
    ("brx", &["idx"]),
    ("call", &[]),
    ("ret", &[]),
    ("exit", &[]),
    ("trap", &[]),
    ("brkpt", &[]),
    ("pmevent", &[]),
];

/// Every instruction that [`crate::Module::load`] knows, with the part that belongs to its name: `add`, `shf.l`.
pub fn instructions() -> impl Iterator<Item = String> {
    INSTRUCTIONS.iter().flat_map(|(name, parts)| {
        let parts = if parts.is_empty() { &[""][..] } else { parts };
        parts.iter().map(move |part| if part.is_empty() { (*name).to_owned() } else { format!("{name}.{part}") })
    })
}

/// Refuses a name that is not in the table, and a part that does not follow its name.
pub(super) fn check(name: &str, mods: &Mods<'_>) -> Result<()> {
    let Some((_, parts)) = INSTRUCTIONS.iter().find(|(known, _)| *known == name) else {
        return mods.error("this instruction is not supported");
    };
    // `cp.reduce.async` is the one name whose part stands behind another.
    if name == "cp" && mods.starts_with("reduce") {
        return Ok(());
    }
    // `bar.cta.sync` and `bar.warp.sync` have two parts; the second one follows the first.
    let first = parts.iter().find(|part| mods.starts_with(part)).copied();
    let behind = if matches!(first, Some("cta" | "warp" | "cluster")) { 2 } else { usize::from(first.is_some()) };
    match parts.iter().find(|part| mods.has_behind(behind, part)) {
        Some(part) => mods.error(format!(".{part} does not stand in its place, right behind {name}")),
        None if first.is_some() || parts.is_empty() || parts.contains(&"") => Ok(()),
        None => mods.error(format!("one of .{} has to follow {name}", parts.join(", ."))),
    }
}
