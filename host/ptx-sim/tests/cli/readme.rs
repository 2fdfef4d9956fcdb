//! The examples of the README: each is run and prints what stands there.

use safetensors::Dtype;

use crate::{Place, data, floats};

/// Commands and what is printed under them.
fn examples(readme: &str) -> Vec<(String, Vec<String>)> {
    let mut examples = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let mut lines = block.split("```").next().unwrap_or_default().lines().map(str::to_owned);
        let command = lines.next().unwrap_or_default();
        // The summary of the flags is no command.
        if let Some(command) = command.strip_prefix("$ ptx-sim ").filter(|command| !command.contains("[--cluster")) {
            examples.push((command.to_owned(), lines.collect()));
        }
    }
    examples
}

/// Whether `lines` are those of `expected`, in which `...` stands for any number of lines.
fn fits(expected: &[String], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        Some((first, rest)) => lines.split_first().is_some_and(|(line, lines)| line == first && fits(rest, lines)),
    }
}

#[test]
fn the_examples_of_the_readme_print_what_it_says() {
    let place = Place::new();
    for name in ["scale.ptx", "transpose.ptx"] {
        place.write(name, std::fs::read(data(name)).unwrap());
    }
    place.tensors("x.safetensors", &[("x", Dtype::F32, &[1000], &floats((0..1000).map(|i| i as f32)))]);
    let examples = examples(include_str!("../../README.md"));
    assert!(examples.len() >= 4, "{examples:?}");
    for (command, expected) in examples {
        let output = place.run(&command.split_whitespace().collect::<Vec<_>>());
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(fits(&expected, &text.lines().collect::<Vec<_>>()), "{command}\n{text}");
    }
}
