//! Whatever the text, the loader answers Ok or Err, and a launch of what loads Ok or a fault: no panic, no hang and
//! no allocation beyond reason. The texts are mutations of every PTX file of the tests; all follows from a seed.
//!
//! PTX_SIM_MUTATIONS=1000000 runs that many cases of each test instead of its own number, PTX_SIM_MUTATIONS_FROM
//! begins at another case than 0.

mod mutate;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fmt::Write,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use mutate::{Random, mutate};
use ptx_sim::{Kernel, Launch, Memory, Module, launch};

/// Remembers the largest single allocation.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Relaxed);
        // SAFETY: passed on from the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// More than a text of a few thousand lines can need in one piece.
const MOST_BYTES: usize = 256 << 20;
/// Far more than any case takes, on a busy machine too.
const MOST_TIME: Duration = Duration::from_secs(20);
/// Larger seeds take the time of many small ones.
const LARGEST_SEED: u64 = 24 << 10;

/// Every small PTX file of the tests, in an order that is the same everywhere.
fn seeds() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "ptx")
                && path.metadata().unwrap().len() <= LARGEST_SEED
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut found);
    found.sort();
    assert!(found.len() >= 50, "the seeds are the PTX files of the tests");
    found.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// Runs `case` on mutated texts, on all cores; `case` says whether the text got as far as it should now and then.
fn on_mutations(count: u64, case: impl Fn(&str, &mut Random) -> bool + Sync) -> u64 {
    let seeds = seeds();
    let count = setting("PTX_SIM_MUTATIONS").unwrap_or(count);
    let first = setting("PTX_SIM_MUTATIONS_FROM").unwrap_or(0);
    let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
    let one_worker = |worker: u64| {
        let mut far = 0;
        for number in (first + worker..first + count).step_by(workers as usize) {
            let mut random = Random::new(number);
            let (seed, other) = (random.below(seeds.len()), random.below(seeds.len()));
            let text = mutate(&mut random, &seeds[seed], &seeds[other]);
            let start = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| case(&text, &mut random)));
            let (time, bytes) = (start.elapsed(), LARGEST.load(Relaxed));
            let mut wrong = String::new();
            if result.is_err() {
                wrong += "it panicked (see above); ";
            }
            if time > MOST_TIME {
                let _ = write!(wrong, "it took {time:?}; ");
            }
            if bytes > MOST_BYTES {
                let _ = write!(wrong, "{bytes} bytes were allocated at once, by this case or one beside it; ");
            }
            assert!(wrong.is_empty(), "case {number}: {wrong}the text:\n{text}");
            far += u64::from(result.unwrap_or(false));
        }
        far
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || one_worker(worker))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker says which case failed")).sum()
    })
}

#[test]
fn texts_load_or_are_refused_with_a_line() {
    let loaded = on_mutations(20_000, |text, _| match Module::load(text, "mutated.ptx") {
        Ok(_) => true,
        Err(error) => {
            let lines = text.lines().count() as u32;
            assert!((1..=lines + 1).contains(&error.line), "{error} is at line {}, of {lines}", error.line);
            assert!(!error.message.is_empty());
            false
        }
    });
    assert!(loaded > 0, "no mutation loads: they are too wild to test anything but the parser");
}

#[test]
fn kernels_that_load_end_well_or_with_a_fault() {
    let launched = on_mutations(4_000, |text, random| {
        let Ok(module) = Module::load(text, "mutated.ptx") else { return false };
        let memory = Memory::with_capacity(64 << 20);
        let Ok(instance) = module.instantiate(&memory) else { return false };
        let Ok(buffer) = memory.alloc(1 << 16) else { return false };
        for kernel in module.kernels() {
            let params = parameters(kernel, buffer, random);
            let block = kernel.required_threads().unwrap_or([[32, 1, 1], [64, 1, 1], [33, 2, 1]][random.below(3)]);
            let mut request = Launch::new(kernel, [2, 1, 1], block, &params).with_dynamic_shared(4096);
            request.instruction_limit = 2000;
            if let Err(fault) = launch(&instance, &memory, &request) {
                assert!(!fault.explanation.is_empty(), "{fault:?}");
            }
        }
        true
    });
    assert!(launched > 0, "no mutation was launched");
}

/// Pointers into the buffer for what is as wide as one, else small numbers; wild values now and then.
fn parameters(kernel: &Kernel, buffer: u64, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; kernel.param_bytes() as usize];
    for param in kernel.params() {
        let value = match (random.below(16), param.size) {
            (0, _) => random.next(),
            (_, 8) => buffer + 256 * random.below(8) as u64,
            _ => random.below(64) as u64,
        };
        let size = (param.size as usize).min(8);
        bytes[param.offset as usize..][..size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
    bytes
}

/// A loader that calls itself for each level would overflow its stack, which no catching helps against.
#[test]
fn deep_nesting_ends_as_anything_else() {
    const DEPTH: usize = 200_000;
    let head = ".version 8.0\n.target sm_90\n.address_size 64\n";
    let body = |inner: String| format!("{head}.visible .entry deep()\n{{\n.reg .b32 %r<3>;\n{inner}\nret;\n}}\n");
    let texts = [
        body("{".repeat(DEPTH) + &"}".repeat(DEPTH)),
        body("{".repeat(DEPTH)),
        body(format!("mov.u32 %r1, {}1{};", "(".repeat(DEPTH), ")".repeat(DEPTH))),
        body(format!("mov.u32 %r1, {}1;", "-".repeat(DEPTH))),
        body(format!("mov.u32 %r1, {}1;", "!".repeat(DEPTH))),
        body(format!("ld.global.u32 %r1, {}%r2{};", "[".repeat(DEPTH), "]".repeat(DEPTH))),
        body(format!("mov.b32 %r1, {}%r2{};", "{".repeat(DEPTH), "}".repeat(DEPTH))),
        body(format!("mov.u32 %r1, %r2{};", "+1".repeat(DEPTH))),
        body("@%p1 ".repeat(DEPTH)),
        format!("{head}.global .b32 v[2] = {}1{};", "{".repeat(DEPTH), "}".repeat(DEPTH)),
        format!("{head}.global .b32 v = {}1{};", "(".repeat(DEPTH), ")".repeat(DEPTH)),
        format!("{head}.global .b32 v{};", "[2]".repeat(DEPTH)),
        format!("{head}{}", ".visible ".repeat(DEPTH)),
        head.repeat(1000),
        "/*".repeat(DEPTH),
        format!("{head}.func f() {{ call f; ret; }}\n.visible .entry deep() {{ call f; ret; }}"),
        chain_of_calls(head, 3000, "ret;"),
        chain_of_calls(head, 30, "ret;"),
        chain_of_calls(head, 30, ""),
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let start = Instant::now();
        let loaded = Module::load(&text, "deep.ptx").map(drop);
        println!("text {number}: {:.200}", format!("{loaded:?}"));
        assert!(start.elapsed() < MOST_TIME, "text {number} took {:?}: {loaded:?}", start.elapsed());
    }
}

/// Functions that call each other in a row, and twice each at its end: inlined, they would never end.
fn chain_of_calls(head: &str, length: usize, end: &str) -> String {
    let mut text = format!("{head}.func f0() {{ {end} }}\n");
    for number in 1..length {
        let _ = writeln!(text, ".func f{number}() {{ call f{}; call f{}; {end} }}", number - 1, number - 1);
    }
    text + &format!(".visible .entry deep() {{ call f{}; ret; }}\n", length - 1)
}
