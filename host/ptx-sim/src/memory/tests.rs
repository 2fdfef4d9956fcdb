use proptest::prelude::*;

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

/// Which of the `bytes` bytes at `address` count as written, asked byte by byte and for all at once.
fn written(memory: &Memory, address: u64, bytes: usize) -> Vec<bool> {
    let (found, offset) = memory.range(address, bytes as u64).unwrap();
    let each: Vec<bool> = (0..bytes as u64).map(|at| found.unwritten(offset + at, 1).is_none()).collect();
    let first = each.iter().position(|written| !written).map(|at| offset + at as u64);
    assert_eq!(found.unwritten(offset, bytes), first);
    each
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
    // An index that wrapped leads far in front of the first allocation.
    let base = memory.alloc(10).unwrap();
    let error = memory.read(base - (1 << 33), &mut out).unwrap_err().to_string();
    assert!(error.contains("8589934592 bytes before the allocation of 10 bytes"), "{error}");
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

/// One step of a host that writes, fills and copies at places around the end of a chunk.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write { at: usize, bytes: usize },
    Fill { at: usize, bytes: usize },
    Copy { to: usize, from: usize, bytes: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let place = || prop_oneof![0..300_usize, 65_400..65_700_usize, 131_000..131_200_usize];
    let bytes = || prop_oneof![1..70_usize, 1..300_usize, Just(65_536), Just(70_000)];
    prop_oneof![
        (place(), bytes()).prop_map(|(at, bytes)| Step::Write { at, bytes }),
        (place(), bytes()).prop_map(|(at, bytes)| Step::Fill { at, bytes }),
        (place(), place(), bytes()).prop_map(|(to, from, bytes)| Step::Copy { to, from, bytes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Bytes and bits are those of an array of options, whatever is written, filled and copied over itself.
    #[test]
    fn written_bytes_are_known_one_by_one(steps in prop::collection::vec(step(), 1..12)) {
        const SIZE: usize = 210_000;
        let memory = Memory::new();
        let base = memory.alloc(SIZE as u64).unwrap();
        let mut model = vec![None; SIZE];
        for (number, step) in steps.into_iter().enumerate() {
            let value = number as u8;
            match step {
                Step::Write { at, bytes } => {
                    memory.write(base + at as u64, &vec![value; bytes]).unwrap();
                    model[at..at + bytes].fill(Some(value));
                }
                Step::Fill { at, bytes } => {
                    memory.fill(base + at as u64, bytes as u64, &[value]).unwrap();
                    model[at..at + bytes].fill(Some(value));
                }
                Step::Copy { to, from, bytes } => {
                    memory.copy(base + to as u64, base + from as u64, bytes as u64).unwrap();
                    model.copy_within(from..from + bytes, to);
                }
            }
        }
        let mut found = vec![0; SIZE];
        memory.read(base, &mut found).unwrap();
        let bits = written(&memory, base, SIZE);
        for at in 0..SIZE {
            prop_assert_eq!(bits[at].then_some(found[at]), model[at], "byte {}", at);
            prop_assert!(bits[at] || found[at] == POISON, "byte {} is not written and holds {}", at, found[at]);
        }
    }
}

#[test]
fn a_bit_for_each_byte_of_the_chunks_that_are_used() {
    let memory = Memory::new();
    let base = memory.alloc(40 << 30).unwrap();
    memory.write(base + (39 << 30), &[1]).unwrap();
    memory.fill(base + 5, 1 << 20, &[1]).unwrap();
    let (found, _) = memory.range(base, 1).unwrap();
    assert_eq!(found.shadow_bytes(), 18 * (1 << 16) / 8, "1 MiB in 17 chunks, and one far away");
    // Copies of what was never written back nothing.
    memory.copy(base + (10 << 30), base + (20 << 30), 1 << 30).unwrap();
    assert_eq!(found.shadow_bytes(), 18 * (1 << 16) / 8);
}
