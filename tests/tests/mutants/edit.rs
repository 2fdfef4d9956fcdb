//! Small edits of PTX text.

/// A mutant: the line that was changed, from 1, and the whole text.
pub(crate) type Mutant = (usize, String);

/// A line of PTX taken apart: guard, mnemonic and operands, as in `@%p1 bra $L;`.
pub(crate) struct Line<'a> {
    pub(crate) mnemonic: &'a str,
    /// Split at top-level commas: `{%r1, %r2}` is one operand.
    pub(crate) operands: Vec<String>,
}

/// Reads a line that is an unguarded instruction.
pub(crate) fn read(line: &str) -> Option<Line<'_>> {
    let text = line.trim().strip_suffix(';')?;
    let (mnemonic, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !mnemonic.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let mut operands = vec![String::new()];
    let mut depth = 0;
    for c in rest.trim().chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        match c {
            ',' if depth == 0 => operands.push(String::new()),
            _ => operands.last_mut().expect("never empty").push(c),
        }
    }
    Some(Line { mnemonic, operands: operands.into_iter().map(|o| o.trim().to_owned()).collect() })
}

/// Mutants that have one line changed each: the first that `change` accepts, one half and one three quarters of
/// the way to the last. What `change` returns takes the place of the line; `%m0` to `%m3` are 32-bit registers
/// that it may use.
///
/// Not the last: the edge of a row is encoded as a whole window and stored without its last element, so that
/// the last conversion of a quantizer is dead and a change to it is none.
pub(crate) fn at_sites(text: &str, change: impl Fn(&Line<'_>) -> Option<String>) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let sites: Vec<(usize, String)> =
        lines.iter().enumerate().filter_map(|(at, line)| Some((at, change(&read(line)?)?))).collect();
    let mut chosen: Vec<usize> = [0, sites.len() / 2, 3 * sites.len() / 4].to_vec();
    chosen.dedup();
    chosen.into_iter().filter_map(|i| sites.get(i)).map(|(at, new)| (at + 1, with_line(&lines, *at, new))).collect()
}

fn with_line(lines: &[&str], at: usize, new: &str) -> String {
    let mut text = String::new();
    for (i, line) in lines.iter().enumerate() {
        text.push_str(if i == at { new } else { line });
        text.push('\n');
        // The body's brace stands alone; declarations follow it.
        if *line == "{" {
            text.push_str("\t.reg .b32 %m<4>;\n");
        }
    }
    text
}

/// A vector operand's registers: `{%r1, %r2}`.
pub(crate) fn registers(operand: &str) -> Vec<&str> {
    operand.trim_matches(['{', '}']).split(',').map(str::trim).collect()
}

/// The reverse of [`registers`].
pub(crate) fn vector(registers: &[&str]) -> String {
    format!("{{{}}}", registers.join(", "))
}

/// An instruction as text.
pub(crate) fn instruction(mnemonic: &str, operands: &[&str]) -> String {
    format!("\t{mnemonic} {};", operands.join(", "))
}

impl Line<'_> {
    /// The operands as string slices.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.operands.iter().map(String::as_str).collect()
    }

    /// The same instruction with another mnemonic.
    pub(crate) fn renamed(&self, mnemonic: &str) -> String {
        instruction(mnemonic, &self.parts())
    }

    /// The same instruction with operand `index` replaced.
    pub(crate) fn with(&self, index: usize, operand: &str) -> String {
        let mut parts = self.parts();
        parts[index] = operand;
        instruction(self.mnemonic, &parts)
    }
}

/// Exchanges the first two registers of a vector operand.
pub(crate) fn swap(line: &Line<'_>, mnemonic: &str, operand: usize) -> Option<String> {
    line.mnemonic.starts_with(mnemonic).then(|| {
        let mut list = registers(&line.operands[operand]);
        list.swap(0, 1);
        line.with(operand, &vector(&list))
    })
}

pub(crate) fn dropped(line: &Line<'_>, mnemonic: &str) -> Option<String> {
    line.mnemonic.starts_with(mnemonic).then(String::new)
}

pub(crate) fn renamed(line: &Line<'_>, from: &str, to: &str) -> Option<String> {
    (line.mnemonic == from).then(|| line.renamed(to))
}

/// Replaces a constant operand.
pub(crate) fn constant(line: &Line<'_>, mnemonic: &str, from: &str, to: &str) -> Option<String> {
    let index = line.operands.iter().position(|operand| operand == from)?;
    (line.mnemonic == mnemonic).then(|| line.with(index, to))
}

/// Makes `op d, a, constant` a move.
pub(crate) fn passed(line: &Line<'_>, mnemonic: &str, constant: &str) -> Option<String> {
    let parts = line.parts();
    (line.mnemonic == mnemonic && parts[2] == constant).then(|| instruction("mov.b32", &parts[..2]))
}

#[test]
fn lines_are_read() {
    let line = read("\tmma.sync.x {%r1, %r2}, {%r3}, [%rd4+8], 7;").unwrap();
    assert_eq!((line.mnemonic, line.parts()), ("mma.sync.x", vec!["{%r1, %r2}", "{%r3}", "[%rd4+8]", "7"]));
    assert_eq!(line.with(1, "{%r9}"), "\tmma.sync.x {%r1, %r2}, {%r9}, [%rd4+8], 7;");
    assert!(read("$L__BB0_1:").is_none() && read("\t@%p1 bra $L;").is_none() && read("\t.reg .b32 %r<4>;").is_none());
    assert_eq!(read("\tbar.sync \t0;").unwrap().parts(), ["0"]);
}
