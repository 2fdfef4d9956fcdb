//! Every spec of a parameter, and what is refused.

use safetensors::Dtype;

use crate::{Place, floats, one};

#[test]
fn every_number_arrives_as_its_bytes() {
    let place = Place::new();
    let cases: [(&str, &str, &[u8]); 18] = [
        (".u8", "u8:0xfe", &[0xFE]),
        (".s8", "i8:-2", &[0xFE]),
        (".b8", "b8:7", &[7]),
        (".u16", "u16:513", &[1, 2]),
        (".s16", "s16:-2", &[0xFE, 0xFF]),
        (".b16", "f16:1.5", &[0x00, 0x3E]),
        (".b16", "bf16:1.5", &[0xC0, 0x3F]),
        (".u32", "u32:5", &[5, 0, 0, 0]),
        (".s32", "s32:-5", &[0xFB, 0xFF, 0xFF, 0xFF]),
        (".b32", "b32:0x01020304", &[4, 3, 2, 1]),
        (".f32", "f32:0.5", &[0, 0, 0, 0x3F]),
        (".u64", "u64:0", &[0; 8]),
        (".s64", "i64:-1", &[0xFF; 8]),
        (".b64", "b64:0xff00000000000000", &[0, 0, 0, 0, 0, 0, 0, 0xFF]),
        (".f64", "f64:-2", &[0, 0, 0, 0, 0, 0, 0, 0xC0]),
        (".align 4 .b8", "bytes:00010203ff", &[0, 1, 2, 3, 0xFF]),
        (".align 4 .b8", "pad:3", &[0, 0, 0]),
        (".align 8 .b8", "{u8:1;u16:2;{u32:3;u8:4};pad:3;i8:-1}", &[1, 0, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0xFF]),
    ];
    for (ty, spec, expected) in cases {
        let suffix = if ty.starts_with(".align") { format!("[{}]", expected.len()) } else { String::new() };
        let mut body = "ld.param.u64 %rd1, [y];\n".to_owned();
        for byte in 0..expected.len() {
            body += &format!("ld.param.u8 %h1, [v+{byte}];\nst.global.u8 [%rd1+{byte}], %h1;\n");
        }
        place.kernel(&format!(".param {ty} v{suffix}, .param .u64 y"), &body);
        let out = format!("out:y=U8[{}]", expected.len());
        place.ends(0, &one(&["--arg", spec, "--arg", &out, "--save", "y.safetensors"]));
        assert_eq!(place.saved("y.safetensors", "y").2, expected, "{spec}");
    }
}

#[test]
fn buffers_come_from_files_zeros_and_each_other() {
    let place = Place::new();
    // y += x + 100; z += the second word of y; all by way of pointers, two of them in a struct.
    place.kernel(
        ".param .u64 x, .param .u64 y, .param .align 8 .b8 rest[24], .param .u64 s",
        "ld.param.u64 %rd1, [x];\nld.param.u64 %rd2, [y];\nld.param.u64 %rd3, [rest];\nld.param.u64 %rd4, [rest+16];\n\
         ld.param.u32 %r9, [rest+8];\nld.global.u32 %r1, [%rd1];\nld.global.u32 %r2, [%rd2];\nadd.u32 %r3, %r1, %r2;\n\
         add.u32 %r3, %r3, %r9;\nst.global.u32 [%rd2], %r3;\nld.global.u32 %r4, [%rd3];\nld.global.u32 %r5, [%rd4];\n\
         add.u32 %r5, %r5, %r4;\nst.global.u32 [%rd4], %r5;\nld.param.u64 %rd5, [s];\n\
         st.global.u32 [%rd5+2000000000], %r5;",
    );
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    place.tensors(
        "in.safetensors",
        &[("x", Dtype::U32, &[2], &words(&[1, 2])), ("old y", Dtype::I32, &[2, 1], &words(&[10, 20]))],
    );
    let specs = ["in:in.safetensors#x", "inout:y=in.safetensors#old y", "{ptr:y+4;u32:100;zero:z=u32[3]}"];
    let mut args = one(&["--save", "out.safetensors"]);
    for spec in specs.iter().chain(&["scratch:U8[2000000004]"]) {
        args.extend(["--arg", spec]);
    }
    place.ends(0, &args);
    assert_eq!(place.saved("out.safetensors", "y"), (Dtype::I32, vec![2, 1], words(&[111, 20])));
    assert_eq!(place.saved("out.safetensors", "z"), (Dtype::U32, vec![3], words(&[20, 0, 0])));
    // The file that was read is as it was.
    assert_eq!(place.saved("in.safetensors", "old y").2, words(&[10, 20]));
}

#[test]
fn a_tensor_map_is_that_of_its_buffer() {
    let place = Place::new();
    place.kernel(".param .align 64 .b8 m[128], .param .u64 y", "");
    for map in [
        "tmap:y,box=8x32",
        "tmap:y,box=8x32,swizzle=128,fill=nan,strides=2x1",
        "tmap:out:t=F16[64,128],box=1x16,swizzle=32",
        "tmap:scratch:BF16[3,64,128],box=1x2x8,swizzle=none,fill=zero",
    ] {
        place.ends(0, &one(&["--arg", map, "--arg", "out:y=F32[64,128]"]));
    }
    for (map, why) in [
        ("tmap:y,box=8x3", "not a multiple of 16"),
        ("tmap:y,box=8x64,swizzle=128", "the swizzle's rows have 128"),
        ("tmap:y,box=32", "2 dimensions with a box of 1"),
        ("tmap:y,box=8x32,strides=1", "1 element strides for 2 dimensions"),
        ("tmap:y,box=8x32,colour=3", "no setting of a tensor map"),
        ("tmap:z,box=8x32", "no buffer called z (y)"),
        ("tmap:y", "has no box"),
    ] {
        let error = place.ends(2, &one(&["--arg", map, "--arg", "out:y=F32[64,128]"]));
        assert!(error.contains(why), "{map}: {error}");
    }
}

#[test]
fn what_cannot_run_ends_with_2_and_says_why() {
    let place = Place::new();
    let header = ".version 8.0\n.target sm_80\n.address_size 64\n";
    place.kernel(".param .u64 y, .param .u32 n", "ld.param.u64 %rd1, [y];\nst.global.u32 [%rd1], 1;");
    place.tensors("x.safetensors", &[("x", Dtype::F32, &[1], &floats([1.0])), ("none", Dtype::F32, &[0], &[])]);
    place.write("rubbish", [0xFF, 0, 1, 2, 3, 200, 255, 255, 9]);
    place.write("two.ptx", format!("{header}.entry a() {{ ret; }}\n.entry b() {{ ret; }}\n"));
    place.write("bad.ptx", format!("{header}.entry a() {{\nfrobnicate.u32 %r1;\nret; }}\n"));
    let files = place.files();
    let good = ["--arg", "out:y=u32[1]", "--arg", "u32:1"];
    place.ends(0, &one(&good));
    let arg = |first: &'static str| one(&["--arg", first, "--arg", "u32:1"]);
    let with = |more: &[&'static str]| [&one(&good)[..], more].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec![], "required"),
        (vec!["k.ptx"], "--grid"),
        (vec!["none.ptx", "--grid", "1", "--block", "1"], "none.ptx: cannot be read"),
        (vec!["rubbish", "--grid", "1", "--block", "1"], "rubbish: cannot be read"),
        (vec!["x.safetensors", "--list"], "valid UTF-8"),
        (vec!["bad.ptx", "--list"], "bad.ptx:5: "),
        (vec!["two.ptx", "--grid", "1", "--block", "1"], "kernels a, b; choose one"),
        (one(&["--kernel", "q"]), "no kernel q; it has k"),
        (one(&["--arg", "u64:0"]), "takes 2 parameters (y: 8 bytes, n: 4 bytes), 1 --arg were given"),
        (arg("u32:0"), "--arg 1 (u32:0) is for parameter y of k, but has 4 bytes, the parameter 8"),
        (arg("u64:-1"), "-1 is no u64"),
        (arg("u65:1"), "no kind of parameter"),
        (arg("5"), "has no kind"),
        (arg("{u32:1;u32:2"), "does not end with }"),
        (arg("{u32:1};u32:2}"), "too many"),
        (arg("{u8:1;u32:x;pad:0}"), "no integer"),
        (arg("pad:99999"), "1 to 4096"),
        (arg("bytes:123"), "two hexadecimal digits"),
        (arg("in:x.safetensors"), "FILE.safetensors#TENSOR"),
        (arg("in:none.safetensors#x"), "none.safetensors: cannot be read"),
        (arg("in:rubbish#x"), "rubbish: is no safetensors file"),
        (arg("in:x.safetensors#q"), "no tensor 'q'; it has none, x"),
        (arg("in:x.safetensors#none"), "no elements"),
        (arg("out:F32[4]"), "no name"),
        (arg("out:y=F32"), "has no shape"),
        (arg("out:y=F31[4]"), "none of the types"),
        (arg("out:y=F32[4,x]"), "no length"),
        (arg("out:y=F32[4,0]"), "no elements"),
        (arg("out:y=F32[4294967296,4294967296]"), "larger than any memory"),
        (arg("out:y=F32[99999999999999]"), "are free"),
        (arg("ptr:z"), "no buffer called z"),
        (arg("ptr:z+q"), "no number of bytes"),
        (arg("{in:x.safetensors#x;u8:1}"), "has 16 bytes"),
        (with(&["--arg", "u8:1"]), "3 --arg were given"),
        (with(&["--save", "none/out"]), "its folder does not exist"),
        (with(&["--save", "."]), "no name of a file"),
        (with(&["--schedule", "random:x"]), "seed"),
        (with(&["--schedule", "fast"]), "late, eager or random:SEED"),
        (with(&["--schedules", "0"]), "--schedules"),
        (with(&["--blocks", "3-1"]), "lower number comes first"),
        (with(&["--blocks", "0-1"]), "a grid of 1"),
        (with(&["--off", "bugs"]), "bugs"),
        (with(&["--json", "--annotate"]), "--annotate"),
        ([&["k.ptx", "--grid", "0", "--block", "1"], &good[..]].concat(), "at least 1"),
        ([&["k.ptx", "--grid", "1,1,1,1", "--block", "1"], &good[..]].concat(), "three axes"),
        ([&["k.ptx", "--grid", "1", "--block", "1025"], &good[..]].concat(), "there can be 1024"),
        ([&["k.ptx", "--grid", "1,65536", "--block", "1"], &good[..]].concat(), "along y there can be 65535"),
        ([&["k.ptx", "--grid", "2147483648", "--block", "1"], &good[..]].concat(), "along x there can be 2147483647"),
        ([&["k.ptx", "--grid", "1", "--block", "1,1,65"], &good[..]].concat(), "along z there can be 64"),
        (with(&["--shared", "232449"]), "no GPU has more than 232448"),
    ];
    for (args, why) in cases {
        let error = place.ends(2, &args);
        assert!(error.contains(why), "{args:?}: {error}");
    }
    place.kernel(".param .u64 y, .param .u64 z", "");
    let twice = one(&["--arg", "out:y=u32[1]", "--arg", "zero:y=u32[1]"]);
    assert!(place.ends(2, &twice).contains("a second buffer is called y"));
    assert_eq!(place.files(), files, "no output was begun");
}
