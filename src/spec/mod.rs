//! Text to spec to plan.
