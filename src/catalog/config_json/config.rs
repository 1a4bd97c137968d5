//! Keys of a `config.json` while they are read.

use super::super::fault::{CatalogFault, FaultPlace};

/// A config and the faults that were found in it.
pub(super) struct Config<'a> {
    keys: &'a toml::Table,
    faults: Vec<CatalogFault>,
}

/// Largest count that is read: more must be a typing error.
const MOST: u32 = 1 << 28;

impl<'a> Config<'a> {
    pub(super) fn of(keys: &'a toml::Table) -> Self {
        Self {
            keys,
            faults: Vec::new(),
        }
    }

    pub(super) fn into_faults(self) -> Vec<CatalogFault> {
        self.faults
    }

    /// Name of the class and the key that holds it.
    pub(super) fn class_name(&self) -> Option<(&'static str, String)> {
        let listed = self.keys.get("architectures").and_then(|it| it.as_array());
        let first = listed.and_then(|names| names.first()?.as_str());
        let of_diffusers = || self.keys.get("_class_name").and_then(|it| it.as_str());
        first
            .map(|name| ("architectures", name.to_owned()))
            .or_else(|| Some(("_class_name", of_diffusers()?.to_owned())))
    }

    /// `model_type` of the text model inside a model of several.
    pub(super) fn inner_type(&self) -> Option<&str> {
        self.keys.get("text_config")?.get("model_type")?.as_str()
    }

    /// Text inside a table; `None` where either is absent.
    pub(super) fn text_in(&self, table: &str, key: &str) -> Option<&str> {
        self.keys.get(table)?.get(key)?.as_str()
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Reads the table under a key, which has these `usual` values where it leaves them out; its faults have its path.
    pub(super) fn inside<T>(
        &mut self,
        key: &str,
        usual: &[(&str, u32)],
        read: impl FnOnce(&mut Config<'_>) -> T,
    ) -> T {
        let given = self.keys.get(key).and_then(|it| it.as_table());
        if given.is_none() {
            self.fault("", format!("the table `{key}` is missing"), None);
        }
        let mut keys = given.cloned().unwrap_or_default();
        for (name, value) in usual {
            keys.entry(*name).or_insert_with(|| (*value).into());
        }
        let mut inner = Config::of(&keys);
        let read = read(&mut inner);
        // What is missing in a table that is missing is one fault.
        let faults = inner.into_faults();
        let faults = faults.into_iter().filter(|_| self.keys.contains_key(key));
        let placed = faults.map(|mut fault| {
            fault.path.insert(0, key.to_owned());
            fault
        });
        let placed: Vec<CatalogFault> = placed.collect();
        self.faults.extend(placed);
        read
    }

    /// Notes a fault at a key (`""`: the whole file).
    pub(super) fn fault(&mut self, key: &str, message: String, hint: Option<String>) {
        let path: Vec<String> = key
            .split('.')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        self.faults.push(CatalogFault {
            text: path.last().cloned().unwrap_or_default(),
            path,
            place: FaultPlace::Value,
            message,
            hint,
        });
    }

    fn expected(&mut self, key: &str, expected: &str) {
        let found = &self.keys[key];
        let message = format!("`{key}` is {expected}, not `{found}`");
        self.fault(key, message, None);
    }

    /// A whole number from 0 on; `None` where the key is absent or null.
    pub(super) fn count(&mut self, key: &str) -> Option<u32> {
        let count = self.keys.get(key)?.as_integer();
        let count = count.and_then(|count| u32::try_from(count).ok());
        let count = count.filter(|count| *count <= MOST);
        if count.is_none() {
            self.expected(key, &format!("a whole number from 0 to {MOST}"));
        }
        count
    }

    /// A whole number from 1 on that has to be there; 1 where it is not, which is noted.
    pub(super) fn needed(&mut self, key: &str) -> u32 {
        let before = self.faults.len();
        let count = self.count(key).filter(|count| *count > 0);
        if count.is_none() && self.faults.len() == before {
            let message = match self.keys.get(key) {
                Some(value) => format!("`{key}` is a whole number from 1 to {MOST}, not `{value}`"),
                None => format!("`{key}` is missing"),
            };
            let at = if self.keys.contains_key(key) { key } else { "" };
            self.fault(at, message, None);
        }
        count.unwrap_or(1)
    }

    /// A whole number from 1 on, or two of them that are equal: the sides of a square; 1 where it is not there, which is
    /// noted.
    pub(super) fn side(&mut self, key: &str) -> u32 {
        if !self.keys.get(key).is_some_and(toml::Value::is_array) {
            return self.needed(key);
        }
        let sides = self.counts(key).unwrap_or_default();
        match sides[..] {
            [side, other] if side == other && side > 0 => side,
            _ => {
                self.expected(key, "the side of a square, or two that are equal");
                1
            }
        }
    }

    /// A real number; `None` where the key is absent or null.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        let value = self.keys.get(key)?;
        let number = value
            .as_float()
            .or_else(|| Some(value.as_integer()? as f64));
        if number.is_none() {
            self.expected(key, "a number");
        }
        number
    }

    /// `true` or `false`; `None` where the key is absent or null.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let flag = self.keys.get(key)?.as_bool();
        if flag.is_none() {
            self.expected(key, "true or false");
        }
        flag
    }

    /// Text; `None` where the key is absent or null.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let text = self.keys.get(key)?.as_str().map(str::to_owned);
        if text.is_none() {
            self.expected(key, "text");
        }
        text
    }

    /// Whether a key holds this text.
    pub(super) fn is_text(&self, key: &str, text: &str) -> bool {
        self.keys.get(key).and_then(|value| value.as_str()) == Some(text)
    }

    /// Texts; `None` where the key is absent or null.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let items = self.keys.get(key)?.as_array();
        let texts = items.and_then(|items| {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            self.expected(key, "a list of texts");
        }
        texts
    }

    /// Whole numbers; `None` where the key is absent or null.
    pub(super) fn counts(&mut self, key: &str) -> Option<Vec<u32>> {
        let items = self.keys.get(key)?.as_array();
        let counts = items.and_then(|items| {
            let whole = |item: &toml::Value| u32::try_from(item.as_integer()?).ok();
            items.iter().map(whole).collect::<Option<Vec<_>>>()
        });
        if counts.is_none() {
            self.expected(key, "a list of whole numbers");
        }
        counts
    }

    /// Entries of a table; `None` where the key is absent or null.
    pub(super) fn table_length(&self, key: &str) -> Option<u32> {
        u32::try_from(self.keys.get(key)?.as_table()?.len()).ok()
    }

    /// A whole number inside a table; `None` where either is absent.
    pub(super) fn count_in(&self, table: &str, key: &str) -> Option<u32> {
        let count = self.keys.get(table)?.get(key)?.as_integer()?;
        u32::try_from(count).ok().filter(|count| *count > 0)
    }

    /// Notes that a list does not have an item for each layer.
    pub(super) fn check_length(&mut self, key: &str, length: usize, layers: u32) {
        if length != layers as usize {
            let message = format!("`{key}` has {length} layers, `num_hidden_layers` is {layers}");
            self.fault(key, message, None);
        }
    }
}
