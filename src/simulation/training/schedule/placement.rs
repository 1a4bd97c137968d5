//! Places of a pipeline's virtual stages.

use crate::simulation::Layout;
use crate::stack::PipelineSchedule;

/// Stage of each virtual stage: chunks go round the stages, or there and back in a V.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    stages: u32,
    is_v: bool,
    /// Whether the ranks in the middle send to one another where a V turns.
    turns_by_send: bool,
}

impl Placement {
    /// Everything on one stage.
    pub(crate) const ONE: Self = Self::new(PipelineSchedule::OneFOneB, 1);

    /// Places of a schedule's virtual stages on so many stages.
    pub(crate) const fn new(schedule: PipelineSchedule, stages: u32) -> Self {
        Self {
            stages,
            is_v: schedule.is_v(),
            turns_by_send: matches!(schedule, PipelineSchedule::DualPipe),
        }
    }

    /// Places of a layout's virtual stages.
    pub(crate) const fn of(layout: &Layout) -> Self {
        Self::new(layout.schedule, layout.pp)
    }

    /// Virtual stage, front to back, of a chunk of a stage.
    pub(crate) const fn virtual_stage(self, stage: u32, chunk: u32) -> u32 {
        chunk * self.stages
            + if self.is_v && chunk % 2 == 1 {
                self.stages - 1 - stage
            } else {
                stage
            }
    }

    /// Stage that has a virtual stage.
    pub(crate) const fn stage(self, virtual_stage: u32) -> u32 {
        let place = virtual_stage % self.stages;
        if self.is_v && virtual_stage / self.stages % 2 == 1 {
            self.stages - 1 - place
        } else {
            place
        }
    }

    /// Whether what a virtual stage hands to the next goes to another stage.
    pub(crate) const fn crosses(self, virtual_stage: u32) -> bool {
        if self.turns_by_send || !self.is_v {
            return self.turns_by_send || self.stages > 1;
        }
        // A V turns between its chunks.
        !(virtual_stage + 1).is_multiple_of(self.stages)
    }

    /// Sends of a microbatch on its way through so many chunks a stage.
    pub(crate) const fn hops(self, chunks: u32) -> u32 {
        let borders = self.stages * chunks - 1;
        if self.turns_by_send {
            borders
        } else if self.is_v {
            borders - (chunks - 1)
        } else if self.stages > 1 {
            borders
        } else {
            0
        }
    }

    /// Sends of a stage with each microbatch, of activations and of their gradients.
    pub(crate) const fn sends(self, stage: u32, chunks: u32) -> u32 {
        if !self.is_v {
            let ends = (stage == 0) as u32 + (stage + 1 == self.stages) as u32;
            return if self.stages > 1 {
                2 * chunks - ends
            } else {
                0
            };
        }
        let mut sends = 0;
        let mut chunk = 0;
        while chunk < chunks {
            let at = self.virtual_stage(stage, chunk);
            if at + 1 < self.stages * chunks && self.crosses(at) {
                sends += 1;
            }
            if at > 0 && self.crosses(at - 1) {
                sends += 1;
            }
            chunk += 1;
        }
        sends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Round: each chunk begins on the first stage. In a V the second chunk begins where the first ends.
    #[test]
    fn chunks_go_round_or_back() {
        let order = |schedule, stages: u32, chunks: u32| -> Vec<u32> {
            let placement = Placement::new(schedule, stages);
            let all = 0..stages * chunks;
            for at in all.clone() {
                let stage = placement.stage(at);
                assert_eq!(placement.virtual_stage(stage, at / stages), at);
            }
            let borders = 0..stages * chunks - 1;
            let crossed = borders.filter(|at| placement.stage(*at) != placement.stage(at + 1));
            assert_eq!(placement.hops(chunks) as usize, crossed.count());
            all.map(|at| placement.stage(at)).collect()
        };
        let interleaved = PipelineSchedule::Interleaved;
        assert_eq!(order(interleaved, 3, 2), [0, 1, 2, 0, 1, 2]);
        assert_eq!(order(PipelineSchedule::ZbV, 3, 2), [0, 1, 2, 2, 1, 0]);
        assert_eq!(order(PipelineSchedule::OneFOneB, 1, 1), [0]);
    }

    // Of two chunks on three stages: round, 5 borders are crossed each way; in a V the turn at the last stage is none.
    #[test]
    fn the_turn_of_a_v_sends_nothing() {
        let all = |schedule| -> Vec<u32> {
            let placement = Placement::new(schedule, 3);
            (0..3).map(|stage| placement.sends(stage, 2)).collect()
        };
        assert_eq!(all(PipelineSchedule::Interleaved), [3, 4, 3]);
        assert_eq!(all(PipelineSchedule::ZbV), [2, 4, 2]);
    }
}
