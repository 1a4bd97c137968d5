//! Scenarios of a row's training job.

use std::sync::Arc;

use crate::catalog::{Catalog, Kind};
use crate::closed_set::UnknownName;
use crate::hardware::{AttentionKernel, Gpu, Precision};
use crate::model::{ExpertImbalance, ImageFormats, Model, Modules};
use crate::simulation::{
    CommunicationRequest, LayoutRequest, RunSettings, TrainingScenario, Workload,
};
use crate::stack::{self, Recompute, Stack};

use super::job::JobRow;
use super::recipes::{Recipe, Run};

impl JobRow {
    /// The job's scenario with weight 1, or two where its microbatches do not divide the batch: the step with one
    /// microbatch fewer and the one with one more, weighted by the share of the last microbatch.
    pub(crate) fn scenarios(
        &self,
        catalog: &Catalog,
    ) -> Result<Vec<(f64, TrainingScenario)>, String> {
        let scenario = self.scenario(catalog)?;
        let layout = &scenario.layout;
        let (Some(replicas), Some(micro_batch)) =
            (layout.dp.or_else(|| self.replicas()), layout.micro_batch)
        else {
            return Ok(vec![(1.0, scenario)]);
        };
        let per_round = micro_batch.saturating_mul(replicas);
        // Fewer GPUs than a replica takes make none, which the layout then says.
        let rounds = self.global_batch.checked_div(per_round).unwrap_or(0);
        let whole = rounds * per_round;
        let rest = self.global_batch - whole;
        if rest == 0 || whole == 0 {
            return Ok(vec![(1.0, scenario)]);
        }
        let share = f64::from(rest) / f64::from(per_round);
        let (mut fewer, mut more) = (scenario.clone(), scenario);
        fewer.workload.global_batch = whole;
        more.workload.global_batch = whole + per_round;
        Ok(vec![(1.0 - share, fewer), (share, more)])
    }

    fn replicas(&self) -> Option<u32> {
        let inner = self.tp?.checked_mul(self.pp?)?.checked_mul(self.cp?)?;
        self.gpus.checked_div(inner)
    }

    fn scenario(&self, catalog: &Catalog) -> Result<TrainingScenario, String> {
        let gpu = self.gpu(catalog)?;
        let cluster = self.cluster(&gpu, catalog)?;
        let gpu = match self.power_cap {
            Some(cap) => Arc::new(gpu.with_power_cap(cap)?),
            None => gpu,
        };
        let model = self.model(catalog)?;
        let stack = self.stack(catalog)?;
        if self.gpus > cluster.gpus_per_node && !self.gpus.is_multiple_of(cluster.gpus_per_node) {
            return Err(format!(
                "{} GPUs are not whole nodes of {}",
                self.gpus, cluster.gpus_per_node
            ));
        }
        let unknown = |error: UnknownName| error.to_string();
        let recompute = self.recompute.clone().transpose().map_err(unknown)?;
        let precision = self.precision.clone().transpose().map_err(unknown)?;
        let precision = precision.unwrap_or_else(|| gpu.default_precision());
        let run = self.run(&model, precision);
        let recipe = Recipe::of(run);
        let layout = self.layout();
        let attention = layout
            .attention
            .or(recipe.and_then(|it| it.attention(precision)))
            .or_else(|| old_cudnn(run, &stack, &gpu));
        let mut stack = self.with_recipes(&stack, recipe);
        let mut recompute = recompute;
        if let Some(modules) = self.recomputed_by(recipe, recompute) {
            recompute = Some(Recompute::Selective);
            Arc::make_mut(&mut stack).recompute_modules = Some(modules);
        }
        Ok(TrainingScenario {
            workload: Workload {
                global_batch: self.global_batch,
                seq_len: self.seq_len.unwrap_or(model.seq_len()),
                document_length: self.document_length,
                lora_rank: self.lora_rank,
                frozen: self.frozen.unwrap_or_default(),
                precision,
                expert_imbalance: self
                    .expert_imbalance
                    .map_or_else(|| stack.expert_imbalance(&model), ExpertImbalance::new),
            },
            communication: self.communication(recipe),
            layout: LayoutRequest {
                attention,
                recompute,
                ..layout
            },
            gpus: self.gpus,
            pools: Vec::new(),
            gpu,
            cluster,
            model,
            stack,
            run: RunSettings::default(),
        })
    }

    /// The row, as far as recipes tell runs apart.
    fn run<'a>(&'a self, model: &'a Model, precision: Precision) -> Run<'a> {
        Run {
            framework: self.framework.as_deref().unwrap_or_default(),
            release: self.release.as_deref(),
            year: self.year,
            model: &model.name,
            gpu: &self.gpu,
            precision,
            ep: self.ep,
        }
    }

    /// Modules that the recipe of the row's release recomputes, where the row does not say more than that some are.
    fn recomputed_by(&self, recipe: Option<&Recipe>, stated: Option<Recompute>) -> Option<Modules> {
        let open = matches!(stated, None | Some(Recompute::Selective));
        let recipe = recipe.filter(|_| open && self.recompute_modules.is_none())?;
        recipe.recompute_modules
    }

    /// How the job exchanges tokens with experts: as the row says, else as the recipe of its release does where its
    /// pipeline merges passes.
    fn communication(&self, recipe: Option<&Recipe>) -> CommunicationRequest {
        let way = self
            .expert_dispatch
            .or(recipe.and_then(|it| it.expert_dispatch));
        let recipe = recipe.filter(|it| it.expert_dispatch == way);
        let merges = self.vpp.is_some_and(|vpp| vpp > 1) || self.pp == Some(1);
        let usual = recipe.map(|recipe| recipe.overlaps() && merges);
        CommunicationRequest {
            expert_dispatch: way,
            overlap_ep: self.overlap_ep.or(usual),
            ..CommunicationRequest::default()
        }
    }

    /// The GPU by its preset's name, or why there is none.
    fn gpu(&self, catalog: &Catalog) -> Result<Arc<Gpu>, String> {
        let named = catalog.named(Kind::Gpus, &self.gpu);
        let named = named.and_then(|name| catalog.gpus.get(name));
        named.cloned().ok_or_else(|| {
            format!(
                "unknown GPU `{}`; `sweep list gpus` shows those that are known",
                self.gpu
            )
        })
    }

    /// A stack with the recipes of the row, and the graphs of the recipe of its release unless it dispatches tokens in
    /// another way.
    fn with_recipes(&self, stack: &Arc<Stack>, recipe: Option<&Recipe>) -> Arc<Stack> {
        let mut change = self.recipes();
        let way = self.expert_dispatch;
        let is_of = |it: &&Recipe| way.is_none() || way == it.expert_dispatch;
        let replayed = recipe.filter(is_of).map(|recipe| recipe.cuda_graphs);
        change.cuda_graphs = change.cuda_graphs.or(replayed);
        let mut stack = if change.is_none() {
            Arc::clone(stack)
        } else {
            Arc::new(stack.with(&change))
        };
        if let Some(last) = self.channels_last {
            Arc::make_mut(&mut stack).fusion.channels_last = if last {
                ImageFormats::All
            } else {
                ImageFormats::None
            };
        }
        let Some(recipe) = recipe else {
            return stack;
        };
        if let Some(steps) = recipe.collection_steps {
            Arc::make_mut(&mut stack).host.collection_steps = steps;
        }
        if let Some(fused) = recipe.router_fusion {
            Arc::make_mut(&mut stack).fusion.router = fused;
        }
        if let Some(fused) = recipe.latent_rotation_fusion {
            Arc::make_mut(&mut stack).fusion.latent_rotation = fused;
        }
        if let Some(random) = recipe.random_routing {
            Arc::make_mut(&mut stack).recipe.random_routing = random;
        }
        stack
    }

    /// The stack whose frameworks and years fit, or `current`.
    fn stack(&self, catalog: &Catalog) -> Result<Arc<Stack>, String> {
        let framework = self.framework.as_deref().unwrap_or_default();
        let mode = match self.compiled {
            Some(true) => " compile",
            Some(false) => " eager",
            None => "",
        };
        let framework = format!("{framework}{mode}");
        let stack = stack::assigned(catalog.stacks.values(), &framework, self.year)
            .ok_or_else(|| "there is no stack `current`".to_owned())?;
        Ok(Arc::clone(stack))
    }
}

/// cuDNN's older kernel of attention, for a run that had no newer one and whose stack takes cuDNN's on its GPU.
fn old_cudnn(run: Run<'_>, stack: &Stack, gpu: &Gpu) -> Option<AttentionKernel> {
    let has = |kernel: &&AttentionKernel| gpu.rates.attention.contains_key(kernel);
    let usual = stack.attention.iter().find(has)?;
    let older = AttentionKernel::CuDnn2025;
    let may_be = has(&&older) && stack.attention_kernels().contains(&older);
    (*usual == AttentionKernel::CuDnn && run.has_old_cudnn() && may_be).then_some(older)
}

#[cfg(test)]
mod tests {
    use super::super::table::MeasuredTable;
    use super::*;
    use crate::model::{Part, Parts};

    #[test]
    fn a_row_says_which_parts_were_frozen() {
        let frozen = |cell: &str| {
            let text = format!(
                "id,gpu,gpus,global_batch,measured_step_time_s,model,frozen\n\
                 a,h100-sxm,8,64,1,LLaVA-1.5 7B,{cell}\n"
            );
            let table = MeasuredTable::read("cases.csv", &text).expect("a table");
            let jobs = table.map_rows(|_, row: JobRow| row.scenario(Catalog::builtin()));
            let job = jobs.expect("no faults").remove(0);
            job.expect("a scenario").workload.frozen
        };
        let both = Parts::of(&[Part::Encoder, Part::Decoder]);
        assert_eq!(frozen("decoder+encoder"), both);
        assert!(frozen("none").is_empty() && frozen("").is_empty());
    }

    // Mixed precision has channels last in this stack, TF32 has not; a row says so of both.
    #[test]
    fn a_row_says_where_the_channels_of_its_images_are() {
        let formats = |cell: &str| {
            let text = format!(
                "id,gpu,gpus,global_batch,measured_step_time_s,model,framework,year,channels_last\n\
                 a,a100-80gb-sxm,8,64,1,resnet50,PyTorch DDP,2020,{cell}\n"
            );
            let table = MeasuredTable::read("cases.csv", &text).expect("a table");
            let jobs = table.map_rows(|_, row: JobRow| row.scenario(Catalog::builtin()));
            let job = jobs.expect("no faults").remove(0);
            job.expect("a scenario").stack.fusion.channels_last
        };
        assert_eq!(formats(""), ImageFormats::Half);
        assert_eq!(formats("no"), ImageFormats::None);
        assert_eq!(formats("yes"), ImageFormats::All);
    }

    // Releases of 2025, stated or by the year, had cuDNN's older kernels, which Blackwell's files know; 0.2.2 is no release of
    // the year 2000; what a row says counts.
    #[test]
    fn attention_is_that_of_the_releases_of_a_run() {
        let kernel = |gpu: &str, framework: &str, year: u32, cell: &str| {
            let text = format!(
                "id,gpu,gpus,global_batch,measured_step_time_s,model,framework,year,attention\n\
                 a,{gpu},8,64,1,llama3-8b,{framework},{year},{cell}\n"
            );
            let table = MeasuredTable::read("cases.csv", &text).expect("a table");
            let jobs = table.map_rows(|_, row: JobRow| row.scenario(Catalog::builtin()));
            let job = jobs.expect("no faults").remove(0);
            job.expect("a scenario").layout.attention
        };
        let older = Some(AttentionKernel::CuDnn2025);
        assert_eq!(kernel("b200", "NeMo", 2025, ""), older);
        assert_eq!(kernel("gb300", "Megatron-Bridge (25.11)", 2026, ""), older);
        assert_eq!(kernel("b200", "Megatron-Bridge (26.02)", 2026, ""), None);
        assert_eq!(kernel("h100-sxm", "NeMo", 2025, ""), None);
        assert_eq!(kernel("b200", "MaxText", 2025, ""), older);
        assert_eq!(kernel("b200", "torchtitan 0.2.2", 2026, ""), None);
        assert_eq!(kernel("b200", "PyTorch FSDP", 2025, ""), None);
        let stated = kernel("b200", "NeMo", 2025, "flash2");
        assert_eq!(stated, Some(AttentionKernel::Flash2));
    }

    // Whatever stands between its words, `pytorch fsdp` says more than `pytorch`; where two names say different
    // things, the years decide; a name that says more stays what it says in later years.
    #[test]
    fn a_framework_is_known_by_all_its_words_and_its_year() {
        for (framework, year, expected) in [
            ("PyTorch 2.6 FSDP2", 2025, "fsdp-2024"),
            ("PyTorch 1.13 FSDP", 2022, "fsdp-2023"),
            ("FSDP2 (PyTorch 2.6)", 2025, "fsdp-2024"),
            ("PyTorch 21.11 DDP", 2021, "ddp-2021"),
            ("NGC PyTorch bsz=48", 2020, "ddp-2020"),
            ("TensorFlow 20.06 Horovod", 2020, "horovod-2020"),
            ("TensorFlow2 21.02 Horovod", 2021, "horovod-2020"),
            ("PyTorch NVIDIA Release 23.09", 2023, "megatron-2023"),
            ("Megatron-DeepSpeed", 2026, "megatron-deepspeed"),
            ("GPT-NeoX (DeepSpeed)", 2023, "gpt-neox"),
            ("Megatron-LM + DeepSpeed ZeRO-3", 2021, "deepspeed-2021"),
            ("DeepSpeed ZeRO-3", 2023, "deepspeed-2022"),
            ("NeMo 25.07 / Megatron-Core", 2025, "megatron-2025"),
            ("NeMo 24.07 / Megatron-Core", 2024, "megatron-2023"),
            ("torchtitan", 2025, "torchtitan"),
            ("torchtitan (compile)", 2026, "torchtitan-2026"),
            ("PyTorch FSDP2 + torch.compile", 2026, "fsdp-2026"),
            ("torchtitan 0.2.2", 2026, "torchtitan-2026"),
            ("torchtitan (eager)", 2026, "torchtitan-eager"),
            (
                "torchtune full_finetune_single_device compile",
                2024,
                "torchtune-compile",
            ),
            ("torchtune full_finetune_single_device", 2024, "torchtune"),
            (
                "Hugging Face Trainer (transformers 4.40)",
                2024,
                "transformers-2023",
            ),
            ("TRL SFTTrainer", 2026, "transformers"),
            ("PyTorch FSDP2 + DeepEP (Halo)", 2026, "halo"),
            ("PyTorch + torch.compile", 2026, "torch-compile"),
            ("something new", 2026, "current"),
        ] {
            let stacks = Catalog::builtin().stacks.values();
            let found = stack::assigned(stacks, framework, Some(year));
            assert_eq!(
                found.map(|stack| stack.name.as_str()),
                Some(expected),
                "{framework}"
            );
        }
    }
}
