//! The `weir` command.

fn main() -> std::process::ExitCode {
    netweir::cli::main()
}
