//! The two interfaces that decide what stays in replay and what is trained on next.
//!
//! Both are told about the same events, so that a policy can keep whatever index it needs (age, tier, stream, features).
//! They hold ids only: the samples belong to the table.

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{Sample, SampleId};
use crate::ingest::StreamName;

/// What a policy may know about a sample without looking at its pictures.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its id; rises with every insert.
    pub id: SampleId,
    /// Where it comes from.
    pub stream: &'a StreamName,
    /// Segment within that stream's run.
    pub segment: u64,
    /// Memory that it holds.
    pub bytes: usize,
}

impl<'a> Entry<'a> {
    pub(super) fn of(sample: &'a Sample) -> Self {
        Self {
            id: sample.id,
            stream: &sample.stream,
            segment: sample.segment,
            bytes: sample.bytes(),
        }
    }
}

/// Who makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// This stored sample goes. The policy is asked again if that did not make room enough.
    Stored(SampleId),
    /// The newcomer is not kept (as a reservoir decides for most of them).
    Incoming,
}

/// Decides who goes when the store is full.
pub trait Eviction: Send {
    /// A sample was stored.
    fn inserted(&mut self, entry: &Entry<'_>);
    /// A sample is gone.
    fn removed(&mut self, id: SampleId);
    /// A sample was given out in a batch.
    fn sampled(&mut self, _id: SampleId) {}
    /// What the networks make of a sample that was trained on: the running mean of its features, scaled to length 32 767.
    fn feature(&mut self, _id: SampleId, _feature: &[i16]) {}
    /// What a checkpoint keeps of it beside what [`Self::inserted`] tells when the stored samples come back.
    fn export(&self) -> Value {
        Value::Null
    }
    /// Takes over what [`Self::export`] gave, after the stored samples were inserted in the order of their ids. An error says
    /// what does not fit; the policy then goes on as it is.
    fn import(&mut self, _state: Value) -> Result<(), String> {
        Ok(())
    }
    /// Chooses who makes room for `incoming`. It must name a sample that is stored; [`Victim::Incoming`] when none is.
    fn victim(&mut self, incoming: &Entry<'_>, rng: &mut ChaCha8Rng) -> Victim;
}

/// Decides what is trained on next.
pub trait Sampling: Send {
    /// A sample was stored.
    fn inserted(&mut self, entry: &Entry<'_>);
    /// A sample is gone.
    fn removed(&mut self, id: SampleId);
    /// A sample was given out in a batch.
    fn sampled(&mut self, _id: SampleId) {}
    /// What the networks make of a sample that was trained on: the running mean of its features, scaled to length 32 767.
    fn feature(&mut self, _id: SampleId, _feature: &[i16]) {}
    /// As [`Eviction::export`].
    fn export(&self) -> Value {
        Value::Null
    }
    /// As [`Eviction::import`].
    fn import(&mut self, _state: Value) -> Result<(), String> {
        Ok(())
    }
    /// Draws a stored sample, or `None` when nothing is stored. The table draws again when the batch may not have this one.
    fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<SampleId>;
}
