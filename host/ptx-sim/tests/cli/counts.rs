//! Counts: JSON, the listing, the list of kernels.

use std::collections::HashMap;

use serde_json::Value;

use crate::{Place, data};

#[test]
fn counts_are_those_of_the_kernel() {
    let place = Place::new();
    let file = data("transpose.ptx");
    let args = [&file, "--grid", "1", "--block", "32,32", "--arg", "zero:x=u32[32,32]", "--arg", "out:y=u32[32,32]"];
    let json: Value = serde_json::from_str(&place.ends(0, &[&args[..], &["--json"]].concat())).unwrap();
    let metric = |name: &str| json["metrics"][name].as_u64().unwrap_or_else(|| panic!("{name} in {json:#}"));
    assert_eq!(metric("smsp__inst_executed"), 32 * 20);
    assert_eq!(metric("l1tex__t_requests_pipe_lsu_mem_global_op_ld"), 32);
    assert_eq!(metric("l1tex__t_sectors_pipe_lsu_mem_global_op_ld"), 32 * 4);
    assert_eq!(metric("memory_l2_theoretical_sectors_global_ideal"), 2 * 32 * 4);
    assert_eq!(metric("memory_l1_wavefronts_shared"), 32 + 32 * 32, "a column of the tile lies in one bank");
    assert_eq!(metric("memory_l1_wavefronts_shared_ideal"), 64);
    assert_eq!(metric("derived__memory_l1_wavefronts_shared_excessive"), 32 * 31);
    assert_eq!(metric("ptx__barriers"), 32);
    let rows = json["instructions"].as_array().unwrap();
    let line = |line: u64| rows.iter().find(|row| row["line"] == line).unwrap();
    assert_eq!(line(27)["metrics"]["memory_l1_wavefronts_shared"], 32 * 32);
    assert_eq!(line(22)["metrics"]["memory_l1_wavefronts_shared"], 32);
    assert_eq!(line(27)["ptx"], "ld.shared.u32 %r8, [%r7];");
    // The counts of the instructions add up to those of the kernel.
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for row in rows {
        for (name, value) in row["metrics"].as_object().unwrap() {
            *sums.entry(name).or_default() += value.as_u64().unwrap();
        }
    }
    assert_eq!(sums["inst_executed"], metric("smsp__inst_executed"));
    for name in ["memory_l2_theoretical_sectors_global", "memory_l1_wavefronts_shared", "ptx__macs"] {
        assert_eq!(sums[name], metric(name));
    }
    let off = place.ends(0, &[&args[..], &["--json", "--no-profile"]].concat());
    let off: Value = serde_json::from_str(&off).unwrap();
    assert_eq!(off["metrics"]["memory_l1_wavefronts_shared"], 0);
    assert_eq!(off["metrics"]["smsp__sass_data_bytes_mem_shared_op_ld"], 4096);
}

#[test]
fn the_listing_fits_its_columns_and_marks_what_costs() {
    let place = Place::new();
    let file = data("transpose.ptx");
    let args = [&file, "--grid", "1", "--block", "32,32", "--arg", "zero:x=u32[1024]", "--arg", "out:y=u32[1024]"];
    let text = place.ends(0, &[&args[..], &["--annotate"]].concat());
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in {text}"));
    let load = line("ld.shared.u32");
    assert!(load.contains("1024/32") && load.contains('!') && load.contains(" 27 "), "{load}");
    assert!(line("st.shared.u32").contains("32/32") && !line("st.shared.u32").contains('!'));
    assert!(line("ld.global.u32").contains("128/128"));
    assert!(text.contains(".visible .entry transpose"));

    // A loop, a line that is too long, and lanes that part.
    let long = "%r1 ".repeat(40);
    let body = format!(
        "mov.u32 %r1, %tid.x;\nmov.u32 %r2, 0;\nsetp.lt.u32 %p2, %r1, 7;\n@%p2 bra DONE;\nAGAIN:\nadd.u32 %r2, %r2, 1;\n\
         setp.lt.u32 %p1, %r2, 100;\n@%p1 bra AGAIN;\n// {long}\nDONE:"
    );
    place.kernel("", &body);
    let text = place.ends(0, &["k.ptx", "--grid", "3", "--block", "32", "--annotate"]);
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(line("add.u32 %r2").starts_with("     300    25.0") && line("add.u32 %r2").contains(" * "), "{text}");
    assert!(line("bra DONE").contains(" / ") && !line("bra DONE").contains('*'), "{text}");
    assert!(line("// %r1").ends_with("..."), "{text}");
}

#[test]
fn kernels_are_listed_with_their_parameters() {
    let place = Place::new();
    let text = place.ends(0, &[&data("scale.ptx"), "--list"]);
    assert!(
        text.starts_with("scale: 0 bytes of static shared memory\n") && text.contains("4 bytes, aligned to   4  n")
    );
    let json: Value = serde_json::from_str(&place.ends(0, &[&data("scale.ptx"), "--list", "--json"])).unwrap();
    assert_eq!(json["kernels"][0]["parameters"][2]["name"], "a");
    place.write("empty.ptx", ".version 8.0\n.target sm_80\n.address_size 64\n");
    assert!(place.ends(0, &["empty.ptx", "--list"]).contains("no kernel"));
    assert!(place.ends(0, &["--help"]).contains("SPEC, a parameter:"));
    assert!(place.ends(0, &["--version"]).starts_with("ptx-sim "));
}
