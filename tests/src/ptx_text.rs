//! PTX texts cut to what a test is about.

/// `ptx` with all entries but one left out.
pub fn only_entry(ptx: &str, entry: &str) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in ptx.lines() {
        if let Some(rest) = line.strip_prefix(".visible .entry ") {
            skipping = rest.split('(').next() != Some(entry);
        }
        if !skipping {
            kept.push_str(line);
            kept.push('\n');
        }
        // An entry ends with a brace at the start of a line.
        skipping &= line != "}";
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_is_kept() {
        let ptx = ".version 7.0\n.visible .entry a(\n)\n{\n\tret;\n}\n\n.visible .entry ab(\n)\n{\n\texit;\n}\n.file 1 \"x\"\n";
        let kept = only_entry(ptx, "a");
        assert!(kept.contains("ret;") && !kept.contains("exit;") && kept.contains(".file 1"), "{kept}");
    }
}
