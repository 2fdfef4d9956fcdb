//! Functions: direct and indirect calls, guards, aliases, recursion; variables whose first values are addresses.

mod common;
use common::{load_error, module};
use ptx_sim::{Fault, FaultKind, Launch, Memory, Module, launch};

/// Two functions of one signature as nvcc writes them, and what goes around a kernel.
const FUNCTIONS: &str = ".func (.param .b32 func_retval0) twice(\n.param .b32 twice_param_0\n)\n{\n.reg .b32 %r<3>;\n\
    ld.param.u32 %r1, [twice_param_0];\nshl.b32 %r2, %r1, 1;\nst.param.b32 [func_retval0+0], %r2;\nret;\n}\n\
    .weak .func (.param .b32 func_retval0) square(\n.param .b32 square_param_0\n)\n{\n.reg .b32 %r<3>;\n\
    ld.param.u32 %r1, [square_param_0];\nmul.lo.s32 %r2, %r1, %r1;\nst.param.b32 [func_retval0+0], %r2;\nret;\n}\n\
    .func (.param .b32 func_retval0) square_too(.param .b32 p);\n.alias square_too, square;\n";

/// A call of the 64-bit register %l3 with %r0 into %r4, as nvcc writes it.
const CALL: &str = "{ // callseq 0, 0\n.reg .b32 temp_param_reg;\n.param .b32 param0;\nst.param.b32 [param0+0], %r0;\n\
    .param .b32 retval0;\nLIST\ncall (retval0), \n%l3, \n(\nparam0\n)\n, list;\nld.param.b32 %r4, [retval0+0];\n}";

fn run(globals: &str, body: &str) -> Result<Vec<u32>, Box<Fault>> {
    let body = format!(
        "ld.param.u64 %l0, [out];\nmov.u32 %r0, %tid.x;\n{body}\nmul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\n\
         st.global.u32 [%l1], %r4;"
    );
    let text = module(globals, ".param .u64 out", &body);
    let module = Module::load(&text, "calls.ptx").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(128).unwrap();
    let params = out.to_le_bytes();
    launch(&instance, &memory, &Launch::new(module.kernel("k").unwrap(), [1, 1, 1], [32, 1, 1], &params))?;
    let mut bytes = [0; 128];
    memory.read(out, &mut bytes).unwrap();
    Ok(bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect())
}

#[test]
fn pointers_reach_the_functions_that_they_hold() {
    let choose = "mov.u64 %l4, square_too;\nmov.u64 %l5, twice;\nand.b32 %r2, %r0, 1;\nsetp.eq.b32 %p1, %r2, 1;\n\
        selp.b64 %l3, %l5, %l4, %p1;\n";
    let wanted: Vec<u32> = (0..32).map(|lane| if lane % 2 == 1 { 2 * lane } else { lane * lane }).collect();
    for list in ["list : .callprototype (.param .b32 _) _ (.param .b32 _);", "list: .calltargets twice, square;"] {
        let found = run(FUNCTIONS, &format!("{choose}{}", CALL.replace("LIST", list))).unwrap();
        assert_eq!(found, wanted, "{list}");
    }
    // A target that the list leaves out, and a pointer to nothing.
    for start in [choose, "mov.u64 %l3, 12345;\n"] {
        let fault =
            run(FUNCTIONS, &format!("{start}{}", CALL.replace("LIST", "list: .calltargets twice;"))).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Trap, "{fault}");
        assert!(fault.instruction.starts_with("call"), "{fault}");
    }
}

#[test]
fn calls_heed_their_guard() {
    let body = "{\n.param .b32 a;\n.param .b32 r;\nst.param.b32 [a], %r0;\nst.param.b32 [r], 7;\nsetp.gt.u32 %p1, %r0, 9;\n\
        @%p1 call.uni (r), square, (a);\nld.param.b32 %r4, [r];\n}";
    let wanted: Vec<u32> = (0..32).map(|lane| if lane > 9 { lane * lane } else { 7 }).collect();
    assert_eq!(run(FUNCTIONS, body).unwrap(), wanted);
    let opposite: Vec<u32> = (0..32).map(|lane| if lane > 9 { 7 } else { lane * lane }).collect();
    assert_eq!(run(FUNCTIONS, &body.replace("@%p1", "@!%p1")).unwrap(), opposite);
}

#[test]
fn recursion_is_refused_with_its_name() {
    let direct = ".func f()\n{\ncall f;\nret;\n}\n";
    let mutual = ".func g();\n.func f()\n{\ncall g;\nret;\n}\n.func g()\n{\ncall.uni f;\nret;\n}\n";
    let pointer = ".func f()\n{\n.reg .b64 %q;\nmov.u64 %q, f;\nlist: .calltargets f;\ncall %q, list;\nret;\n}\n";
    for functions in [direct, mutual, pointer] {
        let error = load_error(&module(functions, "", "call f;"));
        assert!(error.message.contains("calls itself") && error.message.contains('f'), "{error}");
    }
    let error = load_error(&module("", "", "call (%r1), vprintf, (%l1, %l2);"));
    assert!(error.message.contains("vprintf"), "{error}");
}

#[test]
fn an_assertion_that_fails_traps() {
    let globals = ".extern .func __assertfail\n(\n.param .b64 a,\n.param .b64 b,\n.param .b32 c,\n.param .b64 d,\n.param .b64 e\n)\n;\n";
    let body = "mov.u32 %r4, 5;\nsetp.ne.u32 %p1, %r0, 3;\n@%p1 bra GOOD;\n{\n.param .b64 p0;\n.param .b64 p1;\n.param .b32 p2;\n\
        .param .b64 p3;\n.param .b64 p4;\ncall.uni __assertfail, (p0, p1, p2, p3, p4);\n}\nGOOD:";
    let fault = run(globals, body).unwrap_err();
    assert_eq!((fault.kind, fault.thread), (FaultKind::Trap, Some([3, 0, 0])), "{fault}");
    assert_eq!(run(globals, &body.replace("%r0, 3", "%r0, 77")).unwrap(), [5; 32]);
}

#[test]
fn variables_hold_addresses_of_others() {
    let globals = ".visible .global .align 8 .u64 places[3] = {generic(numbers)+8, later, numbers+4};\n\
        .const .align 4 .u32 numbers[4] = {10, 11, 12, 13};\n.common .global .attribute(.managed) .align 4 .u32 later = 99;\n";
    let body = "mov.u64 %l2, places;\nld.global.u64 %l3, [%l2];\nld.global.u32 %r1, [%l3];\nld.global.u64 %l3, [%l2+8];\n\
        ld.global.u32 %r2, [%l3];\nld.global.u64 %l3, [%l2+16];\nld.global.u32 %r3, [%l3];\nmad.lo.u32 %r4, %r1, 1000, %r2;\n\
        mad.lo.u32 %r4, %r4, 1000, %r3;";
    assert_eq!(run(globals, body).unwrap(), [12_099_011; 32]);
    for (initial, reason) in [
        (".global .u64 t[2] = {f, f};", "function"),
        (".global .u32 t = numbers;", "64-bit"),
        (".global .u64 t = nowhere;", "nowhere"),
        (".global .attribute(.banana) .u64 t;", "banana"),
    ] {
        let error = load_error(&module(&format!(".func f()\n{{\nret;\n}}\n.global .u32 numbers;\n{initial}"), "", ""));
        assert!(error.message.contains(reason), "{error}");
    }
}
