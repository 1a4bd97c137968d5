//! The result table: its columns, and Parquet out and in.
