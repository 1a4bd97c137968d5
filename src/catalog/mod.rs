//! `data/` and a spec's own tables, as checked values with their sources.
