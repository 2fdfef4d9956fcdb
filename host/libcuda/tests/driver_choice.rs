//! Which driver is chosen, on machines with and without NVIDIA's.
//!
//! The choice is one for a process, so each case runs as a child of this program, with a library built
//! here from `fake/libcuda.c` in the place of NVIDIA's, or with none.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use cust::{
    device::Device,
    error::CudaError,
    event::{Event, EventFlags},
    launch,
    memory::{CopyDestination, DeviceBox},
    module::Module,
    stream::{Stream, StreamFlags},
};
use libcuda::{Choice, Driver};

/// Names the case that a child plays.
const CASE: &str = "LIBCUDA_TEST_CASE";

type Outcome = Result<(), Box<dyn Error>>;

/// A case: its name, what the fake library is told, what the child does, what it must print.
struct Case {
    name: &'static str,
    library: Library,
    /// `FAKE_INIT`, what the fake's cuInit answers, and `FAKE_DEVICES`, how many it has; 0 unless set.
    environment: &'static [(&'static str, &'static str)],
    play: fn() -> Outcome,
    prints: &'static [&'static str],
}

enum Library {
    Fake,
    /// A file of that name that is no library.
    Broken,
}

const CASES: [Case; 10] = [
    Case {
        name: "auto takes NVIDIA's driver and hands every argument over",
        library: Library::Fake,
        environment: &[("FAKE_DEVICES", "1")],
        play: use_nvidia,
        prints: &[
            "fake cuInit 0",
            "fake current 0xc0",
            "fake module of 19 bytes, 0 options",
            "fake stream 0 0",
            "fake function some_kernel",
            "fake launch 0xf0 grid 2 3 4 block 5 6 7 shared 8 stream 0x5e params 9 10.25 extra 0",
            "fake synchronize 0x5e",
            "fake release 0",
            "copied back 77",
        ],
    },
    Case {
        name: "functions that NVIDIA's driver lacks answer so, the rest goes on working",
        library: Library::Fake,
        environment: &[("FAKE_DEVICES", "1")],
        play: lack_functions,
        prints: &["cuMemGetInfo is 302, texts are the driver's"],
    },
    Case {
        name: "auto falls back where NVIDIA's driver finds no device",
        library: Library::Fake,
        environment: &[("FAKE_INIT", "100")],
        play: || fall_back("answers 100 (CUDA_ERROR_NO_DEVICE)"),
        prints: &["fake cuInit 0", "simulated"],
    },
    Case {
        name: "auto falls back where NVIDIA's driver counts no device",
        library: Library::Fake,
        environment: &[],
        play: || fall_back("finds no device"),
        prints: &["fake cuInit 0", "simulated"],
    },
    Case {
        name: "auto falls back where NVIDIA's driver is out of order, and says so",
        library: Library::Fake,
        environment: &[("FAKE_INIT", "803"), ("FAKE_DEVICES", "1")],
        play: || fall_back("answers 803 (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)"),
        prints: &["fake cuInit 0", "simulated"],
    },
    Case {
        name: "auto falls back where the library cannot be opened",
        library: Library::Broken,
        environment: &[],
        play: || fall_back("could not be opened"),
        prints: &["simulated"],
    },
    Case {
        name: "cuda is an error of NVIDIA's driver, never the simulator",
        library: Library::Fake,
        environment: &[("FAKE_INIT", "912"), ("FAKE_DEVICES", "1")],
        play: cuda_or_error,
        prints: &["fake cuInit 0", "refused: UnknownError"],
    },
    Case {
        name: "cuda without a driver is NoDevice with the reason",
        library: Library::Broken,
        environment: &[],
        play: cuda_without_driver,
        prints: &["no CUDA-capable device is detected (libcuda.so.1 was not found or could not be opened"],
    },
    Case {
        name: "the environment names the architecture to simulate",
        library: Library::Broken,
        environment: &[("PTX_SIM_ARCH", "sm_86")],
        play: || fall_back("could not be opened"),
        prints: &["simulated sm_86"],
    },
    Case {
        name: "an architecture that is not simulated is an error with the known ones",
        library: Library::Broken,
        environment: &[("PTX_SIM_ARCH", "sm_52")],
        play: refuse_architecture,
        prints: &["PTX_SIM_ARCH: there is no simulated GPU of architecture \"sm_52\": take one of sm_80"],
    },
];

fn use_nvidia() -> Outcome {
    let context = cust::quick_init()?;
    assert_eq!(libcuda::chosen(), Some(Driver::Cuda));
    assert_eq!((libcuda::why_not_cuda(), libcuda::fault(), libcuda::refusal()), (None, None, None));
    let module = Module::from_ptx("no PTX to the fake!", &[])?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let function = module.get_function("some_kernel")?;
    // SAFETY: the fake prints its arguments and runs nothing.
    unsafe { launch!(function<<<(2, 3, 4), (5, 6, 7), 8, stream>>>(9_u32, 10.25_f64))? };
    stream.synchronize()?;
    let value = DeviceBox::new(&77_u32)?;
    let mut back = 0;
    value.copy_to(&mut back)?;
    println!("copied back {back}");
    drop(context);
    Ok(())
}

fn lack_functions() -> Outcome {
    let _context = cust::quick_init()?;
    // The fake answers cuEventCreate with an error of its own, and has no cuMemGetInfo at all.
    let error = Event::new(EventFlags::DEFAULT).err();
    assert_eq!(error, Some(CudaError::OperatingSystemError));
    let text = error.ok_or("no error")?.to_string();
    assert!(text.contains("fake text of 304"), "{text}");
    assert_eq!(cust::memory::mem_get_info().err(), Some(CudaError::SharedObjectSymbolNotFound));
    println!("cuMemGetInfo is 302, texts are the driver's");
    Ok(())
}

fn fall_back(why: &str) -> Outcome {
    let _context = cust::quick_init()?;
    assert_eq!(libcuda::chosen(), Some(Driver::Sim));
    let reason = libcuda::why_not_cuda().ok_or("there is no reason")?;
    assert!(reason.contains(why), "{reason}");
    let back = DeviceBox::new(&[1_u32, 2, 3])?.as_host_value()?;
    assert_eq!(back, [1, 2, 3]);
    println!("{}", Device::get_device(0)?.name()?);
    Ok(())
}

fn cuda_or_error() -> Outcome {
    libcuda::select(Choice::Cuda)?;
    // 912 is newer than cust's enumeration: it must not become a value that the enumeration lacks.
    let error = cust::quick_init().err().ok_or("it should have failed")?;
    println!("refused: {error:?}");
    assert_eq!(libcuda::chosen(), None);
    assert!(libcuda::why_not_cuda().ok_or("no reason")?.contains("912 (CUDA_ERROR_INVALID_CLUSTER_SIZE)"));
    assert_eq!(cust::init(cust::CudaFlags::empty()), Err(error), "a second cuInit answers the same");
    Ok(())
}

fn cuda_without_driver() -> Outcome {
    libcuda::select(Choice::Cuda)?;
    let error = cust::init(cust::CudaFlags::empty()).err().ok_or("it should have failed")?;
    assert_eq!(error, CudaError::NoDevice);
    println!("{error}");
    assert_eq!(libcuda::chosen(), None);
    let reason = libcuda::why_not_cuda().ok_or("no reason")?;
    assert!(reason.contains("libcuda.so.1 was not found or could not be opened"), "{reason}");
    assert!(libcuda::select(Choice::Sim).is_err(), "the choice is made, although it failed");
    assert_eq!(Device::get_device(0).err(), Some(CudaError::NotInitialized));
    Ok(())
}

fn refuse_architecture() -> Outcome {
    assert_eq!(cust::init(cust::CudaFlags::empty()), Err(CudaError::InvalidDevice));
    assert_eq!(libcuda::chosen(), None);
    println!("{}", libcuda::refusal().ok_or("no reason")?);
    Ok(())
}

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(CASE) {
        let case = CASES.iter().find(|case| case.name == name).expect("the parent names a case of the list");
        return match (case.play)() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let folder = tempfile::tempdir().expect("the machine has room for a temporary folder");
    let fake = build_fake(folder.path());
    let broken = folder.path().join("broken");
    std::fs::create_dir(&broken).expect("the temporary folder can be written");
    std::fs::write(broken.join("libcuda.so.1"), "not a library").expect("as above");
    let failures = CASES.iter().filter(|case| !passes(case, &broken, fake.as_deref())).count();
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder with the fake library; nothing on a machine without a C compiler.
fn build_fake(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/libcuda.c");
    let fake = folder.join("fake");
    std::fs::create_dir(&fake).expect("the temporary folder can be written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(fake.join("libcuda.so.1")).arg(source);
    match compiler.status() {
        Ok(status) => {
            assert!(status.success(), "cc does not compile the fake driver");
            Some(fake)
        }
        Err(_) => None,
    }
}

fn passes(case: &Case, broken: &Path, fake: Option<&Path>) -> bool {
    let folder = match case.library {
        Library::Broken => broken,
        Library::Fake => match fake {
            Some(fake) => fake,
            None => {
                println!("SKIPPED {}: there is no C compiler (cc) to build the fake driver with", case.name);
                return true;
            }
        },
    };
    let mut child = Command::new(std::env::current_exe().expect("a running program has a path"));
    child.env(CASE, case.name).env("LD_LIBRARY_PATH", folder).envs(case.environment.iter().copied());
    let output = child.output().expect("a program can start itself");
    let printed = String::from_utf8_lossy(&output.stdout);
    let missing: Vec<_> = case.prints.iter().filter(|line| !printed.contains(**line)).collect();
    if output.status.success() && missing.is_empty() {
        println!("ok: {}", case.name);
        return true;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("FAILED: {}: {}\nnot printed: {missing:?}\n{printed}{errors}", case.name, output.status);
    false
}
