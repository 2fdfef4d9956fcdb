//! What stands in the parentheses of `#[kernel(..)]`.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, LitInt, Result, Token, parenthesized};

/// Families of instructions that threads execute together: the name in the attribute, and in the PTX.
const FAMILIES: [(&str, &str); 16] = [
    ("bar_sync", "bar.sync"),
    ("bar_arrive", "bar.arrive"),
    ("bar_red", "bar.red"),
    ("barrier_cluster", "barrier.cluster"),
    ("bar_warp_sync", "bar.warp.sync"),
    ("shfl_sync", "shfl.sync"),
    ("vote_sync", "vote.sync"),
    ("redux_sync", "redux.sync"),
    ("match_sync", "match.sync"),
    ("mma_sync", "mma.sync"),
    ("ldmatrix", "ldmatrix"),
    ("stmatrix", "stmatrix"),
    ("elect_sync", "elect.sync"),
    ("wgmma", "wgmma"),
    ("wgmma_sync", "wgmma.sync"),
    ("setmaxnreg", "setmaxnreg"),
];

/// The options of one kernel.
pub(crate) struct Attribute {
    /// Threads of a block, at most.
    pub(crate) max_threads: Expr,
    /// Blocks that should fit a multiprocessor.
    pub(crate) min_blocks: Option<Expr>,
    /// Whether the first parameter begins with tensor maps.
    pub(crate) tensor_maps: bool,
    /// PTX family and how many of its instructions the entry holds.
    pub(crate) collectives: Vec<(&'static str, u32)>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut bounds: Option<(Expr, Option<Expr>)> = None;
        let mut collectives: Option<Vec<(&'static str, u32)>> = None;
        let mut tensor_maps = false;
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            let twice = Error::new(option.span(), format!("`{option}` is given twice: keep one"));
            if option == "tensor_maps" {
                if std::mem::replace(&mut tensor_maps, true) {
                    return Err(twice);
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
                continue;
            }
            let content;
            parenthesized!(content in input);
            match option.to_string().as_str() {
                "launch_bounds" if bounds.is_some() => return Err(twice),
                "launch_bounds" => bounds = Some(launch_bounds(&content, option.span())?),
                "collectives" if collectives.is_some() => return Err(twice),
                "collectives" => collectives = Some(families(&content)?),
                _ => {
                    let text = format!(
                        "unknown option `{option}`: there are `launch_bounds`, `collectives` and `tensor_maps`"
                    );
                    return Err(Error::new(option.span(), text));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let Some((max_threads, min_blocks)) = bounds else {
            let text = "add `launch_bounds(threads)`: ptxas allots registers by the size of a block";
            return Err(Error::new(Span::call_site(), text));
        };
        Ok(Self { max_threads, min_blocks, tensor_maps, collectives: collectives.unwrap_or_default() })
    }
}

fn launch_bounds(content: ParseStream<'_>, span: Span) -> Result<(Expr, Option<Expr>)> {
    let mut given = Punctuated::<Expr, Token![,]>::parse_terminated(content)?.into_iter();
    match (given.next(), given.next(), given.next()) {
        (Some(threads), blocks, None) => Ok((threads, blocks)),
        _ => Err(Error::new(span, "`launch_bounds` takes one or two numbers: threads, blocks per multiprocessor")),
    }
}

fn families(content: ParseStream<'_>) -> Result<Vec<(&'static str, u32)>> {
    let mut counts: Vec<(&'static str, u32)> = Vec::new();
    while !content.is_empty() {
        let name: Ident = content.parse()?;
        content.parse::<Token![=]>()?;
        let count: LitInt = content.parse()?;
        let Some((_, family)) = FAMILIES.iter().find(|(known, _)| name == known) else {
            let known: Vec<&str> = FAMILIES.iter().map(|(known, _)| *known).collect();
            let text = format!("unknown family `{name}` of collectives: there are {}", known.join(", "));
            return Err(Error::new(name.span(), text));
        };
        if counts.iter().any(|(counted, _)| counted == family) {
            return Err(Error::new(name.span(), format!("`{name}` is counted twice: keep one")));
        }
        let value: u32 = count.base10_parse()?;
        if value == 0 {
            return Err(Error::new(count.span(), format!("no `{name}`: leave it out of the list")));
        }
        counts.push((family, value));
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    Ok(counts)
}
