//! Stub.
#![allow(missing_docs)]
use super::Wish;
use crate::resource::Resource;
pub fn wish(_: &Wish, _: &mut Vec<Box<dyn Resource>>) {}
pub fn order(_: &Wish, _: &mut Vec<Box<dyn Resource>>) {}
pub fn install(_: &Wish, _: &mut Vec<Box<dyn Resource>>) {}
pub fn keys(_: &Wish, _: &mut Vec<Box<dyn Resource>>) {}
