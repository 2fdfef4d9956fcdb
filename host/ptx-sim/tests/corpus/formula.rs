//! Formulas over an element's index: what a buffer is filled with and what it has to hold in the end.

/// A formula of `i`, as `(i ^ 32) * 3`: integers, `i`, brackets and the operators of Rust with their
/// precedence (`*` `/` `%`, then `+` `-`, `<<` `>>`, `&`, `^`, `|`), in i64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Formula(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Index,
    Number(i64),
    Binary(&'static str, Box<(Node, Node)>),
}

/// From the loosest to the tightest. `<<` and `>>` stand before what begins like them nowhere else.
const LEVELS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// Says what stands where something else should.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        let node = level(&mut rest, 0)?;
        if rest.is_empty() { Ok(Self(node)) } else { Err(format!("`{rest}` is left over in the formula `{text}`")) }
    }

    /// Its value for element `index`.
    pub(crate) fn at(&self, index: usize) -> i64 {
        value(&self.0, index as i64)
    }
}

fn level(rest: &mut &str, depth: usize) -> Result<Node, String> {
    let Some(operators) = LEVELS.get(depth) else { return atom(rest) };
    let mut left = level(rest, depth + 1)?;
    while let Some(operator) = operators.iter().copied().find(|operator| rest.starts_with(operator)) {
        *rest = rest[operator.len()..].trim_start();
        let right = level(rest, depth + 1)?;
        left = Node::Binary(operator, Box::new((left, right)));
    }
    Ok(left)
}

fn atom(rest: &mut &str) -> Result<Node, String> {
    if let Some(inside) = rest.strip_prefix('(') {
        *rest = inside.trim_start();
        let node = level(rest, 0)?;
        *rest = rest.strip_prefix(')').ok_or_else(|| format!("a `)` is missing before `{rest}`"))?.trim_start();
        return Ok(node);
    }
    if let Some(behind) = rest.strip_prefix('i') {
        *rest = behind.trim_start();
        return Ok(Node::Index);
    }
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    let number = digits.parse().map_err(|_| format!("`{rest}` should begin with a number, `i` or `(`"))?;
    *rest = behind.trim_start();
    Ok(Node::Number(number))
}

fn value(node: &Node, index: i64) -> i64 {
    match node {
        Node::Index => index,
        Node::Number(number) => *number,
        Node::Binary(operator, sides) => {
            let (a, b) = (value(&sides.0, index), value(&sides.1, index));
            match *operator {
                "|" => a | b,
                "^" => a ^ b,
                "&" => a & b,
                "<<" => a << b,
                ">>" => a >> b,
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => a / b,
                _ => a % b,
            }
        }
    }
}
