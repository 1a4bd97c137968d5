//! Runs that are analysed together, told apart by what differs between them.

use std::sync::Arc;

use itertools::Itertools;

use super::key_value::KeyValue;

/// Settings of one run besides its axes: paths and values.
pub(super) type Settings = Vec<(String, String)>;

/// Most settings that a label holds; where more differ the run's name says more.
const SETTINGS: usize = 2;

/// The runs of the files analysed. Files of equal settings, such as shards, are one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// Name of each file.
    names: Vec<KeyValue>,
    /// Run of each file, from 0.
    of_file: Vec<u32>,
    /// Label of each run; none of a single one.
    labels: Vec<KeyValue>,
}

impl Runs {
    /// Groups files, each with its name and settings, into runs.
    pub(super) fn new(files: &[(String, Settings)]) -> Self {
        let distinct: Vec<&Settings> = files.iter().map(|(_, it)| it).unique().collect();
        let runs = files.iter().map(|(_, settings)| {
            let place = distinct.iter().position(|it| *it == settings);
            place.unwrap_or_default() as u32
        });
        let of_file: Vec<u32> = runs.collect();
        let labels = if distinct.len() > 1 {
            let name = |run: usize| {
                let file = of_file.iter().position(|it| *it as usize == run);
                &files[file.unwrap_or_default()].0
            };
            labels(&distinct, name)
        } else {
            Vec::new()
        };
        let text = |text: &String| KeyValue::Text(Arc::from(text.as_str()));
        Self {
            names: files.iter().map(|(name, _)| text(name)).collect(),
            labels: labels.iter().map(text).collect(),
            of_file,
        }
    }

    /// The run of a file; all files are one where nothing is known of them.
    pub(super) fn of_file(&self, source: u32) -> u32 {
        let run = self.of_file.get(source as usize);
        run.copied().unwrap_or_default()
    }

    /// Label of the run of a file; `None` where there is one run.
    pub(super) fn label(&self, source: u32) -> Option<KeyValue> {
        self.labels.get(self.of_file(source) as usize).cloned()
    }

    /// Name of a file.
    pub(super) fn name(&self, source: u32) -> KeyValue {
        let name = self.names.get(source as usize).cloned();
        name.unwrap_or_else(|| KeyValue::Text(format!("file {}", source + 1).into()))
    }
}

/// Labels of runs by the settings that differ: `price_per_hour 3.20 USD`; the name where these are many, or where they
/// do not tell a run from the others.
fn labels<'a>(runs: &[&Settings], name: impl Fn(usize) -> &'a String) -> Vec<String> {
    let paths = runs.iter().flat_map(|run| run.iter().map(|(path, _)| path));
    let differs = |path: &&String| !runs.iter().map(|run| value(run, path)).all_equal();
    let differing: Vec<&String> = paths.unique().filter(differs).collect();
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let is_short = differing.iter().map(|path| last(path)).all_unique();
    let words = runs.iter().map(|run| {
        let settings = differing.iter().filter_map(|path| {
            let key = if is_short {
                last(path)
            } else {
                (*path).clone()
            };
            Some(format!("{key} {}", value(run, path)?))
        });
        settings.collect::<Vec<_>>()
    });
    let words: Vec<Vec<String>> = words.collect();
    let tells = |place: usize| {
        let of_run = &words[place];
        (1..=SETTINGS).contains(&of_run.len())
            && words.iter().filter(|other| *other == of_run).count() == 1
    };
    let label = |place: usize| {
        if tells(place) {
            words[place].join(", ")
        } else {
            name(place).clone()
        }
    };
    (0..runs.len()).map(label).collect()
}

fn value<'a>(run: &'a Settings, path: &str) -> Option<&'a String> {
    let found = run.iter().find(|(of, _)| of == path);
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, settings: &[(&str, &str)]) -> (String, Settings) {
        let owned = |text: &str| text.to_owned();
        let settings = settings
            .iter()
            .map(|(path, value)| (owned(path), owned(value)));
        (owned(name), settings.collect())
    }

    #[test]
    fn runs_are_called_by_what_differs_and_else_by_name() {
        let label = |files: &[(String, Settings)], source| {
            Runs::new(files)
                .label(source)
                .map(|label| label.to_string())
        };
        let memory = ("gpus.x.memory", "80 GiB");
        let dear = file("a", &[("gpus.x.price_per_hour", "4.92 USD"), memory]);
        let cheap = file("b", &[("gpus.x.price_per_hour", "3.20 USD"), memory]);
        let plain = file("c", &[memory]);
        let runs = [dear.clone(), cheap.clone()];
        assert_eq!(label(&runs, 0).as_deref(), Some("price_per_hour 4.92 USD"));
        assert_eq!(label(&runs, 1).as_deref(), Some("price_per_hour 3.20 USD"));
        // A preset's price is no setting of the run.
        let runs = [dear.clone(), plain.clone()];
        assert_eq!(label(&runs, 1).as_deref(), Some("c"));
        // Shards of one run.
        let runs = [dear.clone(), dear.clone()];
        assert_eq!((label(&runs, 0), label(&runs, 1)), (None, None));
        // Three settings are too many for a label.
        let changed = [("a.b", "1"), ("a.c", "2"), ("a.d", "3")];
        let runs = [plain, file("d", &changed)];
        assert_eq!(label(&runs, 1).as_deref(), Some("d"));
    }
}
