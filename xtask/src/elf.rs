//! Reads which shared libraries a program asks the loader for: what `readelf -d` calls NEEDED.

use anyhow::{Context, Result, ensure};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// The names of the needed libraries of a 64-bit little-endian ELF file (ELF-64 object file format, version 1.5).
///
/// # Errors
/// Not such a file, or one whose tables point outside it.
pub(crate) fn needed(file: &[u8]) -> Result<Vec<String>> {
    ensure!(file.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1]), "not a 64-bit little-endian ELF file");
    let headers = segments(file)?;
    let Some(dynamic) = headers.iter().find(|segment| segment.kind == PT_DYNAMIC) else { return Ok(Vec::new()) };
    let table = slice(file, dynamic.offset, dynamic.size)?;
    let entries: Vec<(u64, u64)> =
        table.chunks_exact(16).map(|entry| (number(&entry[..8]), number(&entry[8..]))).collect();
    let Some(&(_, address)) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB) else { return Ok(Vec::new()) };
    // The table of strings is given by its address once loaded.
    let holds = |segment: &&Segment| {
        segment.kind == PT_LOAD && (segment.address..segment.address.saturating_add(segment.size)).contains(&address)
    };
    let segment = headers.iter().find(holds).context("the string table is in no segment")?;
    let strings = segment.offset + (address - segment.address);
    let names = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED);
    names.map(|(_, offset)| name(file, strings.saturating_add(*offset))).collect()
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

fn segments(file: &[u8]) -> Result<Vec<Segment>> {
    let header = slice(file, 0, 64)?;
    let (start, entry_size, count) = (number(&header[32..40]), number(&header[54..56]), number(&header[56..58]));
    ensure!(entry_size >= 56, "program headers of {entry_size} bytes");
    (0..count)
        .map(|i| {
            let entry = slice(file, start.saturating_add(i * entry_size), 56)?;
            Ok(Segment {
                kind: number(&entry[..4]) as u32,
                offset: number(&entry[8..16]),
                address: number(&entry[16..24]),
                size: number(&entry[32..40]),
            })
        })
        .collect()
}

fn slice(file: &[u8], offset: u64, size: u64) -> Result<&[u8]> {
    let end = offset.checked_add(size).filter(|end| *end <= file.len() as u64).context("the file is cut short")?;
    Ok(&file[offset as usize..end as usize])
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn name(file: &[u8], offset: u64) -> Result<String> {
    let rest = file.get(offset as usize..).context("a name outside the file")?;
    let end = rest.iter().position(|byte| *byte == 0).context("a name without an end")?;
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_needs_the_c_library() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let names = needed(&own).unwrap();
        assert!(names.iter().any(|name| name.starts_with("libc.so")), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("libcuda")), "{names:?}");
    }

    #[test]
    fn broken_files_are_errors() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needed(b"#!/bin/sh\n").is_err());
        for length in [6, 63, 100, 300, 4096] {
            assert!(needed(&own[..length]).is_err(), "{length} bytes");
        }
    }
}
