//! Sweeps that come with the program.

use crate::spec::{Overrides, Spec, SpecError, Syntax};

/// A sweep that needs no file.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Preset {
    /// 1 to 4 GPUs of one server, done within seconds
    Small,
    /// 64 GPUs in many layouts
    Medium,
    /// 1,024 GPUs and the largest dense models
    Large,
}

impl Preset {
    /// Name of its file, and the text.
    const fn file(self) -> (&'static str, &'static str) {
        macro_rules! embedded {
            ($name:literal) => {
                ($name, include_str!(concat!("../../", $name)))
            };
        }
        match self {
            Self::Small => embedded!("sweeps/small.toml"),
            Self::Medium => embedded!("sweeps/medium.toml"),
            Self::Large => embedded!("sweeps/large.toml"),
        }
    }

    /// The spec with what the command line changes.
    ///
    /// # Errors
    /// If the command line changes it wrongly.
    pub(super) fn load(self, overrides: &Overrides) -> Result<Spec, SpecError> {
        let (name, text) = self.file();
        Spec::parse(name, text, Syntax::Toml, overrides)
    }
}
