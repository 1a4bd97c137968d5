//! A commented spec for a question that is asked in a few words.

use crate::catalog::{Catalog, Kind};
use crate::commands::failure::Failure;
use crate::hardware::Gpu;
use crate::model::Model;
use crate::report::{decimal, short_decimal};
use crate::spec::{Overrides, Spec, Syntax};
use crate::spelling::did_you_mean;
use crate::units::Seconds;

/// Tokens of a step where the batch is not given.
///
/// Source: Llama 2 and Llama 3 8B were trained on 4 M tokens a step (arXiv 2307.09288, section 2.1; arXiv 2407.21783,
/// section 3.4.1).
const TOKENS_PER_STEP: f64 = 4_194_304.0;

/// Samples of a step of images where the batch is not given.
const IMAGES_PER_STEP: u32 = 1_024;

/// GPUs that are compared where none is named.
pub const DEFAULT_GPUS: &[&str] = &["h100-sxm", "b200"];

/// Model FLOPs utilization with which the sizes of the grid are laid around the need: a guess that only places the grid,
/// since every size is simulated.
const PLACED_AT_MFU: f64 = 0.4;

/// Sizes of the grid, each twice the one before.
const SIZES: u32 = 6;

/// A question in a few words, each as it is typed.
#[derive(Clone, Debug, Default)]
pub struct InitRequest {
    /// Model.
    pub model: String,
    /// GPUs to choose from; the usual ones where none is named.
    pub gpus: Vec<String>,
    /// Tokens of the whole training; samples of models of images.
    pub amount: String,
    /// Samples per step.
    pub global_batch: Option<u32>,
    /// Longest time: `60 days`.
    pub deadline: Option<String>,
    /// Most money: `700_000 USD`.
    pub budget: Option<String>,
    /// Most GPUs.
    pub gpus_max: Option<String>,
}

/// A spec that was written for a question.
#[derive(Clone, Debug)]
pub struct Drafted {
    /// Name of the sweep.
    pub name: String,
    /// The spec.
    pub text: String,
}

impl InitRequest {
    /// The spec for the question, which runs as it is.
    ///
    /// # Errors
    /// If a name is unknown, or a quantity is none.
    pub fn draft(&self) -> Result<Drafted, Failure> {
        let catalog = Catalog::builtin();
        let model = &catalog.models[named(catalog, Kind::Models, &self.model)?];
        let usual = DEFAULT_GPUS.iter().map(|name| (*name).to_owned()).collect();
        let typed = if self.gpus.is_empty() {
            usual
        } else {
            self.gpus.clone()
        };
        let gpus = typed.iter().map(|gpu| named(catalog, Kind::Gpus, gpu));
        let gpus: Vec<&Gpu> = gpus
            .map(|name| Ok(&*catalog.gpus[name?]))
            .collect::<Result<_, Failure>>()?;
        let name: String = (model.name.chars())
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        let asked = self.without_none();
        // What is typed wrongly is said of its option, not of a line of a file that nobody has seen.
        let limits = [
            ("deadline", &asked.deadline),
            ("budget", &asked.budget),
            ("gpus_max", &asked.gpus_max),
        ];
        let typed = limits.into_iter();
        let typed = typed.filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        let options = Overrides {
            question: typed.collect(),
            ..Overrides::default()
        };
        let plain = Self {
            deadline: None,
            budget: None,
            gpus_max: None,
            ..asked.clone()
        };
        let file = format!("{name}.toml");
        let plain = plain.text(&name, model, &gpus)?;
        Spec::parse(&file, &plain, Syntax::Toml, &options)?;
        let text = asked.text(&name, model, &gpus)?;
        Spec::parse(&file, &text, Syntax::Toml, &Overrides::default())?;
        Ok(Drafted { name, text })
    }

    /// The question without the limits that are typed as `none`.
    fn without_none(&self) -> Self {
        let kept = |limit: &Option<String>| limit.clone().filter(|it| it.trim() != "none");
        Self {
            deadline: kept(&self.deadline),
            budget: kept(&self.budget),
            gpus_max: kept(&self.gpus_max),
            ..self.clone()
        }
    }

    fn text(&self, name: &str, model: &Model, gpus: &[&Gpu]) -> Result<String, Failure> {
        let has_tokens = model.transformer().is_some();
        let unit = if has_tokens { "tokens" } else { "samples" };
        let amount = self.amount.replace('_', "");
        let amount: f64 = amount.trim().parse().map_err(|_| {
            Failure::usage(format!(
                "`{}` is no number of {unit}; write it like 2e12",
                self.amount
            ))
        })?;
        let seq_len = f64::from(model.seq_len());
        let batch = self.global_batch.unwrap_or(if has_tokens {
            let samples = libm::round(libm::log2(TOKENS_PER_STEP / seq_len));
            libm::exp2(samples.max(3.0)) as u32
        } else {
            IMAGES_PER_STEP
        });
        let of_step = if has_tokens {
            format!(
                "sequences per step: {} tokens",
                short_decimal(f64::from(batch) * seq_len)
            )
        } else {
            "images per step".to_owned()
        };
        let names: Vec<String> = gpus.iter().map(|gpu| format!("\"{}\"", gpu.name)).collect();
        let sizes = self.sizes(model, gpus, amount);
        let limits = [
            self.deadline.as_ref().map(|it| format!(" within {it}")),
            self.budget.as_ref().map(|it| format!(" for {it}")),
        ];
        let limits = limits.map(Option::unwrap_or_default).concat();
        let question = format!(
            "{} on {} {unit}{limits}: which GPU, how many, what cost?",
            model.name,
            decimal(amount)
        );
        let line = |key: &str, value: &Option<String>, example: &str| match value {
            Some(value) => format!("{key} = {value}\n"),
            None => format!("# {key} = {example}\n"),
        };
        let quoted = |value: &Option<String>| value.as_ref().map(|it| format!("{:?}", it.trim()));
        Ok([
            format!("# {question}\n#\n# sweep answer {name}.toml\n\n"),
            format!("name = \"{name}\"\ndescription = {question:?}\n\n"),
            "# Every combination is simulated. What is left out (parallelism, micro batch, recomputation …) takes the\n# fastest value that fits; `sweep list axes` has all axes.\n[grid]\n".to_owned(),
            format!("gpu = [{}]   # `sweep list gpus` has others\n", names.join(", ")),
            format!("model = \"{}\"   # `sweep list models` has others\n", model.name),
            format!("gpus = {sizes}   # whole nodes; `sweep answer --refine` tries sizes between\n"),
            format!("global_batch = {batch}   # {of_step}\n\n"),
            format!("# How much is trained, and within which limits.\n[question]\n{unit} = {amount:e}\n"),
            line("deadline", &quoted(&self.deadline), "\"60 days\""),
            line("budget", &quoted(&self.budget), "\"700_000 USD\""),
            line("gpus_max", &self.gpus_max, "1024"),
            "# confidence = 0.9   # the limits hold with the errors of nine in ten measured trainings\n\n".to_owned(),
            "# What comes beside the steps: failures, checkpoints, evaluations (docs/whole-training.md).\n[analysis]\n".to_owned(),
            "# node_mtbf_hours = 50_000\n# restart_time = \"10 min\"\n# checkpoint_bandwidth = \"20 GB/s\"\n\n".to_owned(),
            format!("# Your own rent, in place of the list's (`sweep list prices`).\n# [gpus.{}]\n# price_per_hour = \"2.50 USD\"\n", names[0]),
        ]
        .concat())
    }

    /// Sizes of the grid, each twice the one before: around the GPUs that the deadline needs of each type at a usual
    /// utilisation, from the fewest that the fastest type begins at to the most that the slowest ends at; or from one
    /// server on where there is no deadline.
    ///
    /// `n = 3·f·a / (u·p·t)` with `f` FLOPs of a forward pass per token, `a` tokens, `u` the utilisation, `p` the peak of
    /// the GPU and `t` the deadline.
    fn sizes(&self, model: &Model, gpus: &[&Gpu], amount: f64) -> String {
        let work = 3.0 * model.flops_per_token(model.seq_len()) * amount;
        let deadline = self
            .deadline
            .as_ref()
            .and_then(|text| text.parse::<Seconds>().ok());
        let most: f64 = self
            .gpus_max
            .as_ref()
            .and_then(|it| it.parse().ok())
            .unwrap_or(16_384.0);
        let ends = gpus.iter().map(|gpu| {
            let peak = gpu.peak(gpu.default_precision()).as_tflops() * 1e12;
            let needed = deadline.map(|time| work / (PLACED_AT_MFU * peak * time.get()));
            let middle = needed.unwrap_or(64.0).clamp(8.0, most.max(8.0));
            let below = f64::from(SIZES / 2);
            let first = libm::exp2(libm::floor(libm::log2(middle)) - below + 1.0).max(8.0);
            (first, first * libm::exp2(f64::from(SIZES - 1)))
        });
        let (first, last) = ends.fold((f64::INFINITY, 0.0_f64), |(first, last), (low, high)| {
            (first.min(low), last.max(high))
        });
        let last = last.min(most.max(first));
        format!("{{ from = {first}, to = {last}, times = 2 }}")
    }
}

/// The name of an entry of the catalogue, however it is spelt.
fn named<'a>(catalog: &'a Catalog, kind: Kind, text: &str) -> Result<&'a str, Failure> {
    let text = text.trim();
    catalog.named(kind, text).ok_or_else(|| {
        let hint = did_you_mean(text, catalog.names(kind));
        let hint = hint.unwrap_or_else(|| format!("`sweep list {kind}` has all of them"));
        Failure::usage(format!("{kind} have no `{text}`; {hint}"))
    })
}
