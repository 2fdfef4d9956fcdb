//! The attribute that makes a function a kernel.

mod attribute;
mod function;

use proc_macro::TokenStream;

/// Makes a function an entry of the device module.
///
/// ```
/// # use cuda_std_macros::kernel;
/// /// Doubles the first numbers of x.
/// ///
/// /// # Safety
/// /// One block of at most 256 threads.
/// #[kernel(launch_bounds(256, 2), collectives(bar_sync = 1, shfl_sync = 5))]
/// pub unsafe fn double(count: u64, x: &mut [f32]) {
///     // ..
/// }
/// ```
///
/// - `launch_bounds(threads)` or `launch_bounds(threads, blocks_per_multiprocessor)`, constant expressions of type u32: how many
///   threads a block has at most, and how many blocks should fit a multiprocessor. ptxas allots registers by them.
/// - `collectives(..)`: how many instructions of each family that a warp or a block executes together the entry's
///   PTX holds: `bar_sync`, `bar_arrive`, `bar_red`, `barrier_cluster`, `bar_warp_sync`, `shfl_sync`, `vote_sync`, `redux_sync`,
///   `match_sync`, `mma_sync`, `ldmatrix`, `stmatrix`, `elect_sync`, `wgmma` (products), `wgmma_sync` (their fences,
///   commits and waits), `setmaxnreg`; one that is not listed is not there. The builder compares, as the compiler may copy
///   such an instruction into the arms of a branch, where it would wait for lanes that never come.
/// - `tensor_maps`: the first parameter is a struct that begins with TMA tensor maps, 128 bytes each: it is aligned to 64 bytes,
///   which Rust has no way to say of a parameter. `cuda_std::param_address!(entry, 0)` is its address, of which map i
///   lies 128 * i further.
///
/// On the GPU the function becomes `pub unsafe extern "ptx-kernel" fn` under its own name; a slice parameter becomes
/// two, pointer and length, as in Rust-CUDA. Every other parameter must be `Copy`: it is copied to the device. The
/// crate enables `feature(abi_ptx, asm_experimental_arch)` there. Elsewhere it stays the function it is.
///
/// Both reach the builder as a comment in the PTX:
/// `//@kernel double maxntid=256 minnctapersm=2 collectives=bar.sync:1,shfl.sync:5`.
#[proc_macro_attribute]
pub fn kernel(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(
    attribute: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> syn::Result<proc_macro2::TokenStream> {
    let attribute: attribute::Attribute = syn::parse2(attribute)?;
    let function: syn::ItemFn = syn::parse2(item)?;
    function::kernel(&attribute, function)
}

#[cfg(test)]
mod tests {
    use super::expand;

    /// The expansion with all white space removed.
    fn expanded(attribute: &str, item: &str) -> String {
        let tokens = expand(attribute.parse().unwrap(), item.parse().unwrap()).unwrap();
        tokens.to_string().split_whitespace().collect()
    }

    fn error(attribute: &str, item: &str) -> String {
        expand(attribute.parse().unwrap(), item.parse().unwrap()).unwrap_err().to_string()
    }

    const PLAIN: &str = "pub unsafe fn k(args: Args) { body(args) }";

    #[test]
    fn the_device_gets_an_entry_and_the_host_a_function() {
        let code = expanded("launch_bounds(256)", PLAIN);
        assert!(code.contains(r#"#[cfg(target_arch="nvptx64")]#[unsafe(no_mangle)]pubunsafeextern"ptx-kernel"fnk("#));
        assert!(code.contains(r#"#[cfg(not(target_arch="nvptx64"))]pubunsafefnk(args:Args)"#));
        assert!(code.contains("must_be_copy::<Args>()"));
    }

    #[test]
    fn the_marker_says_bounds_and_collectives() {
        let code = expanded("launch_bounds(256, 2), collectives(bar_sync = 3, shfl_sync = 10)", PLAIN);
        let marker = "//@kernelkmaxntid={maxntid}minnctapersm={minnctapersm}collectives=bar.sync:3,shfl.sync:10";
        assert!(code.contains(marker), "{code}");
        assert!(code.contains("maxntid=const256") && code.contains("minnctapersm=const2"), "{code}");
        assert!(code.contains("const_:&[u32]=&[256,2];"), "{code}");
        let code = expanded("launch_bounds(TILE.threads())", PLAIN);
        assert!(code.contains("//@kernelkmaxntid={maxntid}\""), "{code}");
        assert!(code.contains("maxntid=constTILE.threads()"), "{code}");
    }

    #[test]
    fn the_marker_says_where_tensor_maps_are() {
        let code = expanded("launch_bounds(384), tensor_maps, collectives(wgmma = 4, wgmma_sync = 3)", PLAIN);
        assert!(code.contains("//@kernelkmaxntid={maxntid}tensormap=0collectives=wgmma:4,wgmma.sync:3"), "{code}");
        let error = error("launch_bounds(32), tensor_maps", "pub unsafe fn k() {}");
        assert!(error.contains("needs a first parameter"), "{error}");
    }

    #[test]
    fn a_slice_is_split() {
        let code = expanded("launch_bounds(32)", "pub unsafe fn k(x: &[f32], n: u64, y: &mut [u8]) {}");
        assert!(code.contains("fnk(x_ptr:*constf32,x_len:usize,n:u64,y_ptr:*mutu8,y_len:usize,)"), "{code}");
        assert!(code.contains("letx=unsafe{::core::slice::from_raw_parts(x_ptr,x_len)};"), "{code}");
        assert!(code.contains("lety=unsafe{::core::slice::from_raw_parts_mut(y_ptr,y_len)};"), "{code}");
        assert!(code.contains("must_be_copy::<u64>()") && !code.contains("must_be_copy::<&"), "{code}");
    }

    #[test]
    fn wrong_attributes_are_explained() {
        assert!(error("", PLAIN).contains("add `launch_bounds(threads)`"));
        assert!(error("launch_bound(32)", PLAIN).contains("unknown option `launch_bound`"));
        assert!(error("launch_bounds()", PLAIN).contains("one or two"));
        assert!(error("launch_bounds(1, 2, 3)", PLAIN).contains("one or two"));
        assert!(error("launch_bounds(32), launch_bounds(32)", PLAIN).contains("given twice"));
        assert!(error("launch_bounds(32), tensor_maps, tensor_maps", PLAIN).contains("given twice"));
        let unknown = error("launch_bounds(32), collectives(barrier = 1)", PLAIN);
        assert!(unknown.contains("unknown family `barrier`") && unknown.contains("bar_sync"));
        assert!(error("launch_bounds(32), collectives(bar_sync = 1, bar_sync = 1)", PLAIN).contains("counted twice"));
        assert!(error("launch_bounds(32), collectives(bar_sync = 0)", PLAIN).contains("leave it out"));
    }

    #[test]
    fn wrong_functions_are_explained() {
        let of = |item| error("launch_bounds(32)", item);
        assert!(of("unsafe fn k() {}").contains("`pub`"));
        assert!(of("pub fn k() {}").contains("`unsafe`"));
        assert!(of("pub async unsafe fn k() {}").contains("`async`"));
        assert!(of("pub const unsafe fn k() {}").contains("`const`"));
        assert!(of("pub unsafe extern \"C\" fn k() {}").contains("calling convention"));
        assert!(of("pub unsafe fn k<T>(x: T) {}").contains("cannot be generic"));
        assert!(of("pub unsafe fn k() -> u32 { 1 }").contains("returns nothing"));
        assert!(of("pub unsafe fn k((a, b): (u32, u32)) {}").contains("plain name"));
        assert!(of("pub unsafe fn k(x: &u32) {}").contains("only slices"));
        assert!(of("pub unsafe fn k(self) {}").contains("method"));
    }
}
