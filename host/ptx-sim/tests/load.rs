//! What the loader refuses, and where it says the mistake is.

mod common;
use common::{load, load_error, module};
use proptest::prelude::*;
use ptx_sim::Module;

/// Line of the first statement of a body in the texts of `common::module`.
const BODY: u32 = 11;

fn refused(statement: &str) -> String {
    let error = load_error(&module("", "", &format!("mov.u32 %r1, 0;\n{statement}")));
    assert_eq!(error.line, BODY + 1, "{error}");
    assert!(error.to_string().starts_with("test.ptx:12: "), "{error}");
    error.message
}

#[test]
fn unknown_instructions_modifiers_types_and_registers_are_errors_with_their_line() {
    for (statement, word) in [
        ("frobnicate.u32 %r1, %r2;", "frobnicate"),
        ("add.rocket.s32 %r1, %r2, %r3;", "rocket"),
        (
            "mma.sync.aligned.m16n8k32.row.col.sparse.s32.s8.s8.s32 {%r0,%r1,%r2,%r3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%r0,%r1,%r2,%r3};",
            "types",
        ),
        ("mul.rz.u32 %r1, %r2, %r3;", "lo"),
        ("add.s33 %r1, %r2, %r3;", "type"),
        ("mov.u32 %r1, %tid.w;", "%tid.w"),
        ("mov.u32 %r1, %r64;", "%r64"),
        ("mov.u64 %l1, nowhere;", "nowhere"),
        ("bra nowhere;", "nowhere"),
        ("add.s32 %r1, %l2, %r3;", "%l2"),
        ("add.s32 %r1, %r2;", "operands"),
        ("add.s32 %r1, %r2, 4294967296;", "32 bits"),
        ("add.f32 %r1, %r2, 1;", "floating-point"),
        ("@%r1 mov.u32 %r1, 0;", "%r1"),
        (".banana %r1;", "banana"),
        ("ld.global.u32 %r1, [%r2];", "%r2"),
        ("cvt.f16.f32 %h1, %r1;", "rn"),
        ("cvt.s8.f32 %r1, %r1;", "rounding"),
        ("cp.async.cg.shared.global [%r1], [%l1], 8;", "16"),
        ("shfl.bfly.b32 %r1, %r2, 1, 31;", "sync"),
        ("call nothing, ();", "nothing"),
    ] {
        let message = refused(statement);
        assert!(message.contains(word), "{statement}: {message}");
    }
}

#[test]
fn text_level_mistakes_are_errors() {
    assert!(load_error("").message.contains(".target"));
    assert!(load_error(".version 8.0\n.target sm_80\n.address_size 32\n").message.contains("64"));
    let error = load_error(".version 8.0\n.target sm_80\n.address_size 64\n/* never closed");
    assert_eq!(error.line, 4);
    let error = load_error(&module("", "", "mov.u32 %r1, 0"));
    assert!(error.message.contains("`;`"), "{error}");
    let twice = load_error(&module("", "", ".reg .b32 %r<3>;"));
    assert!(twice.message.contains("twice"), "{twice}");
    let odd = load_error(&module(".global .align 3 .b8 x[4];", "", ""));
    assert!(odd.message.contains("alignment"), "{odd}");
    assert!(load_error(&module(".extern .global .b8 x[4];", "", "")).message.contains(".extern"));
    let deep = format!("{}{}", "{".repeat(1000), "}".repeat(1000));
    assert!(load_error(&module("", "", &deep)).message.contains("scopes"));
}

#[test]
fn what_compilers_write_around_instructions_is_understood() {
    let text = ".version 7.0\n.target sm_80, debug\n.address_size 64\n\
        .file 1 \"src/lib.rs\"\n.file 2 \"core.rs\", 12, 34\n\
        .visible .global .align 4 .b8 table[8] = {1, 2, 3, 0xFF};\n.const .align 4 .u32 numbers[2] = {7, -1};\n\
        .extern .shared .align 16 .b8 pool[];\n.shared .align 8 .b8 own[24];\n\
        .visible .entry k(\n.param .align 8 .b8 k_param_0[72],\n.param .u64 .ptr .global .align 16 k_param_1\n)\n\
        .maxntid 256, 1, 1\n.minnctapersm 2\n{\n.reg .b32 %r<3>, %extra;\n.reg .b64 %rd<2>;\n\
        .loc 1 7 5, function_name $L__info0, inlined_at 1 30 3\n$L__tmp0:\n// begin inline asm\n\
        mov.u32 %r1, own;\n// end inline asm\n.pragma \"nounroll\";\nld.param.u64 %rd1, [k_param_0+64];\nret;\n}\n\
        .section .debug_info {\n.b8 1\n.b64 $L__x-$L__y\n}\n$L__end:\n.section .debug_macinfo { }\n";
    let module = load(text);
    let kernel = module.kernel("k").unwrap();
    assert_eq!((kernel.param_bytes(), kernel.static_shared()), (80, 24));
    assert_eq!(kernel.params()[1].offset, 72);
    assert_eq!(kernel.max_threads(), Some([256, 1, 1]));
    assert_eq!(module.target(), "sm_80");
    let globals: Vec<_> =
        module.globals().map(|global| (global.name.as_str(), global.size, global.init.clone())).collect();
    assert_eq!(globals[0], ("table", 8, vec![1, 2, 3, 0xFF]));
    assert_eq!(globals[1], ("numbers", 8, vec![7, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}") {
        let _ = Module::load(&text, "fuzz");
        let _ = Module::load(&module("", "", &text), "fuzz");
    }

    #[test]
    fn no_mixture_of_real_words_makes_it_panic(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        let text = words.join(" ");
        let _ = Module::load(&module("", "", &text), "fuzz");
        let _ = Module::load(&module(&text, "", ""), "fuzz");
        let _ = Module::load(&module("", &text, ""), "fuzz");
    }

    #[test]
    fn a_text_with_a_piece_cut_out_does_not_make_it_panic(start in 0_usize..2000, len in 0_usize..40) {
        let text = module(
            ".shared .align 8 .b8 own[24];",
            ".param .align 8 .b8 a[72], .param .u64 b",
            "L: ld.param.v2.b32 {%r1, %r2}, [a+64];\n@!%p1 bra L;\nT: .branchtargets L, L;\nbrx.idx %r1, T;\n\
             setp.lt.and.u32 %p1|%p2, %r1, 0x10, !%p3;\nshfl.sync.bfly.b32 %r1|%p1, %r2, 1, 31, -1;\n\
             cp.async.cg.shared.global [%r1+16], [%l1+-4], 16, %r2;\nfma.rn.f32 %r1, %r2, 0f3F800000, %r3;\n\
             { .reg .b32 t; mov.b64 {t, _}, %l1; }\n",
        );
        let (start, end) = (start.min(text.len()), (start + len).min(text.len()));
        let _ = Module::load(&format!("{}{}", &text[..start], &text[end..]), "fuzz");
    }
}

const WORDS: &[&str] = &[
    ".reg",
    ".b32",
    ".b64",
    ".pred",
    ".shared",
    ".align",
    ".param",
    ".global",
    "%r1",
    "%r<5>",
    "%p1",
    "%l1",
    "[%l1+4]",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ":",
    "@%p1",
    "@!%p1",
    "!",
    "|",
    "-1",
    "0x10",
    "0f3F800000",
    "4294967295",
    "=",
    "add.s32",
    "mov.b64",
    "ld.global.v4.b32",
    "st.shared.u8",
    "bra",
    "L",
    "ret",
    "setp.lt.s32",
    "cvt.rni.s8.f32",
    "+",
    "18446744073709551615",
    "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32",
    ".branchtargets",
    "brx.idx",
    "call",
    "bar.sync",
];
