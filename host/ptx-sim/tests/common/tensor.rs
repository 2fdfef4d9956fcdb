//! Kernels for tensor cores.

/// `{%p4, %p5}` for prefix p, first 4, count 2.
pub(crate) fn list(prefix: &str, first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|i| format!("%{prefix}{i}")).collect();
    format!("{{{}}}", names.join(", "))
}

/// A module with one kernel `k` for that target, with registers and a tile of shared memory.
pub(crate) fn text(target: &str, params: &str, body: &str) -> String {
    format!(
        ".version 8.7\n.target {target}\n.address_size 64\n.visible .entry k({params})\n{{\n.reg .pred %p<8>;\n\
         .reg .b32 %r<64>;\n.reg .f32 %f<16>;\n.reg .b64 %l<16>;\n.reg .f64 %d<32>;\n\
         .shared .align 1024 .b8 tile[4096];\n{body}\nret;\n}}\n"
    )
}
