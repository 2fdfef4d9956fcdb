//! Clusters and the other attributes of a launch: what is refused, and how many clusters run at once.

mod common;
#[path = "common/raw.rs"]
mod raw;

use std::{ffi::CString, ptr::null_mut};

use raw::*;

const PTX: &str = ".version 8.0
.target sm_90
.address_size 64
.visible .entry plain() { ret; }
.visible .entry pairs() .reqnctapercluster 2, 1, 1 { ret; }
.visible .entry few() .maxclusterrank 4 { ret; }
.visible .entry told() .explicitcluster { ret; }
";

fn function(name: &str) -> Raw {
    let (image, name) = (CString::new(PTX).unwrap(), CString::new(name).unwrap());
    let (mut module, mut function) = (null_mut(), null_mut());
    // SAFETY: the results outlive the calls. The module ends with the process.
    unsafe {
        assert_eq!(cuModuleLoadData(&mut module, image.as_ptr().cast()), 0, "{:?}", libcuda::refusal());
        assert_eq!(cuModuleGetFunction(&mut function, module, name.as_ptr()), 0);
    }
    function
}

fn config(grid: [u32; 3], attributes: &[Attribute]) -> Config {
    Config {
        grid,
        block: [128, 1, 1],
        dynamic_shared: 0,
        stream: null_mut(),
        attributes: attributes.as_ptr(),
        attribute_count: attributes.len() as u32,
    }
}

fn launch(function: Raw, grid: [u32; 3], attributes: &[Attribute]) -> u32 {
    // SAFETY: the kernels take nothing; the attributes outlive the call.
    unsafe { cuLaunchKernelEx(&config(grid, attributes), function, null_mut(), null_mut()) }
}

fn cluster(x: u32, y: u32, z: u32) -> Attribute {
    Attribute::new(4, &[x, y, z])
}

fn set(function: Raw, attribute: u32, value: i32) -> u32 {
    // SAFETY: a live function.
    unsafe { cuFuncSetAttribute(function, attribute, value) }
}

fn get(function: Raw, attribute: u32) -> i32 {
    let mut value = -1;
    // SAFETY: a live function, and `value` outlives the call.
    assert_eq!(unsafe { cuFuncGetAttribute(&mut value, attribute, function) }, 0);
    value
}

#[test]
fn clusters_that_hardware_refuses_are_refused() {
    let _context = common::simulated();
    type Case<'a> = (&'a str, [u32; 3], &'a [Attribute], u32, &'a str);
    let cases: &[Case<'_>] = &[
        ("plain", [16, 1, 1], &[cluster(0, 1, 1)], 912, "every side is at least 1"),
        ("plain", [16, 1, 1], &[cluster(16, 1, 1)], 912, "NON_PORTABLE_CLUSTER_SIZE_ALLOWED"),
        ("plain", [9, 9, 9], &[cluster(3, 3, 1)], 912, "9 in all"),
        ("plain", [u32::MAX >> 1, 1, 1], &[cluster(u32::MAX, u32::MAX, 2)], 912, "8 are the most"),
        ("plain", [15, 1, 1], &[cluster(2, 1, 1)], 1, "not made of whole clusters"),
        ("plain", [16, 3, 1], &[cluster(1, 2, 1)], 1, "see y"),
        ("pairs", [3, 1, 1], &[], 1, "not made of whole clusters"),
        ("pairs", [4, 1, 1], &[cluster(4, 1, 1)], 912, ".reqnctapercluster"),
        ("few", [8, 1, 1], &[cluster(8, 1, 1)], 912, ".maxclusterrank"),
        ("told", [8, 1, 1], &[], 912, ".explicitcluster"),
        ("plain", [1, 1, 1], &[Attribute::new(2, &[1])], 801, "cooperative"),
        ("plain", [1, 1, 1], &[Attribute::new(77, &[1])], 801, "launch attribute 77"),
        ("plain", [1, 1, 1], &[Attribute::new(5, &[3])], 1, "scheduling policy 3"),
        ("plain", [1, 1, 1], &[Attribute::new(7, &[16, 0, 0])], 400, "is not an event of the simulated GPU"),
    ];
    for (name, grid, attributes, code, words) in cases {
        assert_eq!(launch(function(name), *grid, attributes), *code, "{name}, {words}: {:?}", libcuda::refusal());
        let why = libcuda::refusal().unwrap();
        assert!(why.contains(words), "{words} is not in: {why}");
    }
    // Hints, and clusters of one block.
    let hints = [Attribute::new(6, &[1]), Attribute::new(8, &[0]), Attribute::new(0, &[]), cluster(1, 1, 1)];
    assert_eq!(launch(function("plain"), [3, 1, 1], &hints), 0, "{:?}", libcuda::refusal());
    assert_eq!(launch(function("told"), [3, 1, 1], &[cluster(1, 1, 1)]), 0);
}

#[test]
fn an_event_is_recorded_with_the_launch() {
    let _context = common::simulated();
    let mut event = null_mut();
    // SAFETY: the result outlives the call.
    assert_eq!(unsafe { cuEventCreate(&mut event, 0) }, 0);
    let mut time = 0.0;
    // SAFETY: as above.
    let mut elapsed = || unsafe { cuEventElapsedTime(&mut time, event, event) };
    assert_eq!(elapsed(), 400, "never recorded");
    let bits = event as usize as u64;
    let attribute = Attribute::new(7, &[bits as u32, (bits >> 32) as u32, 0, 1]);
    assert_eq!(launch(function("plain"), [1, 1, 1], &[attribute]), 0, "{:?}", libcuda::refusal());
    assert_eq!(elapsed(), 0);
}

#[test]
fn function_attributes_of_clusters_are_kept() {
    let _context = common::simulated();
    let plain = function("plain");
    assert_eq!((10..=15).map(|attribute| get(plain, attribute)).collect::<Vec<_>>(), [0; 6]);
    for (attribute, value) in [(11, 4), (12, 2), (13, 1), (14, 1), (15, 2)] {
        assert_eq!(set(plain, attribute, value), 0);
        assert_eq!(get(plain, attribute), value);
    }
    assert_eq!(launch(plain, [4, 3, 1], &[]), 1, "the clusters that were set need whole ones");
    for (attribute, value) in [(10, 1), (11, -1), (14, 2), (15, 3)] {
        assert_eq!(set(plain, attribute, value), 1, "{attribute}");
    }
    let pairs = function("pairs");
    assert_eq!((11..=13).map(|attribute| get(pairs, attribute)).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(set(pairs, 11, 4), 800);
    assert_eq!(get(function("told"), 10), 1);
}

#[test]
fn clusters_run_in_groups_of_multiprocessors() {
    let _context = common::simulated();
    let plain = function("plain");
    // A block that fills a multiprocessor: 200 KiB.
    assert_eq!(set(plain, 8, 200 << 10), 0);
    let active = |blocks: u32| {
        let mut count = -1;
        let attributes = [cluster(blocks, 1, 1)];
        let config = Config { dynamic_shared: 200 << 10, ..config([blocks, 1, 1], &attributes) };
        // SAFETY: a live function; everything outlives the call.
        let code = unsafe { cuOccupancyMaxActiveClusters(&mut count, plain, &config) };
        (code, count)
    };
    // 132 multiprocessors: two groups of 18 and six of 16.
    assert_eq!([1, 2, 4, 8].map(active), [(0, 132), (0, 66), (0, 32), (0, 16)]);
    assert_eq!(active(16).0, 912);
    let potential = || {
        let mut size = -1;
        // SAFETY: as above.
        assert_eq!(unsafe { cuOccupancyMaxPotentialClusterSize(&mut size, plain, &config([1; 3], &[])) }, 0);
        size
    };
    assert_eq!(potential(), 8);
    assert_eq!(set(plain, 14, 1), 0);
    assert_eq!((active(16), potential()), ((0, 8), 16));
}
