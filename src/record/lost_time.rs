//! Lost time of a step by cause, and the change that each cause asks for.

use crate::closed_set;
use crate::simulation::{Layout, StepPart, TimeShares};
use crate::units::SimDuration;

closed_set! {
    /// Bottleneck: what to change first.
    pub(crate) enum Bottleneck: "bottleneck" {
        /// Kernels that the job asks for, which fill the step.
        Compute = "compute",
        /// Recomputation that only the lack of memory forces.
        Memory = "memory",
        /// Exposed communication.
        Network = "network",
        /// The pipeline's bubble.
        Pipeline = "pipeline",
        /// Waiting for the host.
        Host = "host",
    }
}

closed_set! {
    /// Cause of lost time; all causes together are the step without its compute.
    pub(crate) enum LossCause: "cause of lost time" {
        /// Waiting for the host.
        Host = "host",
        /// Waiting for another pipeline stage.
        Bubble = "bubble",
        /// Recomputation that only the lack of memory forces.
        Memory = "memory",
        /// Recomputation that was asked for.
        Recomputation = "recomputation",
        /// Exposed communication of groups inside a scale-up domain.
        ScaleUp = "scale-up links",
        /// Exposed communication of groups that span scale-up domains.
        Nic = "NICs",
        /// Kernels of the optimizer.
        Optimizer = "optimizer",
    }
}

impl LossCause {
    /// The bottleneck that the cause makes of a step; `None` for work that the job asks for.
    const fn bottleneck(self) -> Option<Bottleneck> {
        match self {
            Self::Host => Some(Bottleneck::Host),
            Self::Bubble => Some(Bottleneck::Pipeline),
            Self::Memory => Some(Bottleneck::Memory),
            Self::ScaleUp | Self::Nic => Some(Bottleneck::Network),
            Self::Recomputation | Self::Optimizer => None,
        }
    }

    /// The time in words, for `without …`.
    const fn title(self) -> &'static str {
        match self {
            Self::Host => "waiting for the host",
            Self::Bubble => "the pipeline bubble",
            Self::Memory => "the recomputation that memory forces",
            Self::Recomputation => "the recomputation asked for",
            Self::ScaleUp => "exposed communication inside the scale-up domain",
            Self::Nic => "exposed communication through the NICs",
            Self::Optimizer => "the optimizer",
        }
    }

    /// The changes that shorten it.
    const fn change(self) -> &'static str {
        match self {
            Self::Host => "CUDA graphs, a faster host or more work per kernel",
            Self::Bubble => "more microbatches, fewer stages or an interleaved schedule",
            Self::Memory => "more memory per GPU or a layout that shards more",
            Self::Recomputation => "recompute less, where memory allows",
            Self::ScaleUp => "faster links inside the domain, smaller groups on them or overlap",
            Self::Nic => "faster NICs, groups inside one domain, a larger batch or overlap",
            Self::Optimizer => "a higher ZeRO stage or a larger batch",
        }
    }
}

/// Time of each cause, in the order of [`LossCause::ALL`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LostTime {
    causes: Vec<(LossCause, SimDuration)>,
    /// Parts of the step with their causes.
    parts: Vec<(LossCause, StepPart, SimDuration)>,
    step: SimDuration,
}

/// Context that decides about the cause of a part of the step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossContext<'a> {
    pub layout: &'a Layout,
    /// GPUs of the job.
    pub gpus: u32,
    /// GPUs of a scale-up domain.
    pub domain_gpus: u32,
    /// Whether recomputation was left to the simulator, which only does it for want of memory.
    pub recompute_is_auto: bool,
}

impl LossContext<'_> {
    /// The cause of a part; `None` for compute, which is not lost.
    fn cause(&self, part: StepPart) -> Option<LossCause> {
        let Layout {
            tp,
            cp,
            dp,
            ep,
            etp,
            ..
        } = *self.layout;
        Some(match part {
            StepPart::Compute => return None,
            StepPart::Recompute if self.recompute_is_auto => LossCause::Memory,
            StepPart::Recompute => LossCause::Recomputation,
            StepPart::TpComm => self.link(tp),
            StepPart::CpComm => self.link(tp * cp),
            StepPart::EpComm => self.link(etp * ep),
            StepPart::DpComm => self.link(tp * cp * dp),
            StepPart::PpComm => self.link(self.gpus),
            StepPart::Bubble => LossCause::Bubble,
            StepPart::Optimizer => LossCause::Optimizer,
            StepPart::Overhead => LossCause::Host,
        })
    }

    /// The links that communication waits for: the NICs where its groups reach over more consecutive ranks
    /// than a domain has.
    ///
    /// Ranks are numbered tensor-parallel fastest, then context, data and pipeline-parallel.
    fn link(&self, reach: u32) -> LossCause {
        if reach > self.domain_gpus {
            LossCause::Nic
        } else {
            LossCause::ScaleUp
        }
    }
}

impl LostTime {
    /// Sorts the parts of a step by cause.
    pub(crate) fn new(shares: &TimeShares, context: &LossContext<'_>) -> Self {
        let parts = shares.iter();
        let parts = parts.filter_map(|(part, time)| Some((context.cause(part)?, part, time)));
        let parts: Vec<(LossCause, StepPart, SimDuration)> = parts.collect();
        let causes = LossCause::ALL.iter().map(|cause| {
            let of_cause = parts.iter().filter(|(of, ..)| of == cause);
            (*cause, of_cause.map(|(_, _, time)| *time).sum())
        });
        Self {
            causes: causes.collect(),
            parts,
            step: shares.total(),
        }
    }

    /// The causes that took time, longest first.
    pub(crate) fn causes(&self) -> Vec<(LossCause, SimDuration)> {
        let mut causes = self.causes.clone();
        causes.retain(|(_, time)| *time > SimDuration::ZERO);
        causes.sort_by_key(|(cause, time)| (std::cmp::Reverse(*time), *cause));
        causes
    }

    /// Bottleneck, to be changed first: compute where kernels that the job asks for fill more than `busy` of the step,
    /// else the bottleneck whose causes lose most.
    pub(crate) fn bottleneck(&self, busy: f64) -> Bottleneck {
        let lost_to = |bottleneck: Bottleneck| -> SimDuration {
            let causes = self.causes.iter();
            let of_it = causes.filter(|(cause, _)| cause.bottleneck() == Some(bottleneck));
            of_it.map(|(_, time)| *time).sum()
        };
        let lost = Bottleneck::ALL.iter().map(|it| (lost_to(*it), *it));
        let avoidable: SimDuration = lost.clone().map(|(time, _)| time).sum();
        // The last of equal ones wins a maximum, hence the order.
        let largest = lost.rev().max_by_key(|(time, _)| *time);
        match largest {
            Some((_, largest)) if 1.0 - self.fraction(avoidable) <= busy => largest,
            Some(_) | None => Bottleneck::Compute,
        }
    }

    /// Advice: what the largest cause costs at most, what would change it, and all causes with their shares:
    /// `without the pipeline bubble: at most 12.3% less step time, 14.0% more samples per second; more
    /// microbatches, …; lost 15.0% of the step: bubble 12.3%, host 2.7%`.
    pub(crate) fn advice(&self) -> String {
        let causes = self.causes();
        let Some((first, time)) = causes.first() else {
            return "nothing but compute: faster or more GPUs alone would help".to_owned();
        };
        let gain = self.fraction(*time);
        let shares: Vec<String> = (causes.iter())
            .map(|(cause, time)| format!("{cause} {:.1}%", 100.0 * self.fraction(*time)))
            .collect();
        let lost: SimDuration = causes.iter().map(|(_, time)| *time).sum();
        format!(
            "without {}{}: at most {:.1}% less step time, {:.1}% more samples per second; {}; lost {:.1}% of the \
             step: {}",
            first.title(),
            self.largest_part(*first),
            100.0 * gain,
            100.0 * gain / (1.0 - gain),
            first.change(),
            100.0 * self.fraction(lost),
            shares.join(", ")
        )
    }

    /// ` (mostly data-parallel communication)`: the largest part of what waits for links.
    fn largest_part(&self, cause: LossCause) -> String {
        match cause {
            LossCause::ScaleUp | LossCause::Nic => {
                let parts = self.parts.iter().filter(|(of, ..)| *of == cause);
                let largest = parts.max_by_key(|(_, _, time)| *time);
                largest.map_or_else(String::new, |(_, part, _)| {
                    format!(" (mostly {})", part.title())
                })
            }
            LossCause::Host
            | LossCause::Bubble
            | LossCause::Memory
            | LossCause::Recomputation
            | LossCause::Optimizer => String::new(),
        }
    }

    fn fraction(&self, time: SimDuration) -> f64 {
        time.as_secs_f64() / self.step.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Catalog;
    use crate::simulation::{Scratch, TrainingScenario, simulate_training};

    /// A layout over 64 GPUs: groups of `tp`, the rest replicas.
    fn layout(tp: u32) -> Layout {
        let catalog = Catalog::builtin();
        let mut job = TrainingScenario::new(
            Arc::clone(&catalog.models["llama3-8b"]),
            Arc::clone(&catalog.gpus["h100-sxm"]),
            Arc::clone(&catalog.clusters["dgx-h100"]),
            Arc::clone(&catalog.stacks["current"]),
        );
        (job.gpus, job.workload.global_batch) = (64, 64);
        (job.layout.tp, job.layout.pp, job.layout.cp) = (Some(tp), Some(1), Some(1));
        let step = simulate_training(&job, &mut Scratch::default());
        step.unwrap().layout
    }

    fn lost(parts: &[(StepPart, u64)], recompute_is_auto: bool) -> LostTime {
        let mut shares = TimeShares::default();
        for (part, millis) in parts {
            shares[*part] = SimDuration::from_micros(1_000 * millis);
        }
        LostTime::new(
            &shares,
            &LossContext {
                layout: &layout(8),
                gpus: 64,
                domain_gpus: 8,
                recompute_is_auto,
            },
        )
    }

    use StepPart::{Bubble, Compute, CpComm, DpComm, Optimizer, Overhead, Recompute, TpComm};

    // Of 100 ms: 41 of waiting for the host against 59 of compute have to be named, and so has the larger of
    // two losses. Where kernels fill 85 the rest is no bottleneck, unless 25 of them are recomputation that
    // nobody asked for.
    #[test]
    fn the_bottleneck_is_what_loses_most_unless_kernels_fill_the_step() {
        let of = |parts: &[(StepPart, u64)], auto| lost(parts, auto).bottleneck(0.8);
        assert_eq!(of(&[(Compute, 59), (Overhead, 41)], true), Bottleneck::Host);
        assert_eq!(
            of(&[(Compute, 60), (DpComm, 30), (Bubble, 10)], true),
            Bottleneck::Network
        );
        assert_eq!(
            of(&[(Compute, 40), (DpComm, 10), (Bubble, 50)], true),
            Bottleneck::Pipeline
        );
        // 8 and 9 ms on two kinds of links are 17 of the network against 13 of the bubble.
        assert_eq!(
            of(
                &[(Compute, 70), (TpComm, 8), (DpComm, 9), (Bubble, 13)],
                true
            ),
            Bottleneck::Network
        );
        assert_eq!(
            of(&[(Compute, 85), (DpComm, 15)], true),
            Bottleneck::Compute
        );
        let recomputed = [(Compute, 60), (Recompute, 25), (DpComm, 10), (Bubble, 5)];
        assert_eq!(of(&recomputed, true), Bottleneck::Memory);
        assert_eq!(of(&recomputed, false), Bottleneck::Compute);
        assert_eq!(of(&[(Compute, 100)], true), Bottleneck::Compute);
    }

    // Groups of 8 fill a server of 8; 64 replicas of one rank, or 8 of 8, reach over eight servers.
    #[test]
    fn communication_is_told_apart_by_the_links_that_it_waits_for() {
        let found = lost(&[(Compute, 70), (TpComm, 20), (DpComm, 10)], true).causes();
        let causes: Vec<LossCause> = found.iter().map(|(cause, _)| *cause).collect();
        assert_eq!(causes, [LossCause::ScaleUp, LossCause::Nic]);
    }

    // 20 ms of tensor against 5 of context parallelism, both inside a server; 10 ms of gradients between servers.
    #[test]
    fn advice_about_links_names_their_largest_traffic() {
        let parts = [(Compute, 65), (CpComm, 5), (TpComm, 20), (DpComm, 10)];
        let said = "without exposed communication inside the scale-up domain (mostly tensor-parallel communication): at \
                    most 25.0%";
        let advice = lost(&parts, true).advice();
        assert!(advice.starts_with(said), "{advice}");
    }

    // Without 20 ms of 100 a step takes 80: 20% less, and 100/80 − 1 = 25% more samples. Lost are 20 + 7 + 3.
    #[test]
    fn advice_names_the_gain_the_change_and_every_cause() {
        let parts = [(Compute, 70), (Overhead, 20), (DpComm, 7), (Optimizer, 3)];
        assert_eq!(
            lost(&parts, true).advice(),
            "without waiting for the host: at most 20.0% less step time, 25.0% more samples per second; CUDA \
             graphs, a faster host or more work per kernel; lost 30.0% of the step: host 20.0%, NICs 7.0%, \
             optimizer 3.0%"
        );
        assert!(
            lost(&[(Compute, 70)], true)
                .advice()
                .starts_with("nothing but compute")
        );
    }

    proptest! {
        #[test]
        fn causes_sum_to_the_step_without_its_compute(times in prop::array::uniform10(0_u64..1_000), auto: bool) {
            let parts: Vec<(StepPart, u64)> = StepPart::ALL.iter().copied().zip(times).collect();
            let causes: SimDuration = lost(&parts, auto).causes().iter().map(|(_, time)| *time).sum();
            let all: u64 = times.iter().sum();
            prop_assert_eq!(causes, SimDuration::from_micros(1_000 * (all - times[0])));
        }
    }
}
