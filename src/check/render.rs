//! Findings as people and programs want them; all made from the [`Report`] only.

mod text;

pub use text::text;
