//! How much a point may take: events of its simulation, and tasks that are held at once.

use crate::simulation::Infeasible;

/// Most tasks of a step that are held at once: with what they wait for and their times each takes some 250 bytes, all
/// of them 2 GB.
const TASKS: usize = 8_000_000;

/// Events of a point so far, and how many it may take.
#[derive(Clone, Debug)]
pub(super) struct Effort {
    spent: u64,
    most: u64,
}

impl Default for Effort {
    /// Nothing spent, without a limit.
    fn default() -> Self {
        Self {
            spent: 0,
            most: u64::MAX,
        }
    }
}

impl Effort {
    /// Nothing spent of so many events.
    pub(super) const fn of_events(most: u64) -> Self {
        Self { spent: 0, most }
    }

    /// Checks that a step of so many tasks can be held and played.
    ///
    /// # Errors
    /// If it would take more memory than a step may, or more events than are left: a task is at least one.
    pub(super) fn check_tasks(&mut self, tasks: usize) -> Result<(), Infeasible> {
        if tasks > TASKS {
            return Err(Infeasible::Limit(format!(
                "a step of more than {TASKS} tasks would take over 2 GB while it is simulated; lower global_batch, or raise micro_batch, dp or bucket_mib"
            )));
        }
        let would_be = self.spent.saturating_add(tasks as u64);
        if would_be > self.most {
            // Nothing is played any more: whatever the search still looks at, the point is over its limit.
            self.spent = would_be;
        }
        self.check(would_be)
    }

    /// Counts the events of a step that was played.
    ///
    /// # Errors
    /// If they are more than are left.
    pub(super) fn spend(&mut self, events: u64) -> Result<(), Infeasible> {
        self.spent = self.spent.saturating_add(events);
        self.check(self.spent)
    }

    /// Checks that the steps played so far took no more events than they may.
    ///
    /// # Errors
    /// If they took more.
    pub(super) fn check_spent(&self) -> Result<(), Infeasible> {
        self.check(self.spent)
    }

    fn check(&self, events: u64) -> Result<(), Infeasible> {
        if events <= self.most {
            return Ok(());
        }
        Err(Infeasible::Limit(format!(
            "the simulation takes more than {} events (--max-events); raise it, or give more of the layout",
            self.most
        )))
    }
}

#[cfg(test)]
mod tests {
    use crate::simulation::training::tests::scenario;
    use crate::simulation::{Infeasible, Scratch, simulate_training};

    // A search and four steps of varying kernels that take E events end as they do without a limit at E, and are refused
    // with the limit at E − 1, and at E/2 between two steps; the next point counts anew.
    #[test]
    fn a_point_takes_as_many_events_as_it_may() {
        let mut scenario = scenario("llama3-8b", 64, 512);
        (scenario.run.variability, scenario.run.iterations) = (0.1, 4);
        let mut scratch = Scratch::default();
        let free = simulate_training(&scenario, &mut scratch).expect("it runs");
        for _ in 0..2 {
            scratch.limit_events(Some(free.events));
            let same = simulate_training(&scenario, &mut scratch).expect("it runs");
            assert_eq!(same, free);
        }
        for most in [free.events - 1, free.events / 2, 1] {
            scratch.limit_events(Some(most));
            let refused = simulate_training(&scenario, &mut scratch).expect_err("too many");
            let limit = format!("more than {most} events (--max-events)");
            assert!(matches!(refused, Infeasible::Limit(_)), "{refused}");
            assert!(refused.to_string().contains(&limit), "{refused}");
        }
        scratch.limit_events(None);
        assert_eq!(simulate_training(&scenario, &mut scratch), Ok(free));
    }

    #[test]
    fn a_step_that_would_take_gigabytes_is_refused_with_the_limit() {
        let mut effort = super::Effort::default();
        assert_eq!(effort.check_tasks(super::TASKS), Ok(()));
        let refused = effort.check_tasks(super::TASKS + 1).expect_err("too many");
        assert!(refused.to_string().contains("8000000 tasks"), "{refused}");
    }
}
