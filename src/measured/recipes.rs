//! Released recipes of frameworks for experts, CUDA graphs, recomputation, attention and collections of garbage, from `data/validation/recipes.csv`.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};

use crate::hardware::{AttentionKernel, Precision};
use crate::model::{ExpertDispatch, Modules};
use crate::stack::CudaGraphs;

/// Numbers of a release: 26.04.01.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release(Vec<u32>);

impl Release {
    /// The last release that a framework's name states: `Megatron-Bridge / Megatron-Core (26.04.01)`.
    fn of(framework: &str) -> Option<Self> {
        let words = framework.split(|c: char| !c.is_ascii_digit() && c != '.');
        words.rev().find_map(Self::read)
    }

    /// The last release that a year can have.
    fn last_of(year: u32) -> Self {
        Self(vec![year % 100, 12, u32::MAX])
    }

    fn read(text: &str) -> Option<Self> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        numbers.ok().filter(|numbers| numbers.len() > 1).map(Self)
    }
}

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| serde::de::Error::custom("no release"))
    }
}

/// Cells that name a member of a closed set.
fn named<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The same where a cell may be empty.
fn named_if_filled<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Cells that say yes, no or nothing.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "" => Ok(None),
        "yes" => Ok(Some(true)),
        "no" => Ok(Some(false)),
        other => Err(serde::de::Error::custom(format!(
            "neither yes nor no: {other}"
        ))),
    }
}

/// One recipe, or all of a model, GPU and release that agree.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Recipe {
    /// Lower-case part of the framework's name.
    framework: String,
    model: String,
    gpu: String,
    release: Release,
    /// Format; empty: every one.
    precision: String,
    /// Expert-parallel ranks; `None` for a model without experts.
    ep: Option<u32>,
    /// How tokens get to their experts.
    #[serde(deserialize_with = "named_if_filled")]
    pub(super) expert_dispatch: Option<ExpertDispatch>,
    overlap_ep: String,
    /// Scope of CUDA graphs.
    #[serde(deserialize_with = "named")]
    pub(super) cuda_graphs: CudaGraphs,
    /// Modules that selective recomputation repeats; `None`: the file of a row or the memory decides.
    #[serde(deserialize_with = "named_if_filled")]
    pub(super) recompute_modules: Option<Modules>,
    /// Steps from one collection of garbage to the next; `None`: as the stack.
    pub(super) collection_steps: Option<u32>,
    /// Kernel of attention in 8 and 4 bits; `None`: the stack's.
    #[serde(deserialize_with = "named_if_filled")]
    attention: Option<AttentionKernel>,
    /// Whether kernels of the router, and of the rotation of latent attention, are one each; `None`: as the stack.
    #[serde(deserialize_with = "said")]
    pub(super) router_fusion: Option<bool>,
    #[serde(deserialize_with = "said")]
    pub(super) latent_rotation_fusion: Option<bool>,
    /// Whether routers replace their scores by random ones; `None`: as the stack.
    #[serde(deserialize_with = "said")]
    pub(super) random_routing: Option<bool>,
}

static RECIPES: LazyLock<Vec<Recipe>> = LazyLock::new(|| {
    let text = include_str!("../../data/validation/recipes.csv");
    csv::Reader::from_reader(text.as_bytes())
        .into_deserialize()
        .collect::<Result<_, _>>()
        .expect("the file ships with the program and is read in every test")
});

/// A run, as far as recipes tell runs apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) framework: &'a str,
    /// The release where its framework's name states none.
    pub(super) release: Option<&'a str>,
    pub(super) year: Option<u32>,
    pub(super) model: &'a str,
    pub(super) gpu: &'a str,
    pub(super) precision: Precision,
    pub(super) ep: Option<u32>,
}

impl Run<'_> {
    /// The release that its framework's name or its row states, else the last one of its year.
    fn release(&self) -> Option<Release> {
        Release::of(self.framework)
            .or_else(|| Release::read(self.release?))
            .or(self.year.map(Release::last_of))
    }

    /// Whether it ran with cuDNN of 2025 or before: 9.10 to 9.13 in NVIDIA's containers of May to October 2025
    /// (benchmark/sdpa_benchmark_training/artifacts of NVIDIA/cudnn-frontend at 9793df5 and 0b1577c), taken for older ones too.
    /// The year is that of a release by year and month, else the row's.
    pub(super) fn has_old_cudnn(&self) -> bool {
        let first = self
            .release()
            .and_then(|release| release.0.first().copied());
        let by_month = first.filter(|year| *year >= 20);
        let year = by_month.or(self.year.map(|year| year % 100));
        year.is_some_and(|year| year <= 25)
    }
}

impl Recipe {
    /// Whether exchanges with experts run behind another microbatch.
    pub(super) fn overlaps(&self) -> bool {
        self.overlap_ep == "yes"
    }

    /// The kernel of attention of a run in a format.
    pub(super) fn attention(&self, precision: Precision) -> Option<AttentionKernel> {
        self.attention.filter(|_| precision != precision.high())
    }

    /// The recipe of a run: of those of its framework for as many expert-parallel ranks, or of all where there are none, that of
    /// the newest release that is no newer than the run's, else of the oldest; of several the one of the run's format. A run
    /// whose framework states no release has the last one of its year. `None` where no recipe has the model on the GPU.
    pub(super) fn of(run: Run<'_>) -> Option<&'static Self> {
        let framework = run.framework.to_ascii_lowercase();
        let stated = run.release()?;
        let of_model = |of_ranks: bool| {
            let all = RECIPES.iter();
            let all = all.filter(|it| framework.contains(&it.framework));
            let all = all.filter(|it| it.model == run.model && it.gpu == run.gpu);
            all.filter(move |it| !of_ranks || it.ep == run.ep)
        };
        let of_ranks = of_model(true).next().is_some();
        let releases = || of_model(of_ranks).map(|it| &it.release);
        let known = releases().filter(|release| **release <= stated).max();
        let release = known.or_else(|| releases().min())?;
        let of_format =
            |it: &Self| it.precision.is_empty() || it.precision == run.precision.as_str();
        let mut of_release = of_model(of_ranks).filter(|it| it.release == *release);
        let first = of_release.next()?;
        Some(if of_format(first) {
            first
        } else {
            of_release.find(|it| of_format(it)).unwrap_or(first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<'a>(framework: &'a str, gpu: &'a str, precision: Precision, ep: u32) -> Run<'a> {
        Run {
            framework,
            release: None,
            year: Some(2025),
            model: "deepseek-v3",
            gpu,
            precision,
            ep: Some(ep),
        }
    }

    fn found(run: Run<'_>) -> Option<(ExpertDispatch, bool)> {
        let recipe = Recipe::of(run)?;
        Some((recipe.expert_dispatch?, recipe.overlaps()))
    }

    // DeepSeek-V3 on B200: all-to-all in 25.11, HybridEP from 26.02 on; on 32 ranks 26.06.01 is the first that has it.
    #[test]
    fn a_run_has_the_recipe_of_its_release() {
        use ExpertDispatch::{AllToAll, DeepEp, HybridEp};
        let bridge = |release: &str| format!("Megatron-Bridge / Megatron-Core ({release})");
        let (bf16, mxfp8) = (Precision::Bf16, Precision::MxFp8);
        let cases = [
            (bridge("25.11"), "b200", bf16, 8, (AllToAll, false)),
            (bridge("26.02.01"), "b200", bf16, 8, (HybridEp, false)),
            (bridge("26.07"), "b200", mxfp8, 8, (HybridEp, false)),
            (bridge("26.04.01"), "b200", mxfp8, 32, (DeepEp, true)),
            // Before the first release the first; of ranks that no recipe has, all recipes.
            (
                bridge("25.09"),
                "h100-sxm",
                Precision::Fp8,
                64,
                (DeepEp, true),
            ),
            (bridge("25.11"), "b200", bf16, 16, (AllToAll, false)),
            // Of the releases of 2025 the last.
            (
                "Megatron-Bridge".to_owned(),
                "b200",
                bf16,
                8,
                (AllToAll, false),
            ),
        ];
        for (framework, gpu, precision, ep, expected) in cases {
            let recipe = found(run(&framework, gpu, precision, ep));
            assert_eq!(recipe, Some(expected), "{framework} {gpu} {ep}");
        }
        assert_eq!(found(run("NeMo 25.04", "b200", bf16, 8)), None);
    }

    // DeepSeek-V3 on GB200 replays attention and router from 25.11 on, in MXFP8 the whole step from 26.06.01 on; on B200
    // nothing. A model without experts has recipes for any ranks: Llama 3 8B in bf16 on B200 replays its step.
    #[test]
    fn a_run_replays_what_its_release_captures() {
        let bridge = |release: &str| format!("Megatron-Bridge ({release})");
        let cases = [
            ("25.11", "gb200", Precision::MxFp8, CudaGraphs::Layer),
            ("26.04", "gb200", Precision::MxFp8, CudaGraphs::Layer),
            ("26.06.01", "gb200", Precision::MxFp8, CudaGraphs::Step),
            ("26.06.01", "gb200", Precision::Bf16, CudaGraphs::Layer),
            ("26.04", "b200", Precision::Bf16, CudaGraphs::None),
        ];
        for (release, gpu, precision, expected) in cases {
            let framework = bridge(release);
            let ep = if gpu == "gb200" { 64 } else { 8 };
            let recipe = Recipe::of(run(&framework, gpu, precision, ep));
            assert_eq!(
                recipe.map(|it| it.cuda_graphs),
                Some(expected),
                "{release} {gpu}"
            );
        }
        let framework = bridge("26.04");
        let dense = Run {
            model: "llama3-8b",
            ..run(&framework, "b200", Precision::Bf16, 1)
        };
        assert_eq!(found(dense), None);
        let replayed = Recipe::of(dense).map(|it| it.cuda_graphs);
        assert_eq!(replayed, Some(CudaGraphs::Step));
    }

    // Qwen3 235B in MXFP8 attends in 8 bits on GB300 from 26.06.01 on (fp8_dot_product_attention), in bf16 never; Llama 3 8B in
    // NVFP4 in the container of 26.08, which a row names in a column of its own.
    #[test]
    fn a_run_attends_as_its_release_does() {
        let of = |release, model, precision, ep| {
            let run = Run {
                model,
                release: Some(release),
                ..run("Megatron-Bridge", "gb300", precision, ep)
            };
            Recipe::of(run).and_then(|recipe| recipe.attention(precision))
        };
        let qwen = |release, precision| of(release, "qwen3-235b-a22b", precision, 32);
        let llama = |release| of(release, "llama3-8b", Precision::NvFp4, 1);
        let fp8 = Some(AttentionKernel::Fp8);
        assert_eq!(qwen("26.06.01", Precision::MxFp8), fp8);
        assert_eq!(qwen("26.04", Precision::MxFp8), None);
        assert_eq!(qwen("26.06.01", Precision::Bf16), None);
        assert_eq!((llama("26.06"), llama("26.08")), (None, fp8));
    }

    // MaxText's script for Llama 2 70B on v5p has remat_policy save_dot_except_mlpwi; no other framework has its recipes.
    #[test]
    fn a_recipe_is_of_one_framework() {
        let of = |framework| {
            let run = Run {
                model: "llama2-70b",
                ..run(framework, "tpu-v5p", Precision::Bf16, 1)
            };
            Recipe::of(run).and_then(|recipe| recipe.recompute_modules)
        };
        let expected = "core_attn+layernorm+mlpwi".parse().expect("three modules");
        assert_eq!(of("MaxText (JAX)"), Some(expected));
        assert_eq!(of("PaXML (JAX)"), None);
    }

    // Moonlight's recipe has manual_gc_interval = 5; the others collect as their stack says.
    #[test]
    fn a_run_collects_garbage_as_its_recipe_does() {
        let framework = "Megatron-Bridge (26.08)";
        let of = |model| {
            let run = Run {
                model,
                ..run(framework, "h100-sxm", Precision::Bf16, 8)
            };
            Recipe::of(run).and_then(|recipe| recipe.collection_steps)
        };
        assert_eq!(of("moonlight-16b-a3b"), Some(5));
        assert_eq!(of("qwen3-30b-a3b"), None);
    }

    // moe_router_fusion and apply_rope_fusion are off in Moonlight's recipe, and nothing forces balance
    // (moe_router_force_load_balancing), as performance recipes do; these leave both fusions to their stack.
    #[test]
    fn a_run_fuses_what_its_recipe_does() {
        let of = |model| {
            let run = Run {
                model,
                ..run("Megatron-Bridge (26.08)", "h100-sxm", Precision::Bf16, 8)
            };
            let recipe = Recipe::of(run).expect("it has a recipe");
            let fused = [recipe.router_fusion, recipe.latent_rotation_fusion];
            (fused, recipe.random_routing)
        };
        assert_eq!(of("moonlight-16b-a3b"), ([Some(false); 2], None));
        assert_eq!(of("qwen3-30b-a3b"), ([None; 2], Some(true)));
    }

    // GPT-OSS 120B recomputes norms and the experts' activation on GB200 in 26.02 and says nothing on GB300.
    #[test]
    fn a_run_recomputes_what_its_recipe_does() {
        let of = |gpu| {
            let run = Run {
                model: "gpt-oss-120b",
                ..run("Megatron-Bridge (26.02)", gpu, Precision::Bf16, 64)
            };
            Recipe::of(run).and_then(|recipe| recipe.recompute_modules)
        };
        let expected = "layernorm+moe_act".parse().expect("two modules");
        assert_eq!(of("gb200"), Some(expected));
        assert_eq!(of("gb300"), None);
    }

    #[test]
    fn every_recipe_names_a_model_and_a_gpu_of_the_catalogue() {
        let catalog = crate::catalog::Catalog::builtin();
        for recipe in RECIPES.iter() {
            assert!(catalog.models.contains_key(&recipe.model), "{recipe:?}");
            assert!(catalog.gpus.contains_key(&recipe.gpu), "{recipe:?}");
            let has_experts = recipe.ep.is_some();
            assert_eq!(has_experts, recipe.expert_dispatch.is_some(), "{recipe:?}");
            let overlaps: &[&str] = if has_experts { &["yes", "no"] } else { &[""] };
            assert!(overlaps.contains(&recipe.overlap_ep.as_str()), "{recipe:?}");
        }
    }
}
