//! The drill: mutation testing of a contract. A recording that passes is spoiled in every way that
//! SPEC §6 names, just within and just beyond each limit, and replayed; what the gate then says of it
//! is held against what the contract promises.
//!
//! Pure: the same recording, contract and seed give the same mutants and the same answers. Reading
//! files, threads and progress are the caller's.

mod feeds;
mod link;
mod members;
mod mutant;
mod pace;
mod record;
mod score;
mod sequence;
mod sizes;
mod slice;
mod stage;
pub mod tape;
mod text;
mod values;

pub use mutant::{Expect, Mutant, Place};
pub use score::{score, stands_for};
pub use slice::{Bounds, Slicer};
pub use stage::{Judgement, Stage, alone};

use crate::model::Class;
use crate::model::drill::NotDrilled;
use mutant::Range;

/// Which mutants are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Decides the places.
    pub seed: u64,
    /// Places for each way to spoil the recording.
    pub places: usize,
    /// Only these; empty for all.
    pub classes: Vec<Class>,
}

/// All mutants of a feature's slice, and what could not be tried, with the reason.
pub fn mutants<'s>(stage: &'s Stage, plan: &Plan) -> (Vec<Mutant<'s>>, Vec<NotDrilled>) {
    let mut range = Range::new(stage, plan.seed, plan.places, &plan.classes);
    values::add(&mut range);
    members::add(&mut range);
    sequence::add(&mut range);
    pace::add(&mut range);
    feeds::add(&mut range);
    link::add(&mut range);
    for class in [Class::RestStillPolled, Class::ResourceIncrease, Class::LogError] {
        range.not(class, "", "not in this recording's slice: its evidence belongs to after-enabling, and drilled is before-enabling");
    }
    for class in Class::ALL {
        let told =
            range.none.iter().any(|n| n.class == *class) || range.mutants.iter().any(|m| m.class == *class);
        if !told {
            range.not(*class, "", "no field of the feature can be spoiled so");
        }
    }
    // In the order of the classes; within a class as they were made.
    range.mutants.sort_by_key(|m| m.class);
    range.none.sort_by_key(|n| n.class);
    (range.mutants, range.none)
}
