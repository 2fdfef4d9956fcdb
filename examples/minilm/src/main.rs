//! The command line: see `commands`.

mod commands;

fn main() -> std::process::ExitCode {
    commands::main()
}
