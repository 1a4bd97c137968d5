//! The `sweep` command.

fn main() -> std::process::ExitCode {
    clustersweep::cli::run()
}
