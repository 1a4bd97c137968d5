//! `sweep list topologies|collectives`: built-in names with their meaning, and a spec's custom ones.

use super::entry::{Entry, NamedEntry};
use super::listed::Listed;
use super::listing::{Listing, table, wanted};
use crate::collective::CollectiveAlgorithm;
use crate::commands::failure::Failure;
use crate::hardware::TopologyKind;
use crate::report::text::Text;
use crate::spec::{CustomKind, Spec};

/// Topologies or collective algorithms that a spec can name.
pub(super) fn listing(
    kind: CustomKind,
    spec: Option<&Spec>,
    names: &[String],
) -> Result<Listing, Failure> {
    let own = spec.map(Spec::custom);
    let members: Vec<NamedEntry> = match kind {
        CustomKind::Topologies => {
            let built_in = TopologyKind::ALL.iter();
            let built_in = built_in.map(|it| built_in_row(it.as_str(), it.meaning()));
            let custom = own.into_iter().flat_map(|own| &own.topologies);
            let custom = custom.map(|(name, it)| custom_row(name, &it.description()));
            built_in.chain(custom).collect()
        }
        CustomKind::Collectives => {
            let built_in = CollectiveAlgorithm::ALL.iter();
            let built_in = built_in.map(|it| built_in_row(it.as_str(), it.meaning()));
            let custom = own.into_iter().flat_map(|own| &own.collectives);
            let custom = custom.map(|(name, it)| custom_row(name, &it.description()));
            built_in.chain(custom).collect()
        }
    };
    let names: Vec<String> = names
        .iter()
        .map(|name| kind.named(name).unwrap_or(name).to_owned())
        .collect();
    let members = wanted(kind.singular(), &names, members, |member| &member.name)?;
    let mut text = Text::default();
    write!(text, "{}", table(&["name", "meaning"], &members));
    if names.is_empty() && spec.is_none() {
        writeln!(text);
        let more = format!(
            "Custom ones need no code: [{kind}.NAME] in a spec; --spec SPEC lists them too."
        );
        text.wrap(&more, "", "  ");
    }
    Ok(Listing {
        text: text.finish(),
        what: match kind {
            CustomKind::Topologies => Listed::Topologies,
            CustomKind::Collectives => Listed::Collectives,
        },
        entries: members.into_iter().map(Entry::Named).collect(),
    })
}

fn built_in_row(name: &str, meaning: &str) -> NamedEntry {
    NamedEntry {
        name: name.to_owned(),
        meaning: meaning.to_owned(),
        own: false,
    }
}

/// A name that the spec describes itself.
fn custom_row(name: &str, description: &str) -> NamedEntry {
    NamedEntry {
        name: name.to_owned(),
        meaning: format!("In the spec: {description}."),
        own: true,
    }
}
