//! Findings from result tables alone.
