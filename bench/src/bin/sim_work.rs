//! The simulator's side of `sim_peers.py`: does one piece of work for each line that comes in and answers with
//! one line, the seconds that it took (or what else the line asks for). Every check is on.
//!
//! ```text
//! quantize ROWS COLS IN OUT      x f32 from a file; codes int8 to a file; seconds
//! gemm M N K A B OUT             A and B int8 from files; sums int32 to a file; seconds
//! product FILE.ptx               a kernel of matrix products, in one block and so on one core: its MACs, seconds, and
//!                                the total of the sums that it leaves
//! touch FILE.ptx BYTES           a kernel that writes a buffer: bytes resident more than the buffer
//! ```
//!
//! Operands are uploaded and kernels loaded before the clock starts. The answer to a line that cannot be done is
//! an error on standard error, and the end.

use anyhow::{Context as _, Result, bail};
use outerscale::{
    Activations, Backend, Gpu, Int8Matrix, Layout, Output, PerTensor, QuantizedTokens, QuantizedWeights, Scales,
    Workspace, ops,
    ops::{Choice, Product},
};
use outerscale_bench::Products;
use ptx_sim::{Launch, Memory, Module};
use std::{fs, io, time::Instant};

fn main() -> Result<()> {
    let gpu = Gpu::open(Backend::Sim)?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["quantize", rows, cols, from, to] => quantize(&gpu, [rows.parse()?, cols.parse()?], from, to)?,
            ["gemm", m, n, k, a, b, to] => gemm(&gpu, [m.parse()?, n.parse()?, k.parse()?], [a, b], to)?,
            ["product", ptx] => product(ptx)?,
            ["touch", ptx, bytes] => touch(ptx, bytes.parse()?)?,
            _ => bail!("`{line}` is no work"),
        };
        println!("{answer}");
    }
    Ok(())
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {path}"))
}

/// Launches once more, by the clock: the first launch found everything cold.
fn seconds(gpu: &Gpu, launch: &outerscale::Launch) -> Result<f64> {
    let start = Instant::now();
    launch.again()?;
    gpu.synchronize()?;
    Ok(start.elapsed().as_secs_f64())
}

fn quantize(gpu: &Gpu, [rows, cols]: [usize; 2], from: &str, to: &str) -> Result<String> {
    let x: Vec<f32> = read(from)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let x = Activations::upload(gpu, &x, Layout::contiguous(rows as u64, cols as u64))?;
    let (tokens, launch) = ops::quantize_token(gpu, &x, Choice::Auto)?;
    let seconds = seconds(gpu, &launch)?;
    let codes: Vec<u8> = tokens.download_codes()?.iter().map(|code| code.cast_unsigned()).collect();
    fs::write(to, codes)?;
    Ok(seconds.to_string())
}

fn gemm(gpu: &Gpu, [m, n, k]: [usize; 3], [a, b]: [&str; 2], to: &str) -> Result<String> {
    let matrix = |path: &str, rows: usize| -> Result<_> {
        let codes: Vec<i8> = read(path)?.iter().map(|byte| byte.cast_signed()).collect();
        Ok(Int8Matrix::upload(gpu, &codes, Layout::contiguous(rows as u64, k as u64))?)
    };
    let (x, _) = ops::pack_rows(gpu, &matrix(a, m)?, Choice::Auto)?;
    let x = QuantizedTokens::<PerTensor>::from_packed(x, Scales::upload(gpu, &[1.0])?)?;
    let (w, _) = ops::pack_weights(gpu, &matrix(b, n)?, Choice::Auto)?;
    let w = QuantizedWeights::<PerTensor>::from_packed(w, Scales::upload(gpu, &[1.0])?)?;
    let mut y = Output::<i32>::new(gpu, Layout::contiguous(m as u64, n as u64))?;
    let launch = ops::gemm(gpu, Product { x: &x, w: &w, bias: None }, &mut y, &mut Workspace::none(), Choice::Auto)?;
    let seconds = seconds(gpu, &launch)?;
    fs::write(to, y.download()?.iter().flat_map(|sum| sum.to_le_bytes()).collect::<Vec<u8>>())?;
    Ok(seconds.to_string())
}

fn product(path: &str) -> Result<String> {
    let products = Products::load(&fs::read_to_string(path)?, path);
    let start = Instant::now();
    let report = products.run()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(format!("{} {seconds} {}", report.counters.macs, products.total()))
}

/// Runs the only kernel of a file on a buffer of `bytes`, 16 of them a thread.
fn touch(path: &str, bytes: u64) -> Result<String> {
    let module = Module::load(&fs::read_to_string(path)?, path)?;
    let kernel = module.kernels().next().context("the file has a kernel")?;
    let memory = Memory::new();
    let instance = module.instantiate(&memory)?;
    let out = memory.alloc(bytes)?;
    let params = out.to_le_bytes();
    let before = resident()?;
    let blocks = u32::try_from(bytes / (16 * 128))?;
    ptx_sim::launch(&instance, &memory, &Launch::new(kernel, [blocks, 1, 1], [128, 1, 1], &params))?;
    let more = resident()? - before;
    Ok((more - i64::try_from(bytes)?).to_string())
}

/// Bytes of this process that lie in memory.
fn resident() -> Result<i64> {
    let text = fs::read_to_string("/proc/self/statm").context("this needs Linux")?;
    let pages: i64 = text.split_whitespace().nth(1).context("statm has a second number")?.parse()?;
    Ok(pages * 4096)
}
