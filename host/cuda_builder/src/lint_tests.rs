//! The lint, rule by rule, on small texts.

use super::*;
use crate::marker;

/// A module with one marked entry `k`.
fn module(marker: &str, globals: &str, body: &str) -> String {
    format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n//@kernel k {marker}\n{globals}.visible .entry k(\n\t.param .u64 k_param_0\n)\n{{\n{body}\n\tret;\n}}\n"
    )
}

fn problems(ptx: &str) -> Vec<Problem> {
    let findings = check(ptx, &marker::read_all(ptx).unwrap());
    findings.into_iter().inspect(|finding| assert_eq!(finding.entry, "k")).map(|finding| finding.problem).collect()
}

#[test]
fn clean_code_has_no_findings() {
    let body = "\t@%p1 bra $L;\n\tbar.sync \t0;\n\t// bar.sync 0;\n\tst.global.b32 [%rd1], %r1;\n$L:";
    assert_eq!(problems(&module("maxntid=32 collectives=bar.sync:1", "", body)), []);
}

#[test]
fn an_entry_needs_a_marker() {
    let ptx = ".visible .entry plain()\n{\n\tret;\n}\n";
    let findings = check(ptx, &BTreeMap::new());
    assert_eq!(findings, [Finding { entry: "plain".into(), problem: Problem::NoMarker }]);
    assert!(findings[0].to_string().contains("entry `plain`: no //@kernel marker"));
}

#[test]
fn local_memory_is_found() {
    for body in [
        "\t.local .align 8 .b8 \t__local_depot0[64];\n\tmov.b64 %SPL, __local_depot0;",
        "\t.local .b32 x;",
        "\tst.local.v2.b32 [%rd1], {%r1, %r2};",
        "\t{ cvta.to.local.u64 %rd1, %rd2; }",
    ] {
        assert!(matches!(problems(&module("", "", body))[..], [Problem::LocalMemory(_)]), "{body}");
    }
    assert_eq!(problems(&module("", "", "\tst.shared.b32 [%r1], %r2;")), []);
}

#[test]
fn calls_are_found_by_name() {
    let body = "\t{ // callseq 0, 0\n\t.param .b64 p0;\n\tcall.uni (retval0),\n\tmemcpy,\n\t(\n\tp0\n\t);\n\t}\n\tcall.uni\n\tpanic,\n\t(\n\tp0\n\t);\n\tcall bare;";
    let found = problems(&module("", "", body));
    assert_eq!(found, ["bare", "memcpy", "panic"].map(|name| Problem::Call(name.into())));
}

#[test]
fn panic_texts_are_found_through_pointers() {
    let bytes = |text: &str| text.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(", ");
    let globals = format!(
        ".global .align 1 .b8 alloc_1[11] = {{{}}};\n.global .align 8 .u64 alloc_2[2] = {{generic(alloc_1), 11}};\n",
        bytes("src/body.rs")
    );
    let body = "\tmov.b64 %rd1, alloc_2;";
    assert_eq!(problems(&module("", &globals, body)), [Problem::PanicText("src/body.rs".into())]);
    assert_eq!(problems(&module("", &globals, "")), [], "only what an entry names counts");
    let other_name = body.replace("alloc_2", "alloc_22");
    assert_eq!(problems(&module("", &globals, &other_name)), []);
}

#[test]
fn tables_of_numbers_are_no_texts() {
    let globals = ".global .align 1 .b8 table[6] = {1, 2, 3, 200, 250, 7};\n.global .align 4 .b32 words[2] = {65, 66};\n.global .align 1 .b8 blank[64];\n";
    assert_eq!(problems(&module("", globals, "\tmov.b64 %rd1, table;\n\tmov.b64 %rd2, words;")), []);
}

#[test]
fn collectives_are_counted_by_family() {
    let body = "\tbar.sync 0;\n\t{ barrier.sync.aligned 1, 64; }\n\t@%p1 bar.warp.sync -1;\n\tshfl.sync.bfly.b32 %r1|%p1, %r2, 1, 31, -1;\n\
        \tmatch.any.sync.b32 %r1, %r2, -1;\n\tmma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r1}, {%r2}, {%r3}, {%r4};\n\
        \tldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r1}, [%r2];\n\tvote.sync.any.pred %p1, %p2, -1;\n\tredux.sync.max.s32 %r1, %r2, -1;\n\
        \telect.sync _|%p1, -1;";
    let declared = "collectives=bar.sync:2,bar.warp.sync:1,shfl.sync:1,match.sync:1,mma.sync:1,ldmatrix:1,vote.sync:1,redux.sync:1,elect.sync:1";
    assert_eq!(problems(&module(declared, "", body)), []);
    for (family, _) in FAMILIES {
        // Another count of any one family is a finding, and only of that family.
        let (pattern, replaced) = match declared.find(&format!("{family}:")) {
            Some(_) => (format!("{family}:"), format!("{family}:1")),
            None => ("collectives=".to_owned(), format!("collectives={family}:3,")),
        };
        let marker = declared.replacen(&pattern, &replaced, 1);
        assert!(
            matches!(problems(&module(&marker, "", body))[..], [Problem::Collectives { family: f, .. }] if f == *family),
            "{family}"
        );
    }
    let silent = problems(&module("", "", "\tbar.sync 0;"));
    assert_eq!(silent, [Problem::Collectives { family: "bar.sync", declared: 0, found: 1 }]);
}

#[test]
fn extern_functions_are_found() {
    let ptx = ".extern .func (.param .b32 r) vprintf(\n\t.param .b64 p\n)\n;\n";
    let findings = check(ptx, &BTreeMap::new());
    assert_eq!(findings, [Finding { entry: "vprintf".into(), problem: Problem::ExternFunction }]);
}
