//! `sweep list topologies|collectives`: the program's names with what they mean, and a spec's own.

use serde_json::json;

use crate::cli::Failure;
use crate::cli::list::{Listing, asked, check_names};
use crate::cli::table::{Align, Table};
use crate::collective::CollectiveAlgorithm;
use crate::hardware::TopologyKind;
use crate::spec::{CustomKind, Spec};

/// One name and what it stands for.
struct Member {
    name: String,
    meaning: String,
    /// Whether the spec describes it.
    own: bool,
}

/// What an axis can name.
pub(super) fn listing(
    kind: CustomKind,
    spec: Option<&Spec>,
    names: &[String],
) -> Result<Listing, Failure> {
    let members = members(kind, spec);
    let known = members.iter().map(|member| member.name.as_str());
    check_names(kind.singular(), names, &known)?;
    let mut table = Table::new(&[("NAME", Align::Left), ("MEANING", Align::Left)]);
    let mut json = Vec::new();
    for member in members.iter().filter(|member| asked(names, &member.name)) {
        let Member { name, meaning, own } = member;
        table.row(vec![name.clone(), meaning.clone()]);
        json.push(json!({"name": name, "meaning": meaning, "own": own}));
    }
    let mut text = table.render();
    if names.is_empty() && spec.is_none() {
        text.push_str(&format!(
            "\nOwn ones without code: [{kind}.NAME] in a spec; --spec SPEC lists them too.\n"
        ));
    }
    Ok(Listing { text, json })
}

fn members(kind: CustomKind, spec: Option<&Spec>) -> Vec<Member> {
    let built_in = |name: &str, meaning: &str| Member {
        name: name.to_owned(),
        meaning: meaning.to_owned(),
        own: false,
    };
    let own = |name: &String, what: String| Member {
        name: name.clone(),
        meaning: format!("In the spec: {what}."),
        own: true,
    };
    let tables = spec.map(|spec| &**spec.custom());
    match kind {
        CustomKind::Topologies => TopologyKind::ALL
            .iter()
            .map(|it| built_in(it.as_str(), it.meaning()))
            .chain(tables.into_iter().flat_map(|it| {
                let all = it.topologies.iter();
                all.map(|(name, topology)| own(name, topology.description()))
            }))
            .collect(),
        CustomKind::Collectives => CollectiveAlgorithm::ALL
            .iter()
            .map(|it| built_in(it.as_str(), it.meaning()))
            .chain(tables.into_iter().flat_map(|it| {
                let all = it.collectives.iter();
                all.map(|(name, algorithm)| own(name, algorithm.description()))
            }))
            .collect(),
    }
}
