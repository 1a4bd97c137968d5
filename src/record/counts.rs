//! Points by how they ended.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::record::point::PointStatus;
use crate::simulation::ReasonKind;

/// Points by how they ended.
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Counts {
    /// Points that ran.
    pub ok: u64,
    /// Points that cannot run.
    pub infeasible: u64,
    /// Points on which the simulator failed.
    pub crashed: u64,
    /// Infeasible points by the kind of their reason.
    pub reasons: BTreeMap<String, u64>,
}

impl Counts {
    /// All points.
    pub(crate) const fn points(&self) -> u64 {
        self.ok + self.infeasible + self.crashed
    }

    /// Adds the points of other counts.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.ok += other.ok;
        self.infeasible += other.infeasible;
        self.crashed += other.crashed;
        for (kind, count) in &other.reasons {
            *self.reasons.entry(kind.clone()).or_default() += count;
        }
    }

    /// Counts one point; an infeasible one by the kind of its reason.
    pub(crate) fn add(&mut self, status: PointStatus, kind: Option<ReasonKind>) {
        match status {
            PointStatus::Ok => self.ok += 1,
            PointStatus::Crashed => self.crashed += 1,
            PointStatus::Infeasible => {
                self.infeasible += 1;
                let kind = kind.map_or("unknown", ReasonKind::as_str);
                *self.reasons.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
}
