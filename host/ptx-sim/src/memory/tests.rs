use super::*;

#[test]
fn untouched_memory_reads_as_poison_and_costs_nothing() {
    let memory = Memory::new();
    let base = memory.alloc(40 << 30).unwrap();
    let mut out = [0; 5];
    memory.read(base + (39 << 30), &mut out).unwrap();
    assert_eq!(out, [POISON; 5]);
    memory.write(base + (20 << 30) - 2, &[1, 2, 3, 4]).unwrap();
    memory.read(base + (20 << 30) - 3, &mut out).unwrap();
    assert_eq!(out, [POISON, 1, 2, 3, 4]);
}

#[test]
fn a_byte_past_the_end_and_a_freed_allocation_are_errors_that_say_so() {
    let memory = Memory::new();
    let base = memory.alloc(10).unwrap();
    let mut out = [0; 4];
    let error = memory.read(base + 7, &mut out).unwrap_err().to_string();
    assert!(error.contains("4 bytes at") && error.contains("byte 7 of the allocation of 10 bytes"), "{error}");
    let error = memory.write(base + 10, &[0]).unwrap_err().to_string();
    assert!(error.contains("right after the allocation of 10 bytes"), "{error}");
    memory.free(base).unwrap();
    let error = memory.read(base, &mut out).unwrap_err().to_string();
    assert!(error.contains("that were freed"), "{error}");
    assert!(matches!(memory.free(base), Err(MemoryError::NotABase { .. })));
    let error = memory.read(8, &mut out).unwrap_err().to_string();
    assert!(error.contains("near-null"), "{error}");
}

#[test]
fn addresses_are_never_given_out_twice_and_lie_apart() {
    let memory = Memory::new();
    let mut earliest = 0;
    for bytes in [1, 255, 256, 70_000, 1 << 20] {
        let base = memory.alloc(bytes).unwrap();
        assert_eq!(base % 512, 256, "no more than CUDA's own promise");
        assert!(base >= earliest, "the gap is as long as what lies below it");
        earliest = base + bytes + bytes.max(LEAST_GAP);
        memory.free(base).unwrap();
    }
}

#[test]
fn capacity_is_kept() {
    let memory = Memory::with_capacity(100);
    assert_eq!(memory.alloc(0), Err(MemoryError::Empty));
    let base = memory.alloc(60).unwrap();
    assert!(matches!(memory.alloc(41), Err(MemoryError::OutOfMemory { wanted: 41, free: 40, capacity: 100 })));
    memory.free(base).unwrap();
    assert_eq!(memory.used(), 0);
    memory.alloc(100).unwrap();
    assert!(Memory::new().alloc(u64::MAX).is_err());
}

#[test]
fn copies_may_overlap_both_ways_and_fills_repeat() {
    let bytes = 3 << 20;
    for (target, source) in [(5, 0), (0, 5)] {
        let memory = Memory::new();
        let base = memory.alloc(bytes + 5).unwrap();
        let mut expected: Vec<u8> = (0..bytes + 5).map(|i| (i * 7 % 251) as u8).collect();
        memory.write(base, &expected).unwrap();
        memory.copy(base + target, base + source, bytes).unwrap();
        expected.copy_within(source as usize..(source + bytes) as usize, target as usize);
        let mut out = vec![0; expected.len()];
        memory.read(base, &mut out).unwrap();
        assert!(out == expected);
    }
    let memory = Memory::new();
    let base = memory.alloc(8).unwrap();
    memory.fill(base + 1, 5, &[1, 2]).unwrap();
    let mut out = [0; 8];
    memory.read(base, &mut out).unwrap();
    assert_eq!(out, [POISON, 1, 2, 1, 2, 1, POISON, POISON]);
}
