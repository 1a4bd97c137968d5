//! From one value as a spec writes it to a value of its axis.

use itertools::Itertools as _;

use crate::spec::axis::{Axis, Domain, StudyKind};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::layers_per_stage;
use crate::spec::mixed_gpus::MixedGpus;
use crate::spec::names::Names;
use crate::spec::source::Place;
use crate::spec::syntax::{Node, Value};
use crate::spec::value::AxisValue;
use crate::spelling::did_you_mean;
use crate::units::{Bytes, Power, QuantityError};

/// Reads one value of an axis.
pub(super) fn value(names: &Names, axis: Axis, node: &Node) -> Result<AxisValue, Diagnostic> {
    let info = axis.info();
    if node.text() == Some("auto") && info.takes_auto() {
        return Ok(AxisValue::Auto);
    }
    if node.text() == Some("auto") {
        return Err(no_auto(axis, node));
    }
    match info.domain {
        Domain::Catalog(_) | Domain::Closed(_) | Domain::Custom(_) => name(names, axis, node),
        Domain::Several(members, none) => several(axis, (members, none), node),
        Domain::Int { min, max } => count(axis, min, max, node),
        Domain::Real { min, max } => real(axis, min, max, node),
        Domain::Bool => {
            let Value::Bool(answer) = node.value else {
                return Err(mismatch(axis, node));
            };
            Ok(AxisValue::Bool(answer))
        }
        Domain::Size => size(axis, node).map(AxisValue::Size),
        Domain::Power => power(axis, node).map(AxisValue::Power),
        Domain::Stages => {
            let text = node.text().ok_or_else(|| mismatch(axis, node))?;
            match layers_per_stage::parse(text) {
                Ok(_) => Ok(AxisValue::name(text)),
                Err(message) => Err(Diagnostic::error(&node.place, message)),
            }
        }
    }
}

fn name(names: &Names, axis: Axis, node: &Node) -> Result<AxisValue, Diagnostic> {
    let text = node.text().ok_or_else(|| mismatch(axis, node))?;
    if let Some(fault) = names.misspelt.known(axis, text) {
        return Err(fault.at(&node.place));
    }
    if let Some(name) = names.named(axis.info().domain, text) {
        return Ok(AxisValue::name(&name));
    }
    let fault = names
        .misspelt
        .new_fault(axis, text, || unknown(names, axis, text, &node.place));
    Err(fault.at(&node.place))
}

/// The fault of a name that an axis does not have, with those that it could mean.
fn unknown(names: &Names, axis: Axis, text: &str, place: &Place) -> Diagnostic {
    let domain = axis.info().domain;
    let known = names.of(domain);
    if axis == Axis::Gpu && MixedGpus::is_in(text) {
        return mixed_fault(names, text, place);
    }
    if let Domain::Catalog(kind) = domain {
        let counted = MixedGpus::parse(text).ok().filter(|_| axis == Axis::Gpu);
        if let Some((count, name)) = counted.as_ref().and_then(|it| it.types().next()) {
            let hint = format!("one type goes without a number: gpu = \"{name}\", gpus = {count}");
            return Diagnostic::error(place, format!("unknown GPU `{text}`")).hint(hint);
        }
        let hint = did_you_mean(text, known).unwrap_or_else(|| {
            format!("`sweep list {kind}` shows them; custom ones go into [{kind}.NAME]")
        });
        let message = format!("unknown {} `{text}`", kind.singular());
        return Diagnostic::error(place, message).hint(hint);
    }
    let expected = if let Domain::Custom(kind) = domain {
        let known = known.join(", ");
        format!("one of: {known}; custom ones go into [{kind}.NAME]")
    } else {
        expectation(axis)
    };
    Diagnostic::error(place, format!("unknown {axis} `{text}`"))
        .did_you_mean(text, known)
        .hint(format!("expected {expected}"))
}

/// The fault of a text that names several types of GPU.
fn mixed_fault(names: &Names, text: &str, place: &Place) -> Diagnostic {
    let fault = |message: String| Diagnostic::error(place, message);
    let mixed = match MixedGpus::parse(text) {
        Ok(mixed) => mixed,
        Err(why) => {
            let hint = "each type stands once with its number: \"8xa100-80gb-sxm + 8xh100-sxm\"";
            return fault(format!("gpu `{text}`: {why}")).hint(hint);
        }
    };
    let domain = Axis::Gpu.info().domain;
    let unknown_type = mixed
        .types()
        .find(|(_, name)| names.named(domain, name).is_none());
    if let Some((_, name)) = unknown_type {
        return unknown(names, Axis::Gpu, name, place);
    }
    if names.kind == StudyKind::Collective {
        return fault(format!(
            "gpu `{text}`: a communication is among GPUs of one type"
        ));
    }
    fault(format!("gpu `{text}`: one type stands twice")).hint("add its numbers up")
}

/// Names joined by `+`, each once; the value has them in the order of the set.
fn several(
    axis: Axis,
    (members, none): (&'static [&'static str], bool),
    node: &Node,
) -> Result<AxisValue, Diagnostic> {
    let text = node.text().ok_or_else(|| mismatch(axis, node))?;
    if none && text == NONE {
        return Ok(AxisValue::name(NONE));
    }
    let given: Vec<&str> = text.split('+').map(str::trim).collect();
    for (at, name) in given.iter().enumerate() {
        if !members.contains(name) {
            let fault = Diagnostic::error(&node.place, format!("unknown {axis} `{name}`"));
            let known = members.iter().copied();
            return Err(fault
                .did_you_mean(name, known)
                .hint(format!("expected {}", expectation(axis))));
        }
        if given[..at].contains(name) {
            let message = format!("`{name}` stands twice in `{text}`");
            return Err(Diagnostic::error(&node.place, message).hint("name it once"));
        }
    }
    let ordered = members.iter().filter(|member| given.contains(member));
    Ok(AxisValue::name(&ordered.format("+").to_string()))
}

/// The value of an axis of several names that has none of them.
const NONE: &str = "none";

fn no_auto(axis: Axis, node: &Node) -> Diagnostic {
    let default = axis.info().default.words();
    let hint = if default.is_empty() {
        "it has to be given".to_owned()
    } else {
        format!("leave it out for its default: {default}")
    };
    Diagnostic::error(&node.place, format!("axis `{axis}` cannot be `auto`")).hint(hint)
}

/// Values of an axis in words that follow "expected".
fn expectation(axis: Axis) -> String {
    let info = axis.info();
    let auto = if info.takes_auto() {
        " or \"auto\""
    } else {
        ""
    };
    let values = match info.domain {
        Domain::Catalog(kind) => format!("the name of a {} in quotes", kind.singular()),
        Domain::Closed(names) => format!("one of: {}", names.join(", ")),
        Domain::Several(names, none) => {
            let none = if none { "none, or " } else { "" };
            format!(
                "{none}one or several, joined by `+`, of: {}",
                names.join(", ")
            )
        }
        Domain::Custom(kind) => format!("the name of a {} in quotes", kind.singular()),
        Domain::Int { min, max } => format!("a whole number from {min} to {max}"),
        Domain::Real { min, max } => format!("a number from {min} to {max}"),
        Domain::Bool => "true or false".to_owned(),
        Domain::Size => "an amount of data like \"64 MiB\"".to_owned(),
        Domain::Power => "a power like \"500 W\"".to_owned(),
        Domain::Stages => "layers of each stage like \"4,6×14,5\"".to_owned(),
    };
    values + auto
}

fn mismatch(axis: Axis, node: &Node) -> Diagnostic {
    let text = node.text().unwrap_or_default();
    let domain = axis.info().domain;
    let fits = match domain {
        Domain::Int { .. } => text.parse::<u64>().is_ok(),
        Domain::Real { .. } => text.parse::<f64>().is_ok(),
        Domain::Bool => text.parse::<bool>().is_ok(),
        Domain::Catalog(_)
        | Domain::Closed(_)
        | Domain::Several(..)
        | Domain::Custom(_)
        | Domain::Size
        | Domain::Power
        | Domain::Stages => false,
    };
    let hint = match (domain, &node.value) {
        (Domain::Int { min, max }, Value::Real(number)) if number.fract() == 0.0 => {
            let is_in_range = (min as f64..=max as f64).contains(number);
            is_in_range.then(|| format!("write it as {number:.0}"))
        }
        _ => fits.then(|| "write it without quotes".to_owned()),
    };
    node.mismatch(axis.as_str(), &expectation(axis))
        .maybe_hint(hint)
}

fn count(axis: Axis, min: u64, max: u64, node: &Node) -> Result<AxisValue, Diagnostic> {
    let Value::Int(number) = node.value else {
        return Err(mismatch(axis, node));
    };
    u64::try_from(number)
        .ok()
        .filter(|count| (min..=max).contains(count))
        .map(AxisValue::Int)
        .ok_or_else(|| out_of_range(axis, node))
}

fn real(axis: Axis, min: f64, max: f64, node: &Node) -> Result<AxisValue, Diagnostic> {
    let number = node.number().ok_or_else(|| mismatch(axis, node))?;
    // NaN is in no range.
    if (min..=max).contains(&number) {
        Ok(AxisValue::Real(number))
    } else {
        Err(out_of_range(axis, node))
    }
}

fn out_of_range(axis: Axis, node: &Node) -> Diagnostic {
    let message = format!(
        "{axis} = {} is out of range",
        node.described().replace('`', "")
    );
    Diagnostic::error(&node.place, message).hint(format!("`{axis}` is {}", expectation(axis)))
}

/// Reads a power for an axis.
pub(super) fn power(axis: Axis, node: &Node) -> Result<Power, Diagnostic> {
    if let Some(number) = node.number() {
        let hint = format!("write it as text with its unit: \"{number} W\"");
        return Err(Diagnostic::error(&node.place, format!("`{number}` has no unit")).hint(hint));
    }
    let text = node.text().ok_or_else(|| mismatch(axis, node))?;
    text.parse()
        .map_err(|error: QuantityError| Diagnostic::error(&node.place, error.to_string()))
}

/// Reads an amount of data for an axis.
pub(super) fn size(axis: Axis, node: &Node) -> Result<Bytes, Diagnostic> {
    if let Value::Int(number) = node.value {
        let hint = format!("write it as text with its unit: \"{number} B\", \"64 MiB\"");
        return Err(Diagnostic::error(&node.place, format!("`{number}` has no unit")).hint(hint));
    }
    let text = node.text().ok_or_else(|| mismatch(axis, node))?;
    match text.parse::<Bytes>() {
        Ok(size) if size.get() > 0 && i64::try_from(size.get()).is_ok() => Ok(size),
        Ok(_) => {
            let message = format!("`{axis}` = {text} is out of range");
            Err(Diagnostic::error(&node.place, message)
                .hint("a buffer has at least 1 B and at most 8 EiB"))
        }
        Err(error) => Err(Diagnostic::error(&node.place, error.to_string())),
    }
}
