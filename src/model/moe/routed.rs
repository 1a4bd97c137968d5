//! What a layer of experts sends, and which way.

/// Bytes of a routing weight (routers in fp32).
pub(super) const WEIGHT_BYTES: u64 = 4;

/// Tokens of one rank on their way to the experts and back.
pub(super) struct Routed {
    pub(super) tokens: u64,
    /// Experts that each of them visits.
    pub(super) visited: u32,
    /// Groups of experts that a token's may lie in at most.
    pub(super) most_groups: Option<u32>,
    /// Experts of a rank.
    pub(super) local: u32,
    /// Experts that they visit, all together.
    pub(super) visits: u64,
    /// Rows that are sent, and that the rank's experts get: a visit each, or as many as the experts' capacity.
    pub(super) copies: u64,
    /// Those of a mean rank.
    pub(super) kept: u64,
    pub(super) width: u64,
    /// Whether as many rows go to an expert as come, which their ranks have to be told.
    pub(super) counted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Dispatch,
    Combine,
}
