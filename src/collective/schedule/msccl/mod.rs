//! MSCCL's XML, as msccl-tools writes it and RCCL carries it out.
//!
//! Each GPU has thread blocks, which work through their steps in order; a block has one peer that it
//! sends to and one that it receives from, over a connection of its channel. A step moves `cnt` chunks
//! between the buffers `i`, `o` and `s` of its GPU and its peers, after step `deps` of block `depid`.
//!
//! | type | takes | writes | sends |
//! |---|---|---|---|
//! | `s` | `src` | – | yes |
//! | `r` | what arrives | `dst` | – |
//! | `cpy` | `src` | `dst` | – |
//! | `re` | `src` + `dst` | `dst` | – |
//! | `rrc` | what arrives + `src` | `dst` | – |
//! | `rcs` | what arrives | `dst` | yes |
//! | `rrs` | what arrives + `src` | – | yes |
//! | `rrcs` | what arrives + `src` | `dst` | yes |
//! | `nop` | – | – | – |
//!
//! Source: `src/device/msccl_kernel_impl.h` and `src/misc/msccl/msccl_parser.cc` of RCCL,
//! `msccl/language/ir.py` of msccl-tools.

mod contents;
mod play;
mod xml;

use crate::collective::schedule::fault::{ScheduleFileFault, at_line};
use crate::collective::schedule::msccl::play::{Order, play};
use crate::collective::schedule::program::Program;

/// Reads a schedule from MSCCL's XML, carries it out in several orders that it allows, and checks what
/// each GPU ends with.
///
/// # Errors
/// If an element cannot be read, a step cannot be carried out, steps wait for each other in a circle,
/// or a GPU ends without what the operation promises.
pub(super) fn read_msccl(text: &str) -> Result<Program, ScheduleFileFault> {
    let algorithm = xml::read(text)?;
    let placings = [(algorithm.in_place, true), (algorithm.out_of_place, false)];
    let placings = placings.iter().filter(|(offered, _)| *offered);
    let orders = placings.flat_map(|&(_, in_place)| {
        let orders = Order::ALL.iter();
        orders.map(move |order| (in_place, *order))
    });
    let mut programs = orders.map(|(in_place, order)| play(&algorithm, in_place, order));
    let first = programs.next();
    let program = first.unwrap_or_else(|| {
        let message = "it is neither `inplace` nor `outofplace`";
        Err(at_line(1, message))
    })?;
    programs.try_for_each(|other| other.map(drop))?;
    Ok(program)
}

#[cfg(test)]
mod tests;
