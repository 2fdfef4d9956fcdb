//! Texts that are almost PTX: seeds with tokens swapped, dropped, doubled, replaced, with other numbers, cut
//! short, or with bytes at random.

/// A generator of numbers that needs nothing but its seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `bound`; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.below(of.len())).copied().unwrap_or("")
    }
}

/// What tokens are exchanged for: mnemonics and operands change places with their like, so that more gets past
/// the parser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Number,
    Register,
    Word,
    Sign,
}

fn class_of(token: &str) -> Class {
    match token.as_bytes() {
        [first, ..] if first.is_ascii_whitespace() => Class::Space,
        [b'%', ..] => Class::Register,
        [first, ..] if first.is_ascii_digit() => Class::Number,
        [b'.', second, ..] if second.is_ascii_alphabetic() => Class::Word,
        [first, ..] if first.is_ascii_alphabetic() || matches!(first, b'_' | b'$') => Class::Word,
        _ => Class::Sign,
    }
}

/// The tokens of a text, white space included: joined, they are the text again.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let within = |other: char| match class_of(&rest[..first.len_utf8()]) {
            Class::Space => other.is_ascii_whitespace(),
            Class::Sign if first != '.' => false,
            // Mnemonics fall apart at their dots, so that single modifiers are exchanged.
            _ => other.is_ascii_alphanumeric() || matches!(other, '_' | '$'),
        };
        let end = rest.char_indices().skip(1).find(|(_, other)| !within(*other)).map_or(rest.len(), |(at, _)| at);
        let (token, after) = rest.split_at(end);
        out.push(token);
        rest = after;
    }
    out
}

const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "16",
    "31",
    "32",
    "33",
    "64",
    "255",
    "256",
    "1023",
    "4096",
    "65535",
    "1048576",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "0xffffffffffffffffff",
];

/// One text made of a seed, and of another for foreign tokens.
pub(crate) fn mutate(random: &mut Random, seed: &str, other: &str) -> String {
    let (mut own, foreign) = (tokens(seed), tokens(other));
    for _ in 0..1 + random.below(4) {
        one_change(random, &mut own, &foreign);
    }
    let mut text = own.concat();
    match random.below(20) {
        0 => {
            let end = random.below(text.len() + 1);
            text = String::from_utf8_lossy(&text.as_bytes()[..end]).into_owned();
        }
        1 => {
            let mut bytes = text.into_bytes();
            for _ in 0..1 + random.below(8) {
                let at = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        2 => text = doubled_or_dropped_lines(random, &text),
        _ => {}
    }
    text
}

fn one_change<'a>(random: &mut Random, own: &mut Vec<&'a str>, foreign: &[&'a str]) {
    let at = random.below(own.len());
    let Some(token) = own.get(at).copied() else { return };
    let class = class_of(token);
    let mut like = |of: &[&'a str]| {
        let of: Vec<&'a str> = of.iter().copied().filter(|other| class_of(other) == class).collect();
        random.pick(&of)
    };
    match class {
        // White space is worth a change now and then only.
        Class::Space if !at.is_multiple_of(8) => one_change(random, own, foreign),
        Class::Number if at.is_multiple_of(2) => own[at] = random.pick(&NUMBERS),
        _ => match at % 7 {
            0 => drop(own.remove(at)),
            1 => own.insert(at, token),
            2 => {
                let with = random.below(own.len());
                own.swap(at, with);
            }
            3 => own[at] = like(foreign),
            _ => own[at] = like(own),
        },
    }
}

fn doubled_or_dropped_lines(random: &mut Random, text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for _ in 0..1 + random.below(3) {
        let at = random.below(lines.len());
        match (lines.get(at).copied(), random.below(3)) {
            (None, _) => {}
            (Some(_), 0) => drop(lines.remove(at)),
            (Some(line), 1) => lines.insert(random.below(lines.len() + 1), line),
            (Some(_), _) => {
                let with = random.below(lines.len());
                lines.swap(at, with);
            }
        }
    }
    lines.join("\n")
}
