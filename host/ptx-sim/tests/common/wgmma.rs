//! Kernels of warpgroups.

/// What makes ordinary stores to shared memory visible to wgmma.
pub(crate) const FENCE: &str = "fence.proxy.async;\n";

/// A module for sm_90a with one kernel `k`, registers for the largest product, and 40 KiB of shared memory.
pub(crate) fn text(params: &str, body: &str) -> String {
    format!(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k({params})\n{{\n.reg .pred %p<8>;\n\
         .reg .b32 %r<256>;\n.reg .f32 %f<144>;\n.reg .b64 %l<16>;\n\
         .shared .align 1024 .b8 tile[40960];\n{body}\nret;\n}}\n"
    )
}
