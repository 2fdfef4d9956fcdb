//! A program with libcuda starts on a machine without NVIDIA's driver: it names no such library.

use std::process::Command;

mod common;

#[test]
fn the_program_needs_no_libcuda_and_exports_no_driver_functions() {
    let _context = common::simulated(); // so that the program calls the driver
    let program = std::env::current_exe().unwrap();
    let Ok(output) = Command::new("readelf").args(["-W", "-d", "--dyn-syms"]).arg(program).output() else {
        println!("SKIPPED: there is no readelf on this machine");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("(NEEDED)") && text.contains("libc.so"), "readelf shows what the program needs: {text}");
    assert!(!text.contains("libcuda"), "{text}");
    assert!(!text.contains("cuLaunchKernel") && !text.contains("cuInit"), "{text}");
}
