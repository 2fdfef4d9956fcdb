//! PTX text cut into its top-level items and, inside an entry, into its instructions.
//!
//! Not a parser: it knows the form that LLVM writes, well enough to find entries, functions and variables.

/// A top-level piece of a PTX text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A kernel or function with or without a body.
    Function(Function<'a>),
    /// A module variable: the whole declaration.
    Variable {
        /// Its name.
        name: &'a str,
        /// The declaration, up to and with its semicolon.
        text: &'a str,
    },
    /// A debug section, with its braces.
    Section(&'a str),
    /// Any other line: directives, comments, blank lines.
    Line(&'a str),
}

/// A kernel (`.entry`) or function (`.func`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// The name, as mangled.
    pub name: &'a str,
    /// Whether the host can launch it.
    pub is_entry: bool,
    /// Whether it is declared `.extern`.
    pub is_extern: bool,
    /// From the linkage directive to before the body's opening brace, or with the semicolon of a declaration.
    pub head: &'a str,
    /// The body with its braces; empty for a declaration.
    pub body: &'a str,
}

/// Cuts a PTX text into items. Joined, their texts are the text again.
pub fn items(ptx: &str) -> Vec<Item<'_>> {
    let mut found = Vec::new();
    let mut rest = ptx;
    while !rest.is_empty() {
        let line = first_line(rest);
        let words: Vec<&str> = line.split_whitespace().collect();
        let is = |word: &str| words.contains(&word);
        let starts = words.first().is_some_and(|word| word.starts_with('.'));
        let (item, length) = if starts && (is(".entry") || words.iter().any(|word| word.starts_with(".func"))) {
            function(rest)
        } else if words.first() == Some(&".section") {
            let length = block_end(rest).unwrap_or(line.len());
            let length = length + first_line(&rest[length..]).len();
            (Item::Section(&rest[..length]), length)
        } else if starts && [".global", ".const", ".shared"].iter().any(|space| is(space)) {
            let length = statement_end(rest);
            let text = &rest[..length];
            (Item::Variable { name: variable_name(text), text }, length)
        } else {
            (Item::Line(line), line.len())
        };
        found.push(item);
        rest = &rest[length..];
    }
    found
}

impl<'a> Item<'a> {
    /// The item as it was written.
    pub fn texts(&self) -> [&'a str; 2] {
        match self {
            Item::Function(function) => [function.head, function.body],
            Item::Variable { text, .. } | Item::Section(text) | Item::Line(text) => [text, ""],
        }
    }
}

fn first_line(text: &str) -> &str {
    text.split_inclusive('\n').next().unwrap_or("")
}

fn function(text: &str) -> (Item<'_>, usize) {
    // A declaration ends with a semicolon before any brace.
    let brace = find_code(text, '{').unwrap_or(text.len());
    let semicolon = find_code(text, ';').unwrap_or(text.len());
    let (head, end) = if semicolon < brace {
        (&text[..semicolon + 1], semicolon + 1)
    } else {
        (&text[..brace], block_end(text).unwrap_or(text.len()))
    };
    let is_entry = head.split_whitespace().any(|word| word == ".entry");
    let name = function_name(head, is_entry);
    let is_extern = head.split_whitespace().next() == Some(".extern");
    (Item::Function(Function { name, is_entry, is_extern, head, body: &text[head.len()..end] }), end)
}

/// The word after `.entry`, or after `.func` and its optional `(return value)`.
fn function_name(head: &str, is_entry: bool) -> &str {
    let keyword = if is_entry { ".entry" } else { ".func" };
    let after = head.split_once(keyword).map_or("", |(_, after)| after).trim_start();
    let after = match after.strip_prefix('(') {
        Some(returned) => returned.split_once(')').map_or("", |(_, after)| after),
        None => after,
    };
    identifier(after.trim_start())
}

/// The last identifier before the array bounds or the initialiser.
fn variable_name(text: &str) -> &str {
    let declared = text.split(['[', '=', ';']).next().unwrap_or("");
    identifier(declared.split_whitespace().last().unwrap_or(""))
}

/// The PTX identifier that a text begins with.
pub fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_$%".contains(c))).unwrap_or(text.len());
    &text[..end]
}

/// Where `wanted` first stands outside comments.
fn find_code(text: &str, wanted: char) -> Option<usize> {
    code_chars(text).find(|&(_, c)| c == wanted).map(|(at, _)| at)
}

/// One past the semicolon that ends a declaration, and past the end of that line.
fn statement_end(text: &str) -> usize {
    let end = find_code(text, ';').map_or(text.len(), |at| at + 1);
    end + if text[end..].starts_with('\n') { 1 } else { 0 }
}

/// One past the brace that closes the first one opened.
fn block_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code_chars(text) {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return Some(at + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The characters that are neither in a `//` comment nor in a string.
fn code_chars(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut in_comment = false;
    let mut in_string = false;
    let mut previous_slash = false;
    text.char_indices().filter(move |&(_, c)| {
        if c == '\n' {
            (in_comment, in_string, previous_slash) = (false, false, false);
        } else if !in_comment {
            in_comment = c == '/' && previous_slash && !in_string;
            previous_slash = c == '/';
            in_string ^= c == '"';
        }
        !in_comment && !in_string
    })
}

/// The instructions of a body: each without label, predicate and semicolon, as `opcode operands` with single spaces.
///
/// Inline assembly puts several on one line and opens scopes, and LLVM spreads a call over many lines, so lines mean
/// nothing: statements end at `;`, `{` and `}`. (What follows an operand's brace is no instruction and is left out.)
pub fn instructions(body: &str) -> Vec<String> {
    let code: Vec<&str> = body
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code).trim())
        // The only directive in a body that no semicolon ends.
        .filter(|line| !line.starts_with(".loc"))
        .collect();
    code.join(" ").split([';', '{', '}']).filter_map(instruction).collect()
}

fn instruction(statement: &str) -> Option<String> {
    let mut code = statement.trim();
    // Labels may stand before an instruction.
    while let Some((label, after)) = code.split_once(':') {
        if identifier(label).len() != label.len() {
            break;
        }
        code = after.trim_start();
    }
    if code.starts_with('@') {
        code = code.split_once(char::is_whitespace).map_or("", |(_, after)| after.trim_start());
    }
    let is_instruction = code.starts_with(|c: char| c.is_ascii_lowercase());
    is_instruction.then(|| code.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "//\n.version 7.0\n.target sm_80, debug\n\n.extern .func (.param .b32 r) printf(.param .b64 p)\n;\n\
        .global .align 1 .b8 text[3] = {104, 105, 0};\n\t// .globl\tk\n.visible .entry k(\n\t.param .u64 k_param_0\n)\n{\n\
        \t@%p1 bra \tL; // } in a comment\n\t{ .reg .b32 t; mov.b32 t, 1; bar.sync 0; }\nL: ret;\n}\n\t.file\t1 \"/a/{/b.rs\"\n\
        \t.section\t.debug_abbrev\n\t{\n.b8 1\n\t}\n\t.section\t.debug_macinfo\t{\t}\n";

    #[test]
    fn items_are_found_and_join_to_the_text() {
        let found = items(MODULE);
        let joined: String = found.iter().flat_map(Item::texts).collect();
        assert_eq!(joined, MODULE);
        let functions: Vec<_> =
            found.iter().filter_map(|item| if let Item::Function(f) = item { Some(f) } else { None }).collect();
        assert_eq!(functions.len(), 2);
        assert_eq!((functions[0].name, functions[0].is_extern, functions[0].body), ("printf", true, ""));
        assert_eq!((functions[1].name, functions[1].is_entry), ("k", true));
        assert!(functions[1].body.ends_with("ret;\n}"));
        assert_eq!(found.iter().filter(|item| matches!(item, Item::Section(_))).count(), 2);
        assert!(found.iter().any(|item| matches!(item, Item::Variable { name: "text", .. })));
    }

    #[test]
    fn instructions_lose_labels_predicates_and_scopes() {
        let body = "{\n\t.reg .b32 %r<2>;\n$L__BB0_1:\n\t.loc\t1 2 3\n\t@!%p1 bra.uni \t$L; // bar.sync 0;\n\
            \t{ .reg .b32 t; shfl.sync.bfly.b32 t|p, a; }\n\tcall.uni\n\tf,\n\t(\n\tp0\n\t);\n\
            \tld.v2.b32 {%r1, %r2}, [%rd1];\nx: ret;\n}";
        let found = instructions(body);
        assert_eq!(found, ["bra.uni $L", "shfl.sync.bfly.b32 t|p, a", "call.uni f, ( p0 )", "ld.v2.b32", "ret"]);
    }
}
