//! The binary `sweep`.

fn main() -> std::process::ExitCode {
    clustersweep::cli::run()
}
