//! The algorithms, one file and one row each.
//!
//! # How do I add an algorithm?
//!
//! Write `NAME.rs` with its `ROW`: its rounds, and what else the table asks for; the compiler names
//! what is missing. Then add its `mod` and its line to the table below. Without a closed form it is
//! priced transfer by transfer from its rounds; the tests over all algorithms play these on 2 to 64
//! ranks, and hold the price against every rank simulated.

mod direct;
mod double_binary_tree;
mod halving_doubling;
mod hierarchical;
mod nvls;
mod ring;
mod row;
mod tree;

pub(super) use row::{LibraryPath, Offer, Plan, Row, TooMany};

use crate::closed_set;
use crate::collective::op::CollectiveOp;
use crate::collective::schedule::{GroupLayout, Schedule};

/// Gives the closed set and the row of each member from one table.
macro_rules! algorithms {
    ($( $(#[doc = $meaning:literal])+ $name:ident = $text:literal in $file:ident, )+) => {
        closed_set! {
            /// How a collective operation is carried out.
            pub enum CollectiveAlgorithm: "collective algorithm" {
                $( $(#[doc = $meaning])+ $name = $text, )+
            }
        }

        impl CollectiveAlgorithm {
            /// Row of the algorithm in the table.
            pub(super) const fn row(self) -> &'static Row {
                match self { $( Self::$name => &$file::ROW, )+ }
            }
        }
    };
}

algorithms! {
    /// Around a ring, share by share.
    Ring = "ring" in ring,
    /// Up one binary tree and down again.
    Tree = "tree" in tree,
    /// Two trees, each with half of the buffer.
    DoubleBinaryTree = "double-binary-tree" in double_binary_tree,
    /// Recursive halving, then recursive doubling.
    HalvingDoubling = "halving-doubling" in halving_doubling,
    /// Everyone with everyone at once.
    Direct = "direct" in direct,
    /// Inside the nodes, across them, inside them again.
    Hierarchical = "hierarchical" in hierarchical,
    /// Reduction inside the switches.
    Nvls = "nvls" in nvls,
}

impl CollectiveAlgorithm {
    /// Rounds of an operation over a group; `None` where the algorithm does not carry it.
    pub fn schedule(self, op: CollectiveOp, group: GroupLayout) -> Option<Schedule> {
        Some(match (self.row().plan)(op, group)? {
            Plan::Rounds(schedule) => schedule,
            Plan::Stages(pipeline) => pipeline.schedule(op, group.ranks, group.chunks),
        })
    }
}

#[cfg(test)]
mod tests;
