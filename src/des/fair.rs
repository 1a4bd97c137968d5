//! Max–min fair shares by progressive filling: all rates grow together until a link is full, its
//! flows are frozen there, the others grow on (Bertsekas & Gallager, Data Networks, 6.5.2).

use std::collections::BinaryHeap;

/// Links that open flows share out.
pub(super) trait Sharing {
    /// Rate at which a link is full, if all of its open flows get it; `None` where none is open.
    fn level(&self, link: u32) -> Option<f64>;

    /// Gives every open flow of a link this rate, and takes it from all links that the flow crosses.
    fn freeze(&mut self, link: u32, rate: f64);
}

/// A link by the rate at which it will be full; the heap gives the smallest first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Filling {
    level: f64,
    link: u32,
}

impl Eq for Filling {}

impl Ord for Filling {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other
            .level
            .total_cmp(&self.level)
            .then(other.link.cmp(&self.link))
    }
}

impl PartialOrd for Filling {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Gives the open flows of a few links their rates, the slowest first: as [`Filler::fill`], without its heap.
pub(super) fn fill_few(links: std::ops::RangeInclusive<u32>, sharing: &mut impl Sharing) {
    let mut reached = 0.0_f64;
    loop {
        let levels = links
            .clone()
            .filter_map(|link| sharing.level(link).map(|level| (level, link)));
        let Some((level, link)) = levels.min_by(|a, b| a.0.total_cmp(&b.0)) else {
            return;
        };
        reached = reached.max(level);
        sharing.freeze(link, reached);
    }
}

/// The solver, with memory that it keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Filler {
    heap: BinaryHeap<Filling>,
}

impl Filler {
    /// Gives the open flows of these links their rates, the slowest first.
    pub(super) fn fill(
        &mut self,
        links: impl IntoIterator<Item = u32>,
        sharing: &mut impl Sharing,
    ) {
        for link in links {
            let level = sharing.level(link);
            self.heap.extend(level.map(|level| Filling { level, link }));
        }
        let mut reached = 0.0_f64;
        while let Some(Filling { level, link }) = self.heap.pop() {
            let Some(now) = sharing.level(link) else {
                continue;
            };
            // Frozen neighbours only ever raise a link's level, so an old entry is too early.
            let now = now.max(reached);
            if now > level && self.heap.peek().is_some_and(|next| next.level < now) {
                self.heap.push(Filling { level: now, link });
                continue;
            }
            reached = now;
            sharing.freeze(link, now);
        }
    }
}
