//! What the attribute makes of the function.

use crate::attribute::Attribute;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ItemFn, Pat, Result, ReturnType, Safety, Type, Visibility};

/// A parameter of the kernel as it is written.
enum Param {
    /// `name: &[T]` or `name: &mut [T]`.
    Slice { name: Ident, element: Box<Type>, mutable: bool },
    /// Any other, passed by value.
    Value { name: Ident, ty: Box<Type> },
}

pub(crate) fn kernel(attribute: &Attribute, function: ItemFn) -> Result<TokenStream> {
    check_signature(&function)?;
    if attribute.tensor_maps && function.sig.inputs.is_empty() {
        let text = "`tensor_maps` needs a first parameter that begins with them";
        return Err(Error::new(function.sig.ident.span(), text));
    }
    let params = function.sig.inputs.iter().map(param).collect::<Result<Vec<_>>>()?;

    let mut device_params = TokenStream::new();
    let mut slices = TokenStream::new();
    let mut copies = TokenStream::new();
    for param in &params {
        match param {
            Param::Slice { name, element, mutable } => {
                let (ptr, len) = (format_ident!("{name}_ptr"), format_ident!("{name}_len"));
                let (pointer, make) = if *mutable {
                    (quote!(*mut #element), quote!(from_raw_parts_mut))
                } else {
                    (quote!(*const #element), quote!(from_raw_parts))
                };
                device_params.extend(quote!(#ptr: #pointer, #len: usize,));
                // The launch promises what a slice promises; the caller of an `unsafe` kernel answers for it.
                slices.extend(quote!(let #name = unsafe { ::core::slice::#make(#ptr, #len) };));
            }
            Param::Value { name, ty } => {
                device_params.extend(quote!(#name: #ty,));
                copies.extend(quote_spanned!(ty.span()=> must_be_copy::<#ty>();));
            }
        }
    }

    let marker = marker(attribute, &function.sig.ident);
    let ItemFn { attrs, vis, sig, block, .. } = &function;
    let name = &sig.ident;
    Ok(quote! {
        #marker
        #(#attrs)*
        #[cfg(target_arch = "nvptx64")]
        #[unsafe(no_mangle)]
        #vis unsafe extern "ptx-kernel" fn #name(#device_params) {
            #slices
            #block
        }
        #(#attrs)*
        #[cfg(not(target_arch = "nvptx64"))]
        #vis #sig #block
        const _: fn() = || {
            // The driver copies a kernel's parameters, bit for bit.
            fn must_be_copy<T: Copy>() {}
            #copies
        };
    })
}

/// The comment that carries the attribute to the builder. Its constants are operands, so that they may be named.
fn marker(attribute: &Attribute, name: &Ident) -> TokenStream {
    let mut text = format!("//@kernel {name} maxntid={{maxntid}}");
    let max_threads = &attribute.max_threads;
    let mut operands = quote!(maxntid = const #max_threads,);
    if let Some(blocks) = &attribute.min_blocks {
        text.push_str(" minnctapersm={minnctapersm}");
        operands.extend(quote!(minnctapersm = const #blocks,));
    }
    if attribute.tensor_maps {
        text.push_str(" tensormap=0");
    }
    if !attribute.collectives.is_empty() {
        let counts: Vec<String> = attribute.collectives.iter().map(|(family, n)| format!("{family}:{n}")).collect();
        text.push_str(&format!(" collectives={}", counts.join(",")));
    }
    let min_blocks = attribute.min_blocks.iter();
    quote! {
        #[cfg(target_arch = "nvptx64")]
        ::core::arch::global_asm!(#text, #operands);
        // Also type-checks the bounds where there is no device.
        const _: &[u32] = &[#max_threads, #(#min_blocks),*];
    }
}

fn check_signature(function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    let fail = |span, text: &str| Err(Error::new(span, text));
    if !matches!(function.vis, Visibility::Public(_)) {
        return fail(sig.fn_token.span(), "a kernel is `pub`: the host launches it");
    }
    if let Some(token) = &sig.asyncness {
        return fail(token.span(), "a kernel cannot be `async`");
    }
    if let Some(token) = &sig.constness {
        return fail(token.span(), "a kernel cannot be `const`");
    }
    if !matches!(sig.safety, Safety::Unsafe(_)) {
        return fail(sig.fn_token.span(), "a kernel is `unsafe`: say under `# Safety` what a launch must keep to");
    }
    if let Some(abi) = &sig.abi {
        return fail(abi.span(), "leave out the calling convention: the attribute sets it");
    }
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        let text = "a kernel cannot be generic, as its name is its symbol: write one entry for each type";
        return fail(sig.generics.span(), text);
    }
    if let ReturnType::Type(_, ty) = &sig.output {
        return fail(ty.span(), "a kernel returns nothing: write the result to memory");
    }
    Ok(())
}

fn param(input: &FnArg) -> Result<Param> {
    let FnArg::Typed(typed) = input else {
        return Err(Error::new(input.span(), "a kernel cannot be a method"));
    };
    let Pat::Ident(pattern) = &*typed.pat else {
        return Err(Error::new(typed.pat.span(), "a parameter of a kernel is a plain name, not a pattern"));
    };
    let name = pattern.ident.clone();
    match &*typed.ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) => {
                Ok(Param::Slice { name, element: slice.elem.clone(), mutable: reference.mutability.is_some() })
            }
            _ => {
                let text = "only slices can be passed by reference: pass a value, or a pointer to device memory";
                Err(Error::new(reference.span(), text))
            }
        },
        _ => Ok(Param::Value { name, ty: typed.ty.clone() }),
    }
}
