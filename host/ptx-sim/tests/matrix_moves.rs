//! `ldmatrix`, `stmatrix` and `movmatrix`.

mod common;

use common::load;
use common::tensor::{list, text};
use ptx_sim::{FaultKind, Launch, Memory, launch};

/// Runs a block of one warp whose lane writes its index and results through `store`.
fn words_of(body: &str, words: usize) -> Result<Vec<u32>, Box<ptx_sim::Fault>> {
    let module =
        load(&text("sm_90", ".param .u64 out", &format!("ld.param.u64 %l0, [out];\nmov.u32 %r0, %tid.x;\n{body}")));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(4 * words as u64).unwrap();
    let params = out.to_le_bytes();
    launch(&instance, &memory, &Launch::new(module.kernel("k").unwrap(), [1; 3], [32, 1, 1], &params))?;
    let mut bytes = vec![0; 4 * words];
    memory.read(out, &mut bytes).unwrap();
    Ok(bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect())
}

/// Rows of four matrices in shared memory, with element (matrix, row, col) = 64 matrix + 8 row + col as b16: lane
/// `l` writes the row whose address it later gives. Rows lie 80 bytes apart.
const FILL: &str = "mov.u32 %r1, tile;\nmad.lo.u32 %r1, %r0, 80, %r1;\nshl.b32 %r2, %r0, 3;\nmad.lo.u32 %r2, %r2, 0x10001, 0x10000;\n\
                    add.u32 %r3, %r2, 0x20002;\nadd.u32 %r4, %r2, 0x40004;\nadd.u32 %r5, %r2, 0x60006;\n\
                    st.shared.v4.b32 [%r1], {%r2, %r3, %r4, %r5};\nbar.sync 0;\n";

#[test]
fn ldmatrix_takes_generic_addresses_too() {
    for (transposed, suffix) in [(false, ""), (true, ".trans")] {
        for count in [1_usize, 2, 4] {
            for generic in [false, true] {
                let (convert, space, address) = match generic {
                    true => ("cvt.u64.u32 %l1, %r1;\ncvta.shared.u64 %l1, %l1;\n", "", "%l1"),
                    false => ("", ".shared::cta", "%r1"),
                };
                let stores: String =
                    (0..count).map(|i| format!("st.global.b32 [%l2+{}], %r{};\n", 4 * i, 10 + i)).collect();
                // Lanes that give no row may hold any address.
                let body = format!(
                    "{FILL}setp.ge.u32 %p1, %r0, {};\n@%p1 mov.u32 %r1, 0xFFFFFFF1;\n{convert}\
                     ldmatrix.sync.aligned.m8n8.x{count}{suffix}{space}.b16 {}, [{address}];\n\
                     mul.wide.u32 %l2, %r0, {};\nadd.u64 %l2, %l0, %l2;\n{stores}",
                    8 * count,
                    list("r", 10, count),
                    4 * count
                );
                let found = words_of(&body, 32 * count).unwrap_or_else(|fault| panic!("{fault}"));
                for lane in 0..32 {
                    for matrix in 0..count {
                        for e in 0..2 {
                            let (row, col) = (lane / 4, 2 * (lane % 4) + e);
                            let (row, col) = if transposed { (col, row) } else { (row, col) };
                            let half = found[lane * count + matrix] >> (16 * e) & 0xFFFF;
                            assert_eq!(half as usize, 64 * matrix + 8 * row + col, "lane {lane}, x{count}{suffix}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn stmatrix_undoes_ldmatrix_and_movmatrix_transposes() {
    for (from, to) in [("", ""), ("", ".trans"), (".trans", ""), (".trans", ".trans")] {
        for count in [1_usize, 2, 4] {
            // Back into the same rows, which are read as they lie then.
            let body = format!(
                "{FILL}ldmatrix.sync.aligned.m8n8.x{count}{from}.shared.b16 {regs}, [%r1];\nbar.sync 0;\n\
                 stmatrix.sync.aligned.m8n8.x{count}{to}.shared.b16 [%r1], {regs};\nbar.sync 0;\n\
                 ld.shared.v4.b32 {{%r2, %r3, %r4, %r5}}, [%r1];\nmul.wide.u32 %l2, %r0, 16;\nadd.u64 %l2, %l0, %l2;\n\
                 st.global.v4.b32 [%l2], {{%r2, %r3, %r4, %r5}};",
                regs = list("r", 10, count)
            );
            let found = words_of(&body, 128).unwrap_or_else(|fault| panic!("{fault}"));
            for (index, word) in found.iter().enumerate() {
                for e in 0..2 {
                    let (lane, col) = (index / 4, 2 * (index % 4) + e);
                    let (matrix, row) = (lane / 8, lane % 8);
                    // Lanes beyond the matrices that moved keep what they had.
                    let turned = from != to && matrix < count;
                    let wanted = if turned { 64 * matrix + 8 * col + row } else { 64 * matrix + 8 * row + col };
                    assert_eq!(
                        (word >> (16 * e) & 0xFFFF) as usize,
                        wanted,
                        "row {lane}, column {col}, x{count}{from}{to}"
                    );
                }
            }
        }
    }
    let body = format!(
        "{FILL}ldmatrix.sync.aligned.m8n8.x1.shared.b16 {{%r10}}, [%r1];\nmovmatrix.sync.aligned.m8n8.trans.b16 %r11, %r10;\n\
         ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {{%r12}}, [%r1];\nxor.b32 %r13, %r11, %r12;\n\
         mul.wide.u32 %l2, %r0, 4;\nadd.u64 %l2, %l0, %l2;\nst.global.b32 [%l2], %r13;"
    );
    assert_eq!(words_of(&body, 32).unwrap_or_else(|fault| panic!("{fault}")), [0; 32]);
}

#[test]
fn moves_of_matrices_are_checked() {
    let fault = |body: &str| *words_of(body, 32).expect_err("a fault was expected");
    let odd = fault(&format!(
        "{FILL}add.u32 %r1, %r1, 8;\nldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r10, %r11, %r12, %r13}}, [%r1];"
    ));
    assert_eq!((odd.kind, odd.thread), (FaultKind::Misaligned, Some([0, 0, 0])));
    let far = fault(&format!("{FILL}mov.u32 %r1, 0x100000;\nstmatrix.sync.aligned.m8n8.x1.shared.b16 [%r1], {{%r0}};"));
    assert_eq!(far.kind, FaultKind::OutOfBounds);
    let global = fault("ldmatrix.sync.aligned.m8n8.x1.b16 {%r10}, [%l0];");
    assert_eq!(global.kind, FaultKind::OutOfBounds);
    assert!(global.explanation.contains("shared"), "{global}");
    let few = fault("setp.lt.u32 %p1, %r0, 16;\n@%p1 movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r0;");
    assert_eq!(few.kind, FaultKind::Divergence);
}
