//! Links of a job as one flat list, and the chunks that messages put on them.

use crate::collective::job::Job;

/// End of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A GPU.
    Gpu(u32),
    /// The switch of a domain.
    Domain(u32),
    /// The switches between domains.
    Fabric,
}

/// Kind of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LinkKind {
    /// Sending or receiving side of a GPU inside its domain.
    Port,
    /// Links between two GPUs of a domain where each pair has its own.
    Pair,
    /// Sending or receiving side of a NIC.
    Nic,
    /// A link of the fabric, with its capacity in rates of all NICs of a domain.
    Fabric(f64),
}

/// Links of a job: the ports of each GPU, out and in; each pair of GPUs with links of its own; the
/// NICs, out and in; the fabric's links.
pub(super) struct Links<'a> {
    job: &'a Job,
    /// NICs of a domain that are distinguished.
    pub(super) nics: u32,
    has_pairs: bool,
}

impl<'a> Links<'a> {
    /// The links of a job with so many NICs in a domain.
    pub(super) const fn new(job: &'a Job, nics: u32, has_pairs: bool) -> Self {
        Self {
            job,
            nics,
            has_pairs,
        }
    }

    const fn first_pair(&self) -> usize {
        2 * self.job.gpus as usize
    }

    /// The first link that leaves a domain.
    pub(super) const fn first_nic(&self) -> usize {
        let pairs = if self.has_pairs {
            self.job.gpus as usize * self.job.per_domain as usize
        } else {
            0
        };
        self.first_pair() + pairs
    }

    /// A link of the fabric by its number there.
    pub(super) const fn fabric(&self, link: u32) -> usize {
        let nics = 2 * (self.job.domains() * self.nics) as usize;
        self.first_nic() + nics + link as usize
    }

    /// Number of links.
    pub(super) fn count(&self) -> usize {
        let fabric = self.job.contention.topology();
        self.fabric(fabric.map_or(0, |topology| topology.graph().links().len() as u32))
    }

    /// Kind of a link.
    pub(super) fn kind(&self, link: usize) -> LinkKind {
        if link < self.first_pair() {
            LinkKind::Port
        } else if link < self.first_nic() {
            LinkKind::Pair
        } else if link < self.fabric(0) {
            LinkKind::Nic
        } else {
            let topology = self.job.contention.topology();
            LinkKind::Fabric(topology.map_or(1.0, |topology| {
                topology.graph().links()[link - self.fabric(0)].capacity
            }))
        }
    }

    /// The domain that an end lies in.
    pub(super) const fn domain(&self, place: Place) -> Option<u32> {
        match place {
            Place::Gpu(rank) => Some(rank / self.job.per_domain),
            Place::Domain(domain) => Some(domain),
            Place::Fabric => None,
        }
    }

    /// The NIC by which a message leaves an end for another domain, or enters there.
    fn nic(&self, place: Place) -> Option<u32> {
        match place {
            Place::Gpu(rank) if self.nics > 1 => Some(self.job.nic_of(rank)),
            Place::Gpu(_) | Place::Domain(_) | Place::Fabric => self.domain(place),
        }
    }

    /// Calls `take` with every link that a message crosses, and the part of it that does.
    pub(super) fn crossed(&self, from: Place, to: Place, take: &mut impl FnMut(usize, f64)) {
        let (source, goal) = (self.domain(from), self.domain(to));
        if source == goal {
            if let Place::Gpu(rank) = from {
                take(2 * rank as usize, 1.0);
            }
            if let Place::Gpu(rank) = to {
                take(2 * rank as usize + 1, 1.0);
            }
            if let (true, Place::Gpu(from), Place::Gpu(to)) = (self.has_pairs, from, to) {
                let pair = from * self.job.per_domain + to % self.job.per_domain;
                take(self.first_pair() + pair as usize, 1.0);
            }
            return;
        }
        if let Some(nic) = self.nic(from) {
            take(self.first_nic() + 2 * nic as usize, 1.0);
        }
        if let Some(nic) = self.nic(to) {
            take(self.first_nic() + 2 * nic as usize + 1, 1.0);
        }
        if let (Some(topology), Some(source), Some(goal)) =
            (self.job.contention.topology(), source, goal)
        {
            topology.route(source, goal, &mut |link, share| {
                take(self.fabric(link), share);
            });
        }
    }
}

/// Chunks on each link.
pub(super) struct Loads {
    chunks: Vec<f64>,
    /// Links with any.
    touched: Vec<usize>,
}

impl Loads {
    /// No chunk on any of the links.
    pub(super) fn none(links: &Links<'_>) -> Self {
        Self {
            chunks: vec![0.0; links.count()],
            touched: Vec::new(),
        }
    }

    /// Adds chunks to a link and gives what it has then.
    pub(super) fn add(&mut self, link: usize, chunks: f64) -> f64 {
        if self.chunks[link] == 0.0 {
            self.touched.push(link);
        }
        self.chunks[link] += chunks;
        self.chunks[link]
    }

    /// Takes all chunks away, link by link.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (usize, f64)> {
        let chunks = &mut self.chunks;
        self.touched
            .drain(..)
            .map(|link| (link, std::mem::take(&mut chunks[link])))
    }
}
