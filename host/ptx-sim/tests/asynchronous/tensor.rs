//! `cp.async.bulk.tensor` against plain loops over elements, and `tensormap.replace`.

use ptx_sim::{FaultKind, OutOfBoundsFill, Schedule, Swizzle, TensorElement, TensorMap};

use crate::rig::{Rig, numbers, text, zeros};

const SHARED: &str = ".shared .align 1024 .b8 tile[8192];\n.shared .align 8 .b64 bar;";

/// Loads one box at coordinates from the third parameter on and copies shared memory to `out`.
fn load_text(rank: usize, bytes: u32) -> String {
    let params: String = (0..rank).map(|axis| format!(", .param .u32 c{axis}")).collect();
    let loads: String = (0..rank).map(|axis| format!("ld.param.u32 %r{}, [c{axis}];\n", 20 + axis)).collect();
    let coords: Vec<String> = (0..rank).map(|axis| format!("%r{}", 20 + axis)).collect();
    let body = format!(
        "mov.u32 %r0, %tid.x;\nld.param.u64 %l0, [out];\nmov.b64 %l1, map;\ncvta.param.u64 %l1, %l1;\n{loads}\
         setp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\nprefetch.tensormap [%l1];\nmbarrier.init.shared::cta.b64 [bar], 1;\n\
         fence.mbarrier_init.release.cluster;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {bytes};\n\
         fence.proxy.async;\n\
         cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [%l1, {{{}}}], [bar];\n\
         READY:\nbar.sync 0;\nW:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, [bar], 0;\n@!%p2 bra W;\n\
         mov.u32 %r1, tile;\nmov.u32 %r2, %r0;\nCOPY:\nsetp.ge.u32 %p3, %r2, {bytes};\n@%p3 bra END;\n\
         add.u32 %r3, %r1, %r2;\nld.shared.u8 %r4, [%r3];\ncvt.u64.u32 %l2, %r2;\nadd.u64 %l3, %l0, %l2;\n\
         st.global.u8 [%l3], %r4;\nadd.u32 %r2, %r2, 128;\nbra COPY;\nEND:",
        coords.join(", ")
    );
    text(SHARED, &format!(".param .align 64 .b8 map[128], .param .u64 out{params}"), &body)
}

/// What shared memory holds behind a load, by plain arithmetic.
fn expected(map: &TensorMap, source: &[u8], coords: &[i32]) -> Vec<u8> {
    let size = map.element.bytes() as usize;
    let rank = map.rank as usize;
    let step = |axis: usize| if axis == 0 { 1 } else { map.element_strides[axis] };
    let sides: Vec<u32> = (0..rank).map(|axis| map.box_dims[axis].div_ceil(step(axis))).collect();
    let count: u32 = sides.iter().product();
    let mut out = vec![0_u8; count as usize * size];
    for number in 0..count {
        let (mut left, mut at, mut inside) = (number, 0_i64, true);
        for axis in 0..rank {
            let index = i64::from(coords[axis]) + i64::from(left % sides[axis] * step(axis));
            left /= sides[axis];
            inside &= index >= 0 && index < map.dims[axis] as i64;
            at += index * if axis == 0 { size as i64 } else { map.strides[axis - 1] as i64 };
        }
        let place = map.swizzle.apply(number * size as u32) as usize;
        let nan: &[u8] = if size == 2 { &[0xFF, 0x7F] } else { &[0xFF, 0xFF, 0xFF, 0x7F] };
        match (inside, map.fill) {
            (true, _) => out[place..place + size].copy_from_slice(&source[at as usize..at as usize + size]),
            (false, OutOfBoundsFill::Nan) => out[place..place + size].copy_from_slice(nan),
            (false, OutOfBoundsFill::Zero) => {}
        }
    }
    out
}

fn run_load(map: TensorMap, source: &[u8], coords: &[i32], schedule: Schedule) -> Vec<u8> {
    let bytes = map.box_bytes();
    let mut rig = Rig::with_params(&load_text(coords.len(), bytes));
    let at = rig.buffer(source);
    let out = rig.buffer(&zeros(bytes as usize));
    rig.params.extend(TensorMap { address: at, ..map }.encode().unwrap());
    rig.params.extend(out.to_le_bytes());
    coords.iter().for_each(|coord| rig.params.extend(coord.to_le_bytes()));
    rig.run(schedule).unwrap_or_else(|fault| panic!("{fault}"));
    rig.bytes(1)
}

#[test]
fn boxes_of_every_rank_swizzle_and_edge() {
    let sources = numbers(1 << 14);
    let maps = [
        TensorMap::packed(TensorElement::U8, 0, &[200], &[64]).unwrap(),
        TensorMap::packed(TensorElement::U32, 0, &[16, 24], &[8, 8]).unwrap().with_swizzle(Swizzle::B32),
        TensorMap::packed(TensorElement::BF16, 0, &[64, 40], &[32, 16]).unwrap().with_swizzle(Swizzle::B64),
        TensorMap::packed(TensorElement::F16, 0, &[64, 40], &[64, 16]).unwrap().with_swizzle(Swizzle::B128),
        TensorMap::packed(TensorElement::S32, 0, &[32, 10, 6], &[32, 4, 3]).unwrap().with_swizzle(Swizzle::B128),
        TensorMap::packed(TensorElement::U8, 0, &[32, 5, 4, 3], &[16, 3, 2, 2]).unwrap(),
        TensorMap::packed(TensorElement::U16, 0, &[16, 4, 3, 3, 3], &[8, 2, 2, 2, 2]).unwrap(),
    ];
    for map in maps {
        let rank = map.rank as usize;
        for shift in [0, -3, 2] {
            for (fill, step) in [(OutOfBoundsFill::Zero, 1), (OutOfBoundsFill::Nan, 1), (OutOfBoundsFill::Zero, 2)] {
                if fill == OutOfBoundsFill::Nan && !map.element.is_float() {
                    continue;
                }
                let mut map = map;
                map.fill = fill;
                (1..rank).for_each(|axis| map.element_strides[axis] = step);
                let coords: Vec<i32> = (0..rank).map(|axis| shift + if axis % 2 == 1 { 2 } else { 0 }).collect();
                let found = run_load(map, &sources, &coords, Schedule::Late);
                assert_eq!(found, expected(&map, &sources, &coords), "{map:?} at {coords:?}");
            }
        }
    }
}

#[test]
fn a_box_past_the_end_is_filled_in_full_and_all_its_bytes_count() {
    let sources = numbers(256);
    let map = TensorMap::packed(TensorElement::U32, 0, &[16, 16], &[16, 8]).unwrap();
    for coords in [[-16, 0], [0, 16], [100, 100], [0, -8]] {
        assert_eq!(run_load(map, &sources, &coords, Schedule::Eager), vec![0; 512], "{coords:?}");
    }
}

/// Stores a box of 16x8 words out of shared memory by `op`.
fn store(op: &str, fence: &str, coords: [i32; 2], target: &[u8]) -> Rig {
    let body = format!(
        "mov.u32 %r0, %tid.x;\nmov.b64 %l1, map;\ncvta.param.u64 %l1, %l1;\nmov.u32 %r1, tile;\nshl.b32 %r2, %r0, 2;\n\
         add.u32 %r3, %r1, %r2;\nst.shared.u32 [%r3], %r0;\n{fence}\nbar.sync 0;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra END;\n\
         mov.u32 %r5, {};\nmov.u32 %r6, {};\n{op} [%l1, {{%r5, %r6}}], [tile];\ncp.async.bulk.commit_group;\n\
         cp.async.bulk.wait_group 0;\nEND:",
        coords[0], coords[1]
    );
    let mut rig = Rig::with_params(&text(SHARED, ".param .align 64 .b8 map[128]", &body));
    let at = rig.buffer(target);
    let map = TensorMap::packed(TensorElement::U32, at, &[20, 12], &[16, 8]).unwrap();
    rig.params.extend(map.encode().unwrap());
    rig
}

#[test]
fn stores_and_reductions_are_clipped_at_the_edges() {
    let start: Vec<u8> = (0..240_u32).flat_map(|word| (word * 7).to_le_bytes()).collect();
    type Rule = fn(u32, u32) -> u32;
    let cases: [(&str, Rule); 5] = [
        ("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group", |_, new| new),
        ("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group", |old, new| old + new),
        ("cp.reduce.async.bulk.tensor.2d.global.shared::cta.max.bulk_group", |old, new| old.max(new)),
        ("cp.reduce.async.bulk.tensor.2d.global.shared::cta.xor.bulk_group", |old, new| old ^ new),
        (
            "cp.reduce.async.bulk.tensor.2d.global.shared::cta.inc.bulk_group",
            |old, new| if old >= new { 0 } else { old + 1 },
        ),
    ];
    for (op, rule) in cases {
        for coords in [[0, 0], [8, 6], [4, 4]] {
            let rig = store(op, "fence.proxy.async;", coords, &start);
            rig.run(Schedule::Late).unwrap_or_else(|fault| panic!("{fault}"));
            let mut wanted: Vec<u32> = (0..240).map(|word| word * 7).collect();
            for number in 0..128_u32 {
                let (x, y) = (coords[0] as u32 + number % 16, coords[1] as u32 + number / 16);
                if x < 20 && y < 12 {
                    let slot = &mut wanted[(y * 20 + x) as usize];
                    *slot = rule(*slot, number);
                }
            }
            assert_eq!(rig.words(0), wanted, "{op} at {coords:?}");
        }
    }
    let missing = store("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group", "", [0, 0], &start);
    assert_eq!(missing.fault().kind, FaultKind::Proxy);
}

#[test]
fn wrong_maps_and_coordinates_are_faults() {
    let map = TensorMap::packed(TensorElement::U32, 0, &[16, 16], &[16, 8]).unwrap();
    let with = |bytes: [u8; 128], words: &str| {
        let mut rig = Rig::with_params(&load_text(2, 512));
        let (_, out) = (rig.buffer(&numbers(256)), rig.buffer(&zeros(512)));
        rig.params.extend(bytes);
        rig.params.extend(out.to_le_bytes());
        rig.params.extend([0; 8]);
        let fault = rig.run(Schedule::Late).unwrap_err();
        assert!(fault.explanation.contains(words), "{words}: {fault}");
    };
    with([7; 128], "no tensor map");
    with(map.encode().unwrap(), "null");
    with(TensorMap::packed(TensorElement::U32, 0, &[16], &[16]).unwrap().encode().unwrap(), "rank 1");
    with(TensorMap::packed(TensorElement::Tf32, 0, &[16, 16], &[16, 8]).unwrap().encode().unwrap(), "not supported");
}

/// Makes a map of `p1` in shared memory, publishes it at `p2` and loads by it; `publish` and `acquire` as given.
fn made_here(publish: &str, acquire: &str) -> Rig {
    let fields = [
        "global_address.shared::cta.b1024.b64 [%r1], %l1;",
        "rank.shared::cta.b1024.b32 [%r1], 1;",
        "box_dim.shared::cta.b1024.b32 [%r1], 0, 16;",
        "box_dim.shared::cta.b1024.b32 [%r1], 1, 8;",
        "global_dim.shared::cta.b1024.b32 [%r1], 0, 16;",
        "global_dim.shared::cta.b1024.b32 [%r1], 1, 16;",
        "global_stride.shared::cta.b1024.b64 [%r1], 0, 64;",
        "element_stride.shared::cta.b1024.b32 [%r1], 0, 1;",
        "element_stride.shared::cta.b1024.b32 [%r1], 1, 1;",
        "elemtype.shared::cta.b1024.b32 [%r1], 2;",
        "interleave_layout.shared::cta.b1024.b32 [%r1], 0;",
        "swizzle_mode.shared::cta.b1024.b32 [%r1], 0;",
        "fill_mode.shared::cta.b1024.b32 [%r1], 0;",
    ];
    let replaces: String = fields.iter().map(|field| format!("tensormap.replace.tile.{field}\n")).collect();
    let body = format!(
        "mov.u32 %r1, map;\nsetp.ge.u32 %p4, %r0, 32;\n@%p4 bra MADE;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\n\
         mov.u32 %r4, 0;\nst.shared.u32 [%r3], %r4;\nbar.warp.sync -1;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra SET;\n{replaces}\
         SET:\nbar.warp.sync -1;\n{publish}\nMADE:\nbar.sync 0;\nsetp.ne.u32 %p1, %r0, 0;\n@%p1 bra READY;\n{acquire}\n\
         mbarrier.init.shared::cta.b64 [bar], 1;\nfence.proxy.async;\n\
         mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 512;\nmov.u32 %r5, 0;\n\
         cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes [tile], [%l2, {{%r5, %r5}}], [bar];\n\
         READY:\nbar.sync 0;\nW:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, [bar], 0;\n@!%p2 bra W;\n\
         mov.u32 %r1, tile;\nshl.b32 %r2, %r0, 2;\nadd.u32 %r3, %r1, %r2;\nld.shared.u32 %r4, [%r3];\n\
         cvt.u64.u32 %l4, %r2;\nadd.u64 %l5, %l0, %l4;\nst.global.u32 [%l5], %r4;"
    );
    let shared = format!("{SHARED}\n.shared .align 128 .b8 map[128];");
    Rig::new(&shared, &[&zeros(512), &numbers(256), &zeros(128)], &body)
}

#[test]
fn a_kernel_makes_a_map_and_uses_it() {
    let publish =
        "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%l2], [%r1], 128;";
    let acquire = "fence.proxy.tensormap::generic.acquire.gpu [%l2], 128;";
    let rig = made_here(publish, acquire);
    rig.clean();
    assert_eq!(rig.bytes(0), &numbers(256)[..512]);
    let fault = made_here(publish, "").fault();
    assert_eq!(fault.kind, FaultKind::Proxy, "{fault}");
    assert!(fault.explanation.contains("acquire"), "{fault}");
}
